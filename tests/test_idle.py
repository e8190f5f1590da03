"""Workspaces with a time to live: they fall asleep when nobody uses them, and come back right at their next use."""

from __future__ import annotations

import asyncio
import math
import shutil
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skills_refresh import ClosedError, ConfigError, EngineError, RootHealth, SkillsChanged, Workspace
from skills_refresh.watching.limits import kernel_watches

from .conftest import SkillsRoot, wait_for
from .engines import A_ROUND_S, TurnedEngine

IDLE_S = 30.0

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts what the kernel watches")


@pytest.fixture
def engine() -> Iterator[TurnedEngine]:
    wait_for(lambda: kernel_watches() == 0, "the end of other watches")
    with TurnedEngine() as engine:
        yield engine


@pytest.fixture
def sleeping(engine: TurnedEngine, skills_root: SkillsRoot) -> Workspace:
    """A workspace on a root with the skills `docx` and `pdf`, which has fallen asleep."""
    skills_root.add("pdf")
    skills_root.add("docx")
    workspace = engine.open([skills_root.path], idle_s=IDLE_S)
    engine.put_asleep(workspace)
    return workspace


def is_asleep(workspace: Workspace) -> bool:
    return workspace.health[0].reason == "idle"


def test_one_that_sleeps_watches_nothing_and_says_so(engine: TurnedEngine, sleeping: Workspace) -> None:
    engine.wait_for_watches([])
    health = sleeping.health[0]
    assert (health.mode, health.reason, health.watched_dirs) == ("degraded", "idle", 0)
    assert health.message.startswith("nobody has used this workspace for 30 s")


def test_its_next_use_sees_what_is_right_then(
    engine: TurnedEngine, sleeping: Workspace, skills_root: SkillsRoot
) -> None:
    asleep = sleeping._snapshot
    assert asleep is not None
    skills_root.add("pdf", body="After.\n")
    skills_root.add("new")
    woken = sleeping.snapshot
    assert list(woken.skills) == ["docx", "new", "pdf"]
    assert woken.skills["pdf"].instructions() == "After.\n"
    assert woken.version > asleep.version
    assert woken.skills["docx"] is asleep.skills["docx"]
    assert sleeping.health[0].mode == "native"
    engine.wait_for_watches([skills_root.path])


def test_it_lives_on_after_it_woke(sleeping: Workspace, skills_root: SkillsRoot) -> None:
    assert list(sleeping.snapshot.skills) == ["docx", "pdf"]
    skills_root.add("new")
    wait_for(lambda: "new" in sleeping.snapshot.skills)


def test_where_nothing_changed_meanwhile_the_snapshot_is_the_same(sleeping: Workspace) -> None:
    asleep = sleeping._snapshot
    assert sleeping.snapshot is asleep
    assert sleeping._current is asleep, "from here on, reading is an attribute again"


def test_the_snapshot_is_the_same_where_others_opened_the_root_meanwhile(
    engine: TurnedEngine, sleeping: Workspace, skills_root: SkillsRoot
) -> None:
    asleep = sleeping._snapshot
    engine.open([skills_root.path]).close()
    other = engine.open([skills_root.path])
    assert sleeping.snapshot is asleep
    assert other.snapshot.skills["pdf"] is sleeping.snapshot.skills["pdf"]


def test_what_is_asked_about_a_version_before_the_sleep_is_answered(
    sleeping: Workspace, skills_root: SkillsRoot
) -> None:
    assert sleeping._snapshot is not None
    before = sleeping._snapshot.version
    skills_root.add("new")
    told: list[SkillsChanged] = []
    sleeping.subscribe(told.append, since=before)
    wait_for(lambda: told)
    assert [(change.skill, change.kind) for change in told[0].changes] == [("new", "added")]
    assert told[0].previous == before


def test_a_new_listener_is_not_told_what_was_missed(sleeping: Workspace, skills_root: SkillsRoot) -> None:
    skills_root.add("missed")
    told: list[SkillsChanged] = []
    sleeping.subscribe(told.append)
    skills_root.add("new")
    wait_for(lambda: told)
    assert [change.skill for change in told[0].changes] == ["new"]


def test_reading_keeps_it_awake(engine: TurnedEngine, skills_root: SkillsRoot) -> None:
    used = engine.open([skills_root.path], idle_s=IDLE_S)
    unused = engine.open([skills_root.path], idle_s=IDLE_S)
    for _ in range(50):
        assert used.version
        engine.turn_clock(IDLE_S / 2)
    assert is_asleep(unused)
    assert not is_asleep(used)


