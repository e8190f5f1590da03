"""A workspace that a server carries is the one that an engine carries: the same scenarios run on both."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("httpx_sse", reason="needs the extra `client`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")

from skills_refresh import ClosedError, RootHealth, Skill, SkillsChanged, Snapshot, Workspace, connect, scan, watch

from .conftest import SkillsRoot, wait_for
from .followed_server import Server

Opener = Callable[[], Workspace]


@pytest.fixture(params=["watch", "connect"])
def make_workspace(request: pytest.FixtureRequest, skills_root: SkillsRoot) -> Iterator[Opener]:
    """A function that makes a workspace on the root, which starts when it is entered."""
    with ExitStack() as stack:

        def make() -> Workspace:
            if request.param == "watch":
                workspace = watch(skills_root.path)
            else:
                workspace = connect(stack.enter_context(Server(skills_root.path)).url)
            stack.callback(workspace.close)
            return workspace

        yield make


class Told:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.changes: list[SkillsChanged] = []

    def __call__(self, change: SkillsChanged) -> None:
        self.changes.append(change)

    def seen(self) -> list[tuple[str | None, str]]:
        return [(item.skill, item.kind) for change in self.changes for item in change.changes]


def content(snapshot: Snapshot) -> dict[str, object]:
    """All that a snapshot holds, but for its versions."""
    return {
        "skills": {name: everything(skill) for name, skill in snapshot.skills.items()},
        "order": list(snapshot.skills),
        "problems": snapshot.problems,
        "files": dict(snapshot.files),
        "digest": snapshot.digest,
        "prompt": snapshot.prompt(),
    }


def everything(skill: Skill) -> tuple[object, ...]:
    return tuple(getattr(skill, field) for field in Skill.__slots__)


def assert_equals_the_disk(workspace: Workspace, root: SkillsRoot) -> None:
    assert content(workspace.snapshot) == content(scan([root.path]).snapshot)


def test_skills_that_are_added_edited_and_removed_are_told(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("docx")
    with make_workspace() as skills:
        told = Told()
        skills.subscribe(told)
        docx = skills.snapshot.skills["docx"]
        skills_root.add("pdf", files={"scripts/run.py": "run"})
        wait_for(lambda: told.seen() == [("pdf", "added")])
        skills_root.add("pdf", body="Other.\n", files={"scripts/run.py": "run"})
        wait_for(lambda: told.seen()[1:] == [("pdf", "changed")])
        assert told.changes[-1].changes[0].aspects == ("instructions",)
        assert told.changes[-1].changes[0].paths == (skills_root.path / "pdf/SKILL.md",)
        assert told.changes[-1].reason == "watch"
        assert_equals_the_disk(skills, skills_root)
        (skills_root.path / "pdf/SKILL.md").unlink()
        wait_for(lambda: ("pdf", "removed") in told.seen())
        assert skills.sync().skills["docx"] is docx
        assert all(before.version == after.previous for before, after in pairwise(told.changes))


def test_a_skill_that_breaks_stays_and_says_so(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    with make_workspace() as skills:
        told = Told()
        skills.subscribe(told)
        skills_root.write("pdf/SKILL.md", "no frontmatter")
        wait_for(lambda: {found.code for found in skills.snapshot.problems} == {"no-frontmatter", "stale"})
        wait_for(lambda: told.changes)
        assert "pdf" in skills.snapshot.skills
        assert skills.snapshot.problems[0].cure
        skills_root.add("pdf")
        wait_for(lambda: skills.snapshot.problems == ())


def test_a_session_is_told_at_each_turn_what_differs(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"run.py": "1"})
    with make_workspace() as skills:
        session = skills.session()
        assert [item.kind for item in session.begin().changes] == ["added"]
        assert session.begin().changes == ()
        saved = session.saved
        skills_root.write("pdf/run.py", "2")
        skills.sync()
        for turn in (session.begin(), skills.session(saved).begin()):
            assert [(item.skill, item.aspects) for item in turn.changes] == [("pdf", ("files",))]
            assert not turn.prompt_changed


def test_asking_the_checks_again_where_there_are_none_changes_nothing(
    make_workspace: Opener, skills_root: SkillsRoot
) -> None:
    skills_root.add("pdf")
    with make_workspace() as skills:
        before = skills.version
        assert (skills.invalidate().version, list(skills.snapshot.skills)) == (before, ["pdf"])


def test_waiting_ends_with_a_newer_snapshot_or_with_nothing(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    with make_workspace() as skills:
        before = skills.version
        assert skills.wait(after=before, timeout=0.05) is None
        skills_root.add("pdf")
        newer = skills.wait(after=before, timeout=10)
        assert newer is not None
        assert newer.version > before


def test_closing_ends_who_waits_and_says_that_it_was_closed(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    workspace = make_workspace().start()
    found: list[object] = []
    waiter = threading.Thread(target=lambda: found.append(workspace.wait(after=workspace.version)))
    waiter.start()
    workspace.close()
    waiter.join(5)
    assert found == [None]
    assert "pdf" in workspace.snapshot.skills
    for ask in (workspace.sync, workspace.refresh, workspace.changes, lambda: workspace.wait(after=0)):
        with pytest.raises(ClosedError, match="was closed"):
            ask()
    assert [(health.mode, health.reason) for health in workspace.health] == [("degraded", "closed")]


def test_what_was_missed_since_a_version_is_told(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    with make_workspace() as skills:
        before = skills.version
        skills_root.add("pdf")
        skills.sync()
        told = Told()
        skills.subscribe(told, since=before)
        wait_for(lambda: told.seen() == [("pdf", "added")])
        assert told.changes[0].previous == before


def test_changes_are_followed_under_asyncio(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    async def follow() -> list[str | None]:
        async with make_workspace() as skills:
            changes = skills.changes()
            skills_root.add("pdf")
            seen = [item.skill for item in (await changes.__anext__()).changes]
            await asyncio.to_thread(skills.close)
            return seen + [item.skill async for change in changes for item in change.changes]

    assert "pdf" in asyncio.run(asyncio.wait_for(follow(), timeout=20))


def test_the_barrier_holds_what_was_written_before(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    with make_workspace() as skills:
        for number in range(20):
            skills_root.add("pdf", body=f"{number}\n")
            assert skills.sync(timeout=10).skills["pdf"].instructions() == f"{number}\n"
            skills_root.add("pdf", body=f"{number}, again\n")
            assert skills.refresh(timeout=10).skills["pdf"].instructions() == f"{number}, again\n"


def test_a_listener_may_sync_and_close(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills = make_workspace().start()
    done = threading.Event()

    def on_change(change: SkillsChanged) -> None:
        skills.sync(timeout=5)
        skills.close()
        done.set()

    skills.subscribe(on_change)
    skills_root.add("pdf")
    assert done.wait(10)


def test_health_is_told_when_a_root_goes_and_comes(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    with make_workspace() as skills:
        assert [root.path for root in skills.roots] == [str(skills_root.path)]
        told: list[RootHealth] = []
        skills.subscribe_health(told.append)
        skills_root.path.rename(skills_root.path.with_name("away"))
        wait_for(lambda: [health.mode for health in told] == ["missing"])
        assert skills.health[0].cure == "Create the directory."
        skills_root.path.with_name("away").rename(skills_root.path)
        wait_for(lambda: [health.mode for health in told] == ["missing", "native"])


def test_a_workspace_that_was_not_started_says_how(make_workspace: Opener) -> None:
    with pytest.raises(ClosedError, match="use it in a `with` statement"):
        _ = make_workspace().snapshot


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse names that are not UTF-8")
def test_what_is_not_utf8_and_every_kind_of_field_survives(make_workspace: Opener, skills_root: SkillsRoot) -> None:
    directory = skills_root.add("pdf", files={"scripts/run.py": "x"})
    fields = "name: pdf\ndescription: Ä “x” \U0001f600\nlist: [1, 2.5, null, true, {a: [b]}]\ndate: 2026-11-21\n"
    skills_root.write("pdf/SKILL.md", b"---\n" + fields.encode() + b"---\nBytes \xff\x00 and more.\r\n")
    Path(os.fsdecode(os.fsencode(directory) + b"/na\xefve.md")).write_text("x")
    Path(os.fsdecode(os.fsencode(skills_root.path) + b"/loose\xff.md")).write_text("x")
    skills_root.write("broken/SKILL.md", "no frontmatter")
    skills_root.write("pdf/huge.md", b"x" * 2_000_000)
    with make_workspace() as skills:
        assert_equals_the_disk(skills, skills_root)
        assert any("\udcef" in file.path for file in skills.snapshot.skills["pdf"].files)
        Path(os.fsdecode(os.fsencode(directory) + b"/na\xefve.md")).write_text("other")
        skills.sync()
        assert_equals_the_disk(skills, skills_root)
