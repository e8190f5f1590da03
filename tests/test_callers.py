"""The threads that call listeners: few, and none of them waits for a call that blocks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from skills_refresh.callers import Callers

from .conftest import wait_for

MANY = 200


class Blocking:
    """A call that says when it began, and ends when it is released."""

    def __init__(self, released: threading.Event) -> None:
        self.began = threading.Event()
        self._released = released

    def __call__(self) -> None:
        self.began.set()
        self._released.wait()


def refuse(thread: threading.Thread) -> None:
    """As where the process has as many threads as it may."""
    raise RuntimeError("can't start new thread")


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What the calls that block wait for."""
    event = threading.Event()
    yield event
    event.set()


def callers_now() -> int:
    return sum(thread.name == "skills-refresh listeners" for thread in threading.enumerate())


@pytest.fixture
def callers() -> Callers:
    wait_for(lambda: callers_now() == 0, "the end of other threads")
    return Callers()


def test_everything_is_called_once(callers: Callers) -> None:
    called: list[int] = []
    for number in range(MANY):
        callers.call(partial(called.append, number), "listeners")
    wait_for(lambda: callers_now() == 0)
    assert sorted(called) == list(range(MANY))


def test_a_call_that_blocks_holds_back_no_other(callers: Callers, released: threading.Event) -> None:
    called: list[int] = []
    for number in range(MANY):
        if number % 20 == 0:
            callers.call(Blocking(released), "listeners")
        callers.call(partial(called.append, number), "listeners")
    wait_for(lambda: len(called) == MANY)


def test_what_comes_while_all_that_call_are_blocked_is_called(callers: Callers, released: threading.Event) -> None:
    for _ in range(3):
        blocking = Blocking(released)
        callers.call(blocking, "listeners")
        assert blocking.began.wait(10)
    for _ in range(5):
        called = threading.Event()
        callers.call(called.set, "listeners")
        assert called.wait(10)


def test_two_calls_may_wait_for_each_other(callers: Callers) -> None:
    both = threading.Barrier(2)
    done: list[int] = []
    for _ in range(2):
        callers.call(lambda: done.append(both.wait(10)), "listeners")
    wait_for(lambda: len(done) == 2)


def test_short_calls_take_few_threads(callers: Callers) -> None:
    threads: set[int] = set()
    called: list[None] = []

    def call() -> None:
        threads.add(threading.get_ident())
        called.append(None)

    for _ in range(10 * MANY):
        callers.call(call, "listeners")
    wait_for(lambda: len(called) == 10 * MANY)
    assert len(threads) < MANY / 2


def test_the_threads_end_when_there_is_nothing_to_call(callers: Callers) -> None:
    called = threading.Event()
    callers.call(called.set, "listeners")
    assert called.wait(10)
    wait_for(lambda: callers_now() == 0)


def test_where_no_thread_can_be_had_the_next_call_tries_again(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            callers.call(lambda: called.append("refused"), "listeners")
    callers.call(lambda: called.append("called"), "listeners")
    wait_for(lambda: called == ["called"])


def test_where_none_can_stand_by_those_that_are_there_go_on(
    callers: Callers, released: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that stands by would have another stand by before it calls."""
    called: list[int] = []
    blocking = Blocking(released)
    callers.call(blocking, "listeners")
    assert blocking.began.wait(10)
    second = Blocking(released)
    callers.call(second, "listeners")
    for number in range(5):
        callers.call(partial(called.append, number), "listeners")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        released.set()
        wait_for(lambda: len(called) == 5)
