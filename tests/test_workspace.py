"""What a gateway holds: waiting, async doors, listeners, many workspaces on one engine."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import skills_refresh
from skills_refresh import ClosedError, Engine, SkillsChanged, SkillsRefreshError, Workspace, watch

from .conftest import SkillsRoot, age, wait_for
from .oracle import assert_fresh

Opener = Callable[..., Workspace]


def test_wait_returns_the_first_newer_snapshot(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    workspace = open_workspace(skills_root.path)
    before = workspace.version
    writer = threading.Thread(target=skills_root.add, args=["pdf"])
    writer.start()
    newer = workspace.wait(after=before, timeout=10)
    writer.join()
    assert newer is not None
    assert newer.version > before


def test_wait_returns_none_when_nothing_comes(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    workspace = open_workspace(skills_root.path)
    assert workspace.wait(after=workspace.version, timeout=0.05) is None


def test_closing_ends_a_wait(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    workspace = open_workspace(skills_root.path)
    found: list[object] = []
    waiter = threading.Thread(target=lambda: found.append(workspace.wait(after=workspace.version)))
    waiter.start()
    workspace.close()
    waiter.join(timeout=5)
    assert found == [None]


def test_changes_are_followed_under_asyncio(skills_root: SkillsRoot) -> None:
    async def follow() -> list[str | None]:
        async with watch(skills_root.path) as skills:
            seen: list[str | None] = []
            asyncio.get_running_loop().call_soon(skills_root.add, "pdf")
            async for change in skills.changes():
                seen += [item.skill for item in change.changes]
                if "pdf" in seen:
                    return seen
        return []

    assert "pdf" in asyncio.run(asyncio.wait_for(follow(), timeout=10))


def test_changes_begin_with_the_call_and_end_with_the_workspace(skills_root: SkillsRoot) -> None:
    async def follow() -> list[str | None]:
        skills = await watch(skills_root.path).__aenter__()
        changes = skills.changes()
        skills_root.add("pdf")
        await asyncio.to_thread(skills.sync)
        seen = [item.skill for item in (await changes.__anext__()).changes]
        await asyncio.to_thread(skills.close)
        seen += [item.skill async for change in changes for item in change.changes]
        return seen

    assert "pdf" in asyncio.run(asyncio.wait_for(follow(), timeout=10))


def test_a_coroutine_listener_runs_on_the_loop_it_was_subscribed_on(skills_root: SkillsRoot) -> None:
    async def follow() -> bool:
        told = asyncio.Event()
        loops = []

        async def on_change(change: SkillsChanged) -> None:
            loops.append(asyncio.get_running_loop())
            told.set()

        async with watch(skills_root.path) as skills:
            skills.subscribe(on_change)
            skills_root.add("pdf")
            await asyncio.wait_for(told.wait(), timeout=10)
        return loops[0] is asyncio.get_running_loop()

    assert asyncio.run(follow())


def test_a_listener_may_close_its_workspace(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    workspace = open_workspace(skills_root.path)
    closed = threading.Event()

    def on_change(change: SkillsChanged) -> None:
        workspace.close()
        closed.set()

    workspace.subscribe(on_change)
    skills_root.add("pdf")
    assert closed.wait(timeout=10)


def test_a_listener_may_sync(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    workspace = open_workspace(skills_root.path)
    versions: list[int] = []
    workspace.subscribe(lambda change: versions.append(workspace.sync(timeout=5).version))
    skills_root.add("pdf")
    wait_for(lambda: versions)


def test_refresh_gives_its_reason(open_workspace: Opener, skills_root: SkillsRoot, tmp_path: Path) -> None:
    """A link's target is edited elsewhere: no event tells, and a refresh finds it."""
    target = tmp_path / "outside.md"
    target.write_text("old")
    skills_root.add("pdf")
    (skills_root.path / "pdf/notes.md").symlink_to(target)
    settings = skills_refresh.Settings(allow_link_targets=(tmp_path,))
    age(skills_root.path / "pdf/notes.md")
    age(skills_root.path / "pdf")
    workspace = open_workspace(skills_root.path, settings=settings)
    changes: list[SkillsChanged] = []
    workspace.subscribe(changes.append)
    target.write_text("longer")
    assert workspace.refresh("remote").skills["pdf"].files[1].size == 6
    wait_for(lambda: [change.reason for change in changes] == ["remote"])


def test_workspaces_share_roots_and_keep_their_own_order(skills_root: SkillsRoot, tmp_path: Path) -> None:
    skills_root.add("pdf", body="Shared.\n")
    own = SkillsRoot(tmp_path / "own")
    own.add("pdf", body="Own.\n")
    with Engine() as engine:
        first, second = engine.open([skills_root.path, own.path]), engine.open([own.path, skills_root.path])
        assert first.snapshot.skills["pdf"].instructions() == "Shared.\n"
        assert second.snapshot.skills["pdf"].instructions() == "Own.\n"
        own.add("pdf", body="Edited.\n")
        wait_for(lambda: second.snapshot.skills["pdf"].instructions() == "Edited.\n")
        assert first.snapshot.skills["pdf"].instructions() == "Shared.\n"


