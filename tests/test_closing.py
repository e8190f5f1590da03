"""Closing at any moment: prompt, from anywhere, any number of times, and with nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

import pytest

from skills_refresh import ClosedError, Engine, Workspace, watch
from skills_refresh.watching.limits import kernel_watches

from .conftest import SkillsRoot, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

CLOSED_WITHIN_S = 2.0


class Held(NamedTuple):
    """What a process holds, of all that the library takes for a while."""

    threads: frozenset[str]
    descriptors: dict[str, str]
    watches: int | None
    mask: frozenset[int]
    handlers: dict[int, object]


def held() -> Held:
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the listing itself
            descriptors[name] = os.readlink(f"/proc/self/fd/{name}")
    return Held(
        frozenset(os.listdir("/proc/self/task")),
        descriptors,
        kernel_watches(),
        frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        {number: signal.getsignal(number) for number in signal.valid_signals()},
    )


def is_no_more(now: Held, before: Held) -> bool:
    """Whether nothing is held that was not held before; what an earlier test took may go meanwhile."""
    return (
        now.threads <= before.threads
        and now.descriptors.items() <= before.descriptors.items()
        and not now.watches
        and (now.mask, now.handlers) == (before.mask, before.handlers)
    )


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    wait_for(lambda: kernel_watches() == 0, "the end of other watches")
    before = held()
    yield
    wait_for(lambda: is_no_more(held(), before), "the end of all that was held")


@contextmanager
def a_storm(root: SkillsRoot) -> Iterator[Callable[[], int]]:
    """A thread that writes, renames and deletes skills all the time; gives a function that counts its rounds."""
    over = threading.Event()
    rounds = 0

    def write() -> None:
        nonlocal rounds
        for number in count():
            if over.is_set():
                return
            directory = root.add(f"skill-{number % 50}", body=f"{number}\n", files={"scripts/run.py": "x" * number})
            if number % 3 == 0:
                directory.rename(root.path / f"moved-{number}")
            rounds += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield lambda: rounds
    finally:
        over.set()
        thread.join()


def assert_closes_promptly(close: Callable[[], None]) -> None:
    began = time.monotonic()
    close()
    assert time.monotonic() - began < CLOSED_WITHIN_S


def test_closing_in_a_storm_is_prompt_and_final(skills_root: SkillsRoot) -> None:
    with a_storm(skills_root) as rounds:
        for _ in range(5):
            _close_in_a_storm(watch(skills_root.path).start(), rounds)


def _close_in_a_storm(workspace: Workspace, rounds: Callable[[], int]) -> None:
    opened = workspace.version
    wait_for(lambda: workspace.version > opened)
    assert_closes_promptly(workspace.close)
    closed, begun = workspace.version, rounds()
    wait_for(lambda: rounds() > begun + 20, "more of the storm")
    assert workspace.version == closed


def test_one_workspace_closed_in_a_storm_does_not_disturb_another(skills_root: SkillsRoot) -> None:
    with Engine() as engine:
        steady = engine.open([skills_root.path])
        with a_storm(skills_root):
            for _ in range(20):
                assert_closes_promptly(engine.open([skills_root.path]).close)
        skills_root.add("last")
        wait_for(lambda: "last" in steady.snapshot.skills)


def test_many_workspaces_with_listeners_that_block_close_together(skills_root: SkillsRoot) -> None:
    over = threading.Event()
    calls: list[object] = []

    def block(change: object) -> None:
        calls.append(change)
        over.wait()

    with Engine() as engine:
        for _ in range(10):
            engine.open([skills_root.path]).subscribe(block)
        skills_root.add("pdf")
        wait_for(lambda: len(calls) == 10)
        assert_closes_promptly(engine.close)
    over.set()


def test_a_closed_workspace_says_so_instead_of_letting_anybody_wait(skills_root: SkillsRoot) -> None:
    workspace = watch(skills_root.path).start()
    workspace.close()
    with pytest.raises(ClosedError, match="was closed"):
        workspace.wait(after=workspace.version)
    with pytest.raises(ClosedError, match="was closed"):
        workspace.subscribe(print)
    with pytest.raises(ClosedError, match="was closed"):
        workspace.changes()
    assert [(health.mode, health.reason) for health in workspace.health] == [("degraded", "closed")]


def test_health_tells_after_closing_how_every_root_fared(skills_root: SkillsRoot) -> None:
    def told(workspace: Workspace) -> list[tuple[str, str]]:
        return [(str(health.path), health.reason) for health in workspace.health]

    expected = [(str(skills_root.path), "closed")]
    with Engine() as engine:
        first, second = engine.open(skills_root.path), engine.open(skills_root.path)
        first.close()
        engine.bump()  # by now the engine has let go of it
        assert told(first) == expected
    assert told(first) == told(second) == expected
    alone = watch(skills_root.path).start()
    alone.close()
    wait_for(lambda: kernel_watches() == 0, "the end of its engine")
    assert told(alone) == expected


def test_an_engine_may_be_closed_while_others_open_workspaces(skills_root: SkillsRoot, quick_switches: None) -> None:
    for _ in range(4):
        _close_while_others_open(Engine(), skills_root)


def _close_while_others_open(engine: Engine, skills_root: SkillsRoot) -> None:
    workspaces = [engine.open(skills_root.path) for _ in range(300)]
    opened = len(workspaces)
    over = threading.Event()

    def open_until_refused() -> None:
        with contextlib.suppress(ClosedError):
            while not over.is_set():
                workspaces.append(engine.open(skills_root.path))

    with ThreadPoolExecutor(4) as threads:
        opening = [threads.submit(open_until_refused) for _ in range(4)]
        try:
            wait_for(lambda: len(workspaces) > opened + 4)
            engine.close()
            for future in opening:
                future.result(10)
        finally:
            over.set()
    assert all(workspace._closed for workspace in workspaces)


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns a thousand times as often, to meet one another in the middle of something."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_what_ends_the_engine_s_thread_is_logged_and_closes_all_in_order(
    skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    def end(health: object) -> None:
        raise SystemExit(3)

    with Engine() as engine:
        workspace = engine.open(skills_root.path)
        workspace.subscribe_health(end)
        skills_root.path.rename(skills_root.path.with_name("away"))
        wait_for(lambda: workspace.health[0].reason == "closed")
        with pytest.raises(ClosedError, match=r"the engine was ended by SystemExit\(3\): make a new one"):
            wait_for(lambda: engine.bump())
    assert "the engine was ended by SystemExit(3)" in caplog.text


def test_closing_from_many_threads_at_once_closes_once(skills_root: SkillsRoot) -> None:
    workspace = watch(skills_root.path).start()
    begin = threading.Barrier(8)

    def close() -> None:
        begin.wait()
        assert_closes_promptly(workspace.close)

    threads = [threading.Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    workspace.close()
    with pytest.raises(ClosedError, match="was closed"):
        workspace.sync()


def test_an_engine_may_be_closed_twice_and_by_a_listener(skills_root: SkillsRoot) -> None:
    engine = Engine()
    workspaces = [engine.open([skills_root.path]) for _ in range(3)]
    closed = threading.Event()

    def close(change: object) -> None:
        assert_closes_promptly(engine.close)
        closed.set()

    workspaces[0].subscribe(close)
    skills_root.add("pdf")
    assert closed.wait(10)
    engine.close()
    assert [_is_closed(workspace) for workspace in workspaces] == [True] * 3


def _is_closed(workspace: Workspace) -> bool:
    try:
        workspace.sync()
    except ClosedError:
        return True
    return False


def test_two_hundred_workspaces_one_after_the_other_leave_nothing_behind(skills_root: SkillsRoot) -> None:
    """Neither threads, descriptors, watches nor any change of the signals that are blocked or handled."""
    for name in ("pdf", "docx", "xlsx"):
        skills_root.add(name, files={"scripts/run.py": "x"})
    for number in range(200):
        with watch(skills_root.path) as workspace:
            workspace.subscribe(print)
            if number % 20 == 0:
                version = workspace.version
                skills_root.add("pdf", body=f"{number}\n")
                assert workspace.wait(after=version, timeout=10) is not None
