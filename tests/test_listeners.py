"""Every listener is told of every change, in order, and none hurts another or the engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from skills_refresh import ListenerRegistry, SkillsChanged, Snapshot
from skills_refresh.changes import compare
from skills_refresh.listeners import MAX_HISTORY, MAX_QUEUED

from .conftest import DEADLINE_S, wait_for
from .test_changes import make_skill, make_snapshot


@pytest.fixture
def registry() -> Iterator[ListenerRegistry]:
    registry = ListenerRegistry("main")
    yield registry
    registry.close()


def snapshots(count: int) -> list[Snapshot]:
    """Snapshots of versions 1 to `count`; each has one skill more than the one before."""
    skills = [make_skill(f"skill-{number}") for number in range(count)]
    return [make_snapshot(version, *skills[:version]) for version in range(1, count + 1)]


def publish(registry: ListenerRegistry, *published: Snapshot) -> None:
    for snapshot in published:
        registry.publish(snapshot, "watch")


class Recorder:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.changes: list[SkillsChanged] = []
        self.thread = threading.current_thread()

    def __call__(self, change: SkillsChanged) -> None:
        self.thread = threading.current_thread()
        self.changes.append(change)

    @property
    def versions(self) -> list[int]:
        return [change.version for change in self.changes]

    def wait_for(self, version: int) -> None:
        wait_for(lambda: version in self.versions, f"version {version}")


class Blocking(Recorder):
    """A listener that blocks in its first call until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def __call__(self, change: SkillsChanged) -> None:
        super().__call__(change)
        self.entered.set()
        self.released.wait(DEADLINE_S)


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    listener = Blocking()
    yield listener
    listener.released.set()


def test_a_function_is_told_what_changed(registry: ListenerRegistry) -> None:
    listener = Recorder()
    first, second = snapshots(2)
    publish(registry, first)
    registry.subscribe(listener)
    publish(registry, second)
    listener.wait_for(2)
    [change] = listener.changes
    assert (change.workspace, change.reason, change.before, change.snapshot) == ("main", "watch", first, second)
    assert [item.skill for item in change.changes] == ["skill-1"]


def test_a_version_that_tells_nothing_is_not_told(registry: ListenerRegistry) -> None:
    listener = Recorder()
    first, second = snapshots(2)
    again, last = replace(first, version=5), replace(second, version=6)
    publish(registry, first)
    registry.subscribe(listener)
    publish(registry, again)
    registry.subscribe(listener, since=1)
    publish(registry, last)
    wait_for(lambda: listener.versions == [6, 6])
    assert [change.previous for change in listener.changes] == [5, 5]


def test_a_function_is_not_called_on_the_publishing_thread(registry: ListenerRegistry) -> None:
    listener = Recorder()
    registry.subscribe(listener)
    publish(registry, *snapshots(1))
    listener.wait_for(1)
    assert listener.thread is not threading.current_thread()


def test_a_coroutine_function_runs_on_the_loop_that_ran_when_it_subscribed(registry: ListenerRegistry) -> None:
    async def subscribe_and_wait() -> bool:
        here = asyncio.get_running_loop()
        told: asyncio.Future[asyncio.AbstractEventLoop] = here.create_future()

        async def listener(change: SkillsChanged) -> None:
            told.set_result(asyncio.get_running_loop())

        registry.subscribe(listener)
        publish(registry, *snapshots(1))
        return await asyncio.wait_for(told, DEADLINE_S) is here

    assert asyncio.run(subscribe_and_wait())


def test_a_coroutine_function_runs_where_no_loop_runs(registry: ListenerRegistry) -> None:
    versions: list[int] = []

    async def listener(change: SkillsChanged) -> None:
        await asyncio.sleep(0)
        versions.append(change.version)

    registry.subscribe(listener)
    publish(registry, *snapshots(2))
    wait_for(lambda: versions == [1, 2])


async def unsubscribe_while_it_waits(registry: ListenerRegistry, then: Callable[[], None] = lambda: None) -> None:
    """Ends a coroutine that waits for ever, does `then`, and returns when it was cancelled."""
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def listener(change: SkillsChanged) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    unsubscribe = registry.subscribe(listener)
    publish(registry, *snapshots(1))
    await asyncio.wait_for(started.wait(), DEADLINE_S)
    await asyncio.to_thread(unsubscribe)
    then()
    await asyncio.wait_for(cancelled.wait(), DEADLINE_S)


def test_a_coroutine_that_waits_is_cancelled_by_unsubscribing(registry: ListenerRegistry) -> None:
    asyncio.run(unsubscribe_while_it_waits(registry))