def test_roots_that_overlap_are_both_followed(skills_root: SkillsRoot) -> None:
    """One inside the other: one kernel watch serves both, also after the directory was replaced."""
    directory = skills_root.add("team/pdf")
    with Engine() as engine:
        outer, inner = engine.open([skills_root.path]), engine.open([skills_root.path / "team"])
        for number in range(3):
            (directory / "SKILL.md").unlink()
            directory.rmdir()
            skills_root.add("team/pdf")
            skills_root.add("team/pdf", body=f"{number}\n")
            for workspace in (outer, inner):
                wait_for(lambda workspace=workspace, number=number: _body(workspace) == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        assert_fresh(outer)
        assert_fresh(inner)


def test_a_workspace_that_was_not_started_says_how(skills_root: SkillsRoot) -> None:
    with pytest.raises(ClosedError, match="use it in a `with` statement"):
        _ = watch(skills_root.path).snapshot


def test_an_engine_that_was_closed_opens_nothing(skills_root: SkillsRoot) -> None:
    engine = Engine()
    engine.close()
    with pytest.raises(SkillsRefreshError, match="closed"):
        engine.open([skills_root.path])


def test_closing_the_engine_ends_a_wait(skills_root: SkillsRoot) -> None:
    engine = Engine()
    workspace = engine.open([skills_root.path])
    waiter = threading.Thread(target=lambda: workspace.wait(after=workspace.version))
    waiter.start()
    engine.close()
    waiter.join(timeout=5)
    assert not waiter.is_alive()


def test_a_health_listener_may_close_its_workspace(skills_root: SkillsRoot, tmp_path: Path) -> None:
    other = SkillsRoot(tmp_path / "other")
    with Engine() as engine:
        first, second = engine.open([skills_root.path]), engine.open([other.path])
        first.subscribe_health(lambda health: first.close())
        skills_root.path.rmdir()
        other.add("pdf")
        wait_for(lambda: "pdf" in second.snapshot.skills)


def test_listeners_and_their_children_do_not_inherit_the_blocked_signal(
    open_workspace: Opener, skills_root: SkillsRoot
) -> None:
    workspace = open_workspace(skills_root.path)
    masks: list[set[int]] = []
    workspace.subscribe(lambda change: masks.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, []))))
    skills_root.add("pdf")
    wait_for(lambda: masks)
    assert signal.SIGURG not in masks[0]


def test_a_directory_that_cannot_be_searched_hurts_nothing_else(skills_root: SkillsRoot) -> None:
    """As another user, since root may do everything: the rest goes on, what is deleted is gone, and it heals."""
    for name in "abc":
        skills_root.add(name)
    program = f"""
import os, shutil, sys, time
from pathlib import Path
from skills_refresh import scan, watch
root = Path({str(skills_root.path)!r})
scan([root])  # loads what is loaded late, while it may be read
if os.getuid() == 0:
    for path in (root, *root.rglob("*")):
        os.chown(path, 65534, 65534)
    os.setuid(65534)
with watch(root) as skills:
    os.chmod(root / "a", 0o444)
    shutil.rmtree(root / "c")
    assert list(skills.sync().skills) == ["a", "b"], skills.snapshot.skills
    assert [found.code for found in skills.snapshot.problems] == ["stale", "unreadable"], skills.snapshot.problems
    assert list(skills.refresh().skills) == ["a", "b"]
    os.chmod(root / "a", 0o755)
    assert not skills.sync().problems, skills.snapshot.problems
"""
    for directory in [skills_root.path, *skills_root.path.parents]:
        if "pytest-of-" in str(directory):
            directory.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert not done.stderr
    assert done.returncode == 0


def test_health_is_told_when_a_root_goes_and_comes(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    workspace = open_workspace(skills_root.path)
    modes: list[str] = []
    workspace.subscribe_health(lambda health: modes.append(health.mode))
    skills_root.path.rename(skills_root.path.with_name("away"))
    wait_for(lambda: modes == ["missing"])
    skills_root.path.with_name("away").rename(skills_root.path)
    wait_for(lambda: modes == ["missing", "native"])


def test_every_public_name_is_there_and_documented() -> None:
    for name in skills_refresh.__all__:
        assert getattr(skills_refresh, name).__doc__


def _body(workspace: Workspace) -> str | None:
    skill = workspace.snapshot.skills.get("pdf")
    return skill.instructions() if skill is not None else None