def test_listening_keeps_it_awake(engine: TurnedEngine, skills_root: SkillsRoot) -> None:
    heard = engine.open([skills_root.path], idle_s=IDLE_S)
    watched = engine.open([skills_root.path], idle_s=IDLE_S)
    unused = engine.open([skills_root.path], idle_s=IDLE_S)
    unsubscribe = [heard.subscribe(lambda change: None), watched.subscribe_health(lambda health: None)]
    engine.put_asleep(unused)
    engine.turn_clock(2 * IDLE_S)
    engine.turn_clock(2 * IDLE_S)
    assert not is_asleep(heard)
    assert not is_asleep(watched)
    for end in unsubscribe:
        end()
    engine.put_asleep(heard)
    engine.put_asleep(watched)


def test_waiting_keeps_it_awake(engine: TurnedEngine, skills_root: SkillsRoot) -> None:
    waited_for = engine.open([skills_root.path], idle_s=IDLE_S)
    unused = engine.open([skills_root.path], idle_s=IDLE_S)
    version = waited_for.version
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(waited_for.wait, after=version, timeout=10)
        wait_for(lambda: waited_for._waiting)
        engine.put_asleep(unused)
        engine.turn_clock(2 * IDLE_S)
        engine.turn_clock(2 * IDLE_S)
        assert not is_asleep(waited_for)
        skills_root.add("pdf")
        snapshot = waiting.result()
    assert snapshot is not None
    assert "pdf" in snapshot.skills


def test_one_without_a_time_to_live_stays_awake(engine: TurnedEngine, skills_root: SkillsRoot) -> None:
    lasting = engine.open([skills_root.path])
    engine.put_asleep(engine.open([skills_root.path], idle_s=IDLE_S))
    assert lasting.health[0].mode == "native"