def test_a_coroutine_is_cancelled_however_soon_its_listener_is_ended(
    registry: ListenerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coroutine may have begun on its loop before the thread that asked for it knows of the call."""
    ended, run = threading.Event(), asyncio.run_coroutine_threadsafe

    def run_late(coroutine: Any, loop: asyncio.AbstractEventLoop) -> Any:
        call = run(coroutine, loop)
        ended.wait(DEADLINE_S)
        return call

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", run_late)

    asyncio.run(unsubscribe_while_it_waits(registry, ended.set))


def test_an_exception_is_logged_with_the_listeners_name_and_counted(
    registry: ListenerRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(change: SkillsChanged) -> None:
        raise ValueError("no such gateway")

    registry.subscribe(fail, name="gateway")
    publish(registry, *snapshots(1))
    wait_for(lambda: "no such gateway" in caplog.text)
    assert "listener gateway failed on version 1" in caplog.text
    assert registry.failures == 1


def test_an_exception_in_a_coroutine_is_logged_with_the_functions_name(
    registry: ListenerRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(change: SkillsChanged) -> None:
        raise ValueError("no such gateway")

    registry.subscribe(fail)
    publish(registry, *snapshots(1))
    wait_for(lambda: "no such gateway" in caplog.text)
    assert f"listener {fail.__qualname__} failed on version 1" in caplog.text


def test_an_exception_reaches_neither_another_listener_nor_the_next_change(registry: ListenerRegistry) -> None:
    failed: list[int] = []
    other = Recorder()

    def fail(change: SkillsChanged) -> None:
        failed.append(change.version)
        raise ValueError("no such gateway")

    registry.subscribe(fail)
    registry.subscribe(other)
    publish(registry, *snapshots(2))
    wait_for(lambda: failed == [1, 2])
    wait_for(lambda: other.versions == [1, 2])


def test_a_listener_that_blocks_holds_back_no_other(registry: ListenerRegistry, blocking: Blocking) -> None:
    other = Recorder()
    registry.subscribe(blocking)
    registry.subscribe(other)
    publish(registry, *snapshots(2))
    other.wait_for(2)
    assert not blocking.released.is_set()


def test_a_listener_that_falls_behind_gets_merged_changes_that_say_everything(
    registry: ListenerRegistry, blocking: Blocking
) -> None:
    published = snapshots(3 * MAX_QUEUED)
    registry.subscribe(blocking)
    publish(registry, published[0])
    assert blocking.entered.wait(DEADLINE_S)
    publish(registry, *published[1:])
    blocking.released.set()
    blocking.wait_for(published[-1].version)
    assert len(blocking.changes) == 1 + MAX_QUEUED
    assert all(earlier.snapshot is later.before for earlier, later in pairwise(blocking.changes))
    merged = blocking.changes[-1]
    assert merged.before is published[MAX_QUEUED - 1]
    assert merged.changes == compare(merged.before, published[-1], workspace="main", reason="watch").changes
    assert len(merged.changes) == 2 * MAX_QUEUED


def test_a_listener_is_told_versions_in_increasing_order(registry: ListenerRegistry) -> None:
    listener = Recorder()
    registry.subscribe(listener)
    publish(registry, *snapshots(200))
    listener.wait_for(200)
    assert all(earlier < later for earlier, later in pairwise(listener.versions))


def test_after_unsubscribing_nothing_is_told(registry: ListenerRegistry) -> None:
    listener, witness = Recorder(), Recorder()
    unsubscribe = registry.subscribe(listener)
    registry.subscribe(witness)
    unsubscribe()
    publish(registry, *snapshots(1))
    witness.wait_for(1)
    assert listener.versions == []


def test_after_unsubscribing_what_still_waits_is_not_told(registry: ListenerRegistry, blocking: Blocking) -> None:
    unsubscribe = registry.subscribe(blocking)
    first, second = snapshots(2)
    publish(registry, first)
    assert blocking.entered.wait(DEADLINE_S)
    publish(registry, second)
    unsubscribe()
    blocking.released.set()
    blocking.thread.join(DEADLINE_S)
    assert blocking.versions == [1]


def test_a_listener_can_unsubscribe_itself(registry: ListenerRegistry) -> None:
    listener, witness = Recorder(), Recorder()

    def once(change: SkillsChanged) -> None:
        unsubscribe()
        listener(change)

    unsubscribe = registry.subscribe(once)
    registry.subscribe(witness)
    first, second = snapshots(2)
    publish(registry, first)
    listener.wait_for(1)
    publish(registry, second)
    witness.wait_for(2)
    assert listener.versions == [1]


def test_unsubscribing_twice_ends_one_subscription_of_two(registry: ListenerRegistry) -> None:
    listener = Recorder()
    unsubscribe = registry.subscribe(listener)
    registry.subscribe(listener)
    unsubscribe()
    unsubscribe()
    publish(registry, *snapshots(1))
    listener.wait_for(1)
    registry.close()
    assert listener.versions == [1]


def test_a_late_listener_is_told_all_that_differs_since_a_version(registry: ListenerRegistry) -> None:
    listener = Recorder()
    first, second, third = snapshots(3)
    publish(registry, first, second, third)
    registry.subscribe(listener, since=1)
    listener.wait_for(3)
    [change] = listener.changes
    assert (change.previous, change.version) == (1, 3)
    assert change.changes == compare(first, third, workspace="main", reason="manual").changes


def test_a_listener_that_is_up_to_date_is_told_the_next_change_alone(registry: ListenerRegistry) -> None:
    listener = Recorder()
    first, second, third = snapshots(3)
    publish(registry, first, second)
    registry.subscribe(listener, since=2)
    publish(registry, third)
    listener.wait_for(3)
    assert [change.previous for change in listener.changes] == [2]


@pytest.mark.parametrize("since", [0, 1, MAX_HISTORY + 100])
def test_a_version_that_is_not_known_any_more_gets_a_fresh_start(registry: ListenerRegistry, since: int) -> None:
    listener = Recorder()
    published = snapshots(MAX_HISTORY + 1)
    publish(registry, *published)
    registry.subscribe(listener, since=since)
    listener.wait_for(published[-1].version)
    [change] = listener.changes
    assert change.previous is None
    assert {item.skill for item in change.changes} == published[-1].skills.keys()
    assert {item.kind for item in change.changes} == {"added"}


def test_closing_does_not_wait_for_a_listener_that_blocks(
    registry: ListenerRegistry, blocking: Blocking, caplog: pytest.LogCaptureFixture
) -> None:
    registry.subscribe(blocking, name="gateway")
    publish(registry, *snapshots(2))
    assert blocking.entered.wait(DEADLINE_S)
    closing = threading.Thread(target=registry.close, args=(0.05,))
    closing.start()
    wait_for(lambda: not closing.is_alive(), "the end of close()", DEADLINE_S / 2)
    assert "listener gateway is still running after its workspace was closed" in caplog.text


def test_closing_waits_for_a_listener_that_is_being_called_and_no_longer(
    registry: ListenerRegistry, blocking: Blocking, caplog: pytest.LogCaptureFixture
) -> None:
    registry.subscribe(blocking)
    publish(registry, *snapshots(1))
    assert blocking.entered.wait(DEADLINE_S)
    closing = threading.Thread(target=registry.close, args=(2 * DEADLINE_S,))
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    blocking.released.set()
    wait_for(lambda: not closing.is_alive(), "the end of close()")
    assert caplog.text == ""


def test_a_listener_can_close_what_calls_it(registry: ListenerRegistry, caplog: pytest.LogCaptureFixture) -> None:
    closed = threading.Event()

    def close(change: SkillsChanged) -> None:
        registry.close()
        closed.set()

    registry.subscribe(close)
    publish(registry, *snapshots(1))
    assert closed.wait(DEADLINE_S)
    assert caplog.text == ""


def test_after_closing_nothing_is_told(registry: ListenerRegistry) -> None:
    listener = Recorder()
    registry.subscribe(listener)
    registry.close()
    publish(registry, *snapshots(1))
    assert listener.versions == []


@pytest.mark.parametrize("kind", [asyncio.CancelledError, SystemExit, KeyboardInterrupt])
def test_whatever_a_listener_raises_it_is_told_the_next_change(
    registry: ListenerRegistry, kind: type[BaseException]
) -> None:
    versions: list[int] = []

    def listener(change: SkillsChanged) -> None:
        versions.append(change.version)
        if change.version == 1:
            raise kind

    registry.subscribe(listener)
    publish(registry, *snapshots(2))
    wait_for(lambda: (versions, registry.failures) == ([1, 2], 1))


def test_failures_are_still_counted_after_unsubscribing(registry: ListenerRegistry) -> None:
    def fail(change: SkillsChanged) -> None:
        raise ValueError

    unsubscribe = registry.subscribe(fail)
    publish(registry, *snapshots(1))
    wait_for(lambda: registry.failures == 1)
    unsubscribe()
    assert registry.failures == 1