def test_used_just_when_it_would_fall_asleep_it_lives_on_as_long_as_after_any_use(
    engine: TurnedEngine, skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = engine.open([skills_root.path], idle_s=IDLE_S)
    fall_asleep = Workspace._fall_asleep
    uses: list[int] = []

    def used_just_now(self: Workspace) -> bool:
        if not uses:
            uses.append(self.version)
        return fall_asleep(self)

    monkeypatch.setattr(Workspace, "_fall_asleep", used_just_now)

    def would_have_fallen_asleep() -> bool:
        engine.turn_clock(IDLE_S + A_ROUND_S)
        return bool(uses)

    wait_for(would_have_fallen_asleep)
    engine.turn_clock(IDLE_S / 2)
    engine.turn_clock(0.0)
    assert not is_asleep(workspace)
    engine.put_asleep(workspace)


@pytest.mark.parametrize(
    "use", ["sync", "refresh", "invalidate", "wait", "files_digest", "subscribe", "changes", "session"]
)
def test_every_use_wakes_it(use: str, sleeping: Workspace, skills_root: SkillsRoot) -> None:
    assert sleeping._snapshot is not None
    before = sleeping._snapshot.version
    skills_root.add("new")
    if use == "sync":
        assert "new" in sleeping.sync().skills
    elif use == "refresh":
        assert "new" in sleeping.refresh().skills
    elif use == "wait":
        found = sleeping.wait(after=before, timeout=10)
        assert found is not None
        assert "new" in found.skills
    elif use == "files_digest":
        digest = sleeping.files_digest()
        sleeping.sync()
        assert sleeping.files_digest() == digest
    elif use == "invalidate":
        assert "new" in sleeping.invalidate().skills
    elif use == "subscribe":
        sleeping.subscribe(lambda change: None)()
        assert not is_asleep(sleeping)
    elif use == "session":
        assert "new" in sleeping.session().begin().snapshot.skills
    else:
        asyncio.run(_ask_for_changes(sleeping))
    assert "new" in sleeping.snapshot.skills


async def _ask_for_changes(workspace: Workspace) -> None:
    changes = workspace.changes()
    assert not is_asleep(workspace)
    changes.close()


def test_many_threads_that_read_at_once_all_see_what_is_right(
    engine: TurnedEngine, sleeping: Workspace, skills_root: SkillsRoot
) -> None:
    """At the moment of waking, and at that of falling asleep."""
    ready = threading.Barrier(8)

    def read() -> bool:
        ready.wait()
        return all("new" in sleeping.snapshot.skills for _ in range(300))

    skills_root.add("new")
    with ThreadPoolExecutor(8) as threads:
        reading = [threads.submit(read) for _ in range(8)]
        while not all(future.done() for future in reading):
            engine.turn_clock(IDLE_S)
        assert all(future.result() for future in reading)


def test_woken_by_two_at_once_it_holds_its_roots_once(engine: TurnedEngine, sleeping: Workspace) -> None:
    for waking in [engine.attach(sleeping) for _ in range(2)]:
        waking.result()
    sleeping.close()
    engine.wait_for_watches([])


def test_what_wakes_it_after_it_was_closed_is_refused(engine: TurnedEngine, sleeping: Workspace) -> None:
    sleeping.close()
    with pytest.raises(ClosedError):
        engine.attach(sleeping).result()
    engine.wait_for_watches([])


def test_closed_while_it_sleeps_it_keeps_its_last_snapshot(
    engine: TurnedEngine, sleeping: Workspace, skills_root: SkillsRoot
) -> None:
    skills_root.add("new")
    sleeping.close()
    assert list(sleeping.snapshot.skills) == ["docx", "pdf"]
    assert sleeping.health[0].reason == "closed"
    with pytest.raises(ClosedError):
        sleeping.sync()
    engine.wait_for_watches([])


def test_an_engine_that_is_closed_closes_those_that_sleep(engine: TurnedEngine, sleeping: Workspace) -> None:
    engine.close()
    assert list(sleeping.snapshot.skills) == ["docx", "pdf"]
    assert sleeping.health[0].reason == "closed"


def test_closing_while_it_wakes_leaves_nothing_behind(engine: TurnedEngine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    for _ in range(10):
        workspace = engine.open([skills_root.path], idle_s=IDLE_S)
        engine.put_asleep(workspace)
        with ThreadPoolExecutor(2) as threads:
            reading = threads.submit(lambda: workspace.snapshot)  # noqa: B023 - it is done before the next one
            threads.submit(workspace.close)
        assert list(reading.result().skills) == ["pdf"]
    engine.wait_for_watches([])


def test_a_root_that_went_while_it_slept_is_missing(sleeping: Workspace, skills_root: SkillsRoot) -> None:
    shutil.rmtree(skills_root.path)
    assert not sleeping.snapshot.skills
    assert [problem.code for problem in sleeping.snapshot.problems] == ["missing-root"]
    assert (sleeping.health[0].mode, sleeping.health[0].reason) == ("missing", "missing")
    skills_root.add("back")
    wait_for(lambda: list(sleeping.snapshot.skills) == ["back"])


def test_the_engine_s_own_thread_reads_the_last_snapshot_and_does_not_wait_for_itself(
    engine: TurnedEngine, sleeping: Workspace, tmp_path: Path
) -> None:
    other = SkillsRoot(tmp_path / "other")
    seen: list[list[str]] = []
    workspace = engine.open([other.path])
    workspace.subscribe_health(lambda health: seen.append(list(sleeping.snapshot.skills)))
    other.path.rename(tmp_path / "away")
    wait_for(lambda: seen)
    assert seen[0] == ["docx", "pdf"]
    assert is_asleep(sleeping)


def test_asking_the_engine_on_its_own_thread_is_refused(
    engine: TurnedEngine, skills_root: SkillsRoot, tmp_path: Path
) -> None:
    """It would wait for itself for ever."""
    workspace = engine.open([skills_root.path])
    refused: list[Exception] = []

    def ask(health: RootHealth) -> None:
        try:
            workspace.sync(timeout=1)
        except (EngineError, TimeoutError) as error:
            refused.append(error)

    workspace.subscribe_health(ask)
    skills_root.path.rename(tmp_path / "away")
    wait_for(lambda: refused)
    assert str(refused[0]) == "the engine's own thread cannot wait for itself: call this from another thread"


@pytest.mark.parametrize("idle_s", [0, -1.0, math.nan])
def test_a_time_to_live_that_is_none_is_refused(engine: TurnedEngine, skills_root: SkillsRoot, idle_s: float) -> None:
    with pytest.raises(ConfigError, match=r"idle_s is .*; it must be a number of seconds above 0"):
        engine.open([skills_root.path], idle_s=idle_s)
