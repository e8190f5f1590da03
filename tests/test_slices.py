"""What takes long is read in slices: others are served meanwhile, nothing is shown half, and the end is the same."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skills_refresh import Root, Settings, Skill, Snapshot, Workspace, reconciler
from skills_refresh.catalog import RootCatalog
from skills_refresh.clock import Clock
from skills_refresh.reconciler import Reconciler
from skills_refresh.watched_root import WatchedRoot
from skills_refresh.watching.strategy import make_watcher

from .conftest import SkillsRoot, skill_text, wait_for
from .oracle import assert_fresh
from .test_state_machine import Disk

Opener = Callable[..., Workspace]

# -- what is published ------------------------------------------------------------------------------------------------


def test_a_large_new_skill_is_published_when_it_is_whole_and_others_meanwhile(
    open_workspace: Opener, skills_root: SkillsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "SLICE_S", 0.02)
    monkeypatch.setattr(reconciler, "OPENING_SLICE_S", 0.02)
    large = SkillsRoot(tmp_path / "staged").add("large", files=many_files(6_000))
    skills_root.add("pdf", body="Before.")
    workspace = open_workspace(skills_root.path)
    seen: list[tuple[int, str]] = []
    workspace.subscribe(lambda change: seen.append(sizes_and_body(change.snapshot)))
    large.rename(skills_root.path / "large")
    skills_root.add("pdf", body="Meanwhile.")
    wait_for(lambda: seen and seen[-1][0] == 6_001, "the whole skill", timeout=30)
    assert seen[0] == (0, "Meanwhile.")
    assert {size for size, _ in seen} == {0, 6_001}


def test_skills_of_a_large_root_that_is_replaced_stay_until_the_new_ones_are_read(
    open_workspace: Opener, skills_root: SkillsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other roots are not held up meanwhile."""
    monkeypatch.setattr(reconciler, "SLICE_S", 0.02)
    monkeypatch.setattr(reconciler, "OPENING_SLICE_S", 0.02)
    SkillsRoot(tmp_path / "v1").add("large", files=many_files(3_000))
    SkillsRoot(tmp_path / "v2").add("large", files=many_files(6_000, directories=100))
    (tmp_path / "current").symlink_to("v1")
    skills_root.add("pdf", body="Before.")
    workspace = open_workspace(skills_root.path, tmp_path / "current")
    seen: list[tuple[int, str]] = []
    workspace.subscribe(lambda change: seen.append(sizes_and_body(change.snapshot)))
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "current")
    wait_for(lambda: workspace.health[1].watched_dirs == 3 + 100, "the new root to be opened")
    skills_root.add("pdf", body="Meanwhile.")
    wait_for(lambda: seen and seen[-1][0] == 6_001, "the new version", timeout=30)
    assert seen[0] == (3_001, "Meanwhile.")
    assert {size for size, _ in seen} == {3_001, 6_001}


def many_files(number: int, directories: int = 50) -> dict[str, str]:
    return {f"references/{index % directories}/{index}.md": "x" for index in range(number)}


def sizes_and_body(snapshot: Snapshot) -> tuple[int, str]:
    large = snapshot.skills.get("large")
    return 0 if large is None else len(large.files), snapshot.skills["pdf"].instructions()


def test_what_was_put_off_is_not_put_off_for_ever(skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is new in each turn, and wherever it stands in the alphabet."""
    for name in ("a", "b", "z"):
        skills_root.add(name)
    heart = reconciler.Reconciler(make_watcher(lambda descriptor: None), Settings(), Clock())
    watched = heart.hold(Root(str(skills_root.path)))
    heart.reconcile()
    monkeypatch.setattr(reconciler, "SLICE_S", 0.0)
    skills_root.add("z", body="After.")
    for _ in range(20):
        heart.rescan(watched)
        heart.reconcile()
    assert watched.catalog is not None
    assert watched.catalog.skills["z"].instructions() == "After."
    heart.release(watched)


class Slices:
    """A reconciler that has no time at all, on one root; each step reads one slice."""

    def __init__(self, root: Path) -> None:
        self.heart = Reconciler(make_watcher(lambda descriptor: None), Settings(), Clock())
        self.watched: WatchedRoot = self.heart.hold(Root(str(root)))
        self.read_all()

    @property
    def catalog(self) -> RootCatalog:
        assert self.watched.catalog is not None
        return self.watched.catalog

    def step(self) -> None:
        self.heart.gather()
        self.heart.reconcile()

    def skills_meanwhile(self) -> list[dict[str, Skill]]:
        """Reads all; returns what skills there were after each slice."""
        found: list[dict[str, Skill]] = []
        while not found or self.heart.pending:
            self.step()
            found.append(dict(self.catalog.skills))
            assert len(found) < 10_000, "it makes no progress"
        return found

    def read_all(self) -> None:
        self.skills_meanwhile()

    def replace(self, link: Path, target: str) -> None:
        """Makes the root another one, as deployments do, without reading it."""
        link.with_name("next").symlink_to(target)
        link.with_name("next").rename(link)
        self.heart.look_at_roots()


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Slices]]:
    """A function that opens a root in slices that are as short as can be."""
    monkeypatch.setattr(reconciler, "SLICE_S", 0.0)
    monkeypatch.setattr(reconciler, "OPENING_SLICE_S", 0.0)
    opened: list[Slices] = []

    def open_it(root: Path) -> Slices:
        opened.append(Slices(root))
        return opened[-1]

    yield open_it
    for each in opened:
        each.heart.release(each.watched)


LARGE = {f"references/{number}.md": "x" for number in range(10)}


def test_a_skill_that_moves_is_never_missing(skills_root: SkillsRoot, slices: Callable[[Path], Slices]) -> None:
    names = {"docx", "pdf", "xlsx"}
    for name in names:
        skills_root.add(f"tools/{name}", files=LARGE)
    read = slices(skills_root.path)
    (skills_root.path / "tools").rename(skills_root.path / "more")
    read.heart.audit(read.watched)
    found = read.skills_meanwhile()
    assert [skills.keys() for skills in found if skills.keys() != names] == []
    assert found[0]["pdf"].relative_location == "tools/pdf/SKILL.md"
    assert found[-1]["pdf"].relative_location == "more/pdf/SKILL.md"
    shutil.rmtree(skills_root.path / "more" / "pdf")
    read.heart.audit(read.watched)
    read.read_all()
    assert read.catalog.skills.keys() == names - {"pdf"}


def test_a_skill_that_lies_elsewhere_in_a_replaced_root_is_never_missing(
    skills_root: SkillsRoot, tmp_path: Path, slices: Callable[[Path], Slices]
) -> None:
    SkillsRoot(tmp_path / "v1").add("pdf", files=LARGE)
    SkillsRoot(tmp_path / "v2").add("tools/pdf", files=LARGE)
    SkillsRoot(tmp_path / "v3").write("pdf/SKILL.md", skill_text("docx"))
    for path in LARGE:
        SkillsRoot(tmp_path / "v3").write(f"pdf/{path}", "x")
    link = tmp_path / "current"
    link.symlink_to("v1")
    read = slices(link)
    read.replace(link, "v2")
    assert all("pdf" in skills for skills in read.skills_meanwhile())
    assert read.catalog.skills["pdf"].relative_location == "tools/pdf/SKILL.md"
    read.replace(link, "v3")
    read.read_all()
    assert list(read.catalog.skills) == ["docx"]
    read.replace(link, "v1")
    read.read_all()
    assert list(read.catalog.skills) == ["pdf"]


def test_a_skill_whose_place_another_takes_is_never_missing(
    skills_root: SkillsRoot, tmp_path: Path, slices: Callable[[Path], Slices]
) -> None:
    SkillsRoot(tmp_path / "v1").add("a", files=LARGE)
    SkillsRoot(tmp_path / "v1").add("z")
    SkillsRoot(tmp_path / "v2").write("z/SKILL.md", skill_text("a"))
    for path in LARGE:
        SkillsRoot(tmp_path / "v2").write(f"z/{path}", "x")
    link = tmp_path / "current"
    link.symlink_to("v1")
    read = slices(link)
    read.replace(link, "v2")
    assert all("a" in skills for skills in read.skills_meanwhile())
    assert list(read.catalog.skills) == ["a"]


def test_a_skill_that_is_deleted_goes_at_once_while_others_are_read(
    skills_root: SkillsRoot, slices: Callable[[Path], Slices]
) -> None:
    """Unless one of them may be the same one at another place."""
    skills_root.add("docx", files=LARGE)
    skills_root.add("gone")
    read = slices(skills_root.path)
    skills_root.add("pdf", files=LARGE)
    skills_root.write("docx/new.md", "x")
    read.heart.audit(read.watched)
    for _ in range(5):
        read.step()
    shutil.rmtree(skills_root.path / "gone")
    read.heart.audit(read.watched)
    found = read.skills_meanwhile()
    went, came = ([name in skills for skills in found].index(there) for name, there in (("gone", False), ("pdf", True)))
    assert went < came - 5
    assert list(found[-1]) == ["docx", "pdf"]


@pytest.mark.parametrize("is_new", [False, True])
def test_a_skill_that_can_no_longer_be_listed_is_not_shown_half_read(
    tmp_path: Path, slices: Callable[[Path], Slices], monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    skill = SkillsRoot(tmp_path / "v2").add("new" if is_new else "pdf", body="After.", files=LARGE)
    SkillsRoot(tmp_path / "v1").add("pdf", body="Before.", files=LARGE)
    link = tmp_path / "current"
    link.symlink_to("v1")
    read = slices(link)
    read.replace(link, "v2")
    read.step()
    read.step()
    before = read.catalog.skills.get(skill.name)
    unlist(monkeypatch, skill / "references")
    read.read_all()  # it does not try again and again
    told = {found.code for found in read.catalog.problems}
    if is_new:
        assert (before, told) == (None, {"no-descriptor"})
        assert skill.name not in read.catalog.skills
    else:
        assert before is not None
        assert before.instructions() == "Before."
        assert read.catalog.skills["pdf"] is before
        assert told == {"no-descriptor", "stale"}
    monkeypatch.setattr(os, "scandir", SCANDIR)
    read.heart.audit(read.watched)
    read.read_all()
    assert read.catalog.problems == ()
    assert read.catalog.skills[skill.name].instructions() == "After."
    assert len(read.catalog.skills[skill.name].files) == 1 + len(LARGE)


def test_a_new_skill_that_cannot_be_listed_keeps_none_that_is_gone(
    tmp_path: Path, slices: Callable[[Path], Slices], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows its name, and perhaps nobody ever will."""
    SkillsRoot(tmp_path / "v1").add("gone")
    SkillsRoot(tmp_path / "v2").add("a", files=LARGE)
    skill = SkillsRoot(tmp_path / "v2").add("new", files=LARGE)
    link = tmp_path / "current"
    link.symlink_to("v1")
    read = slices(link)
    read.replace(link, "v2")
    read.step()
    assert list(read.catalog.skills) == ["gone"]
    unlist(monkeypatch, skill)
    read.read_all()
    assert list(read.catalog.skills) == ["a"]


SCANDIR = os.scandir


def unlist(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Makes the operating system run out of descriptors where the directory `path` is listed."""
    inode = path.stat().st_ino

    def scandir(which: int | str) -> object:
        if os.stat(which).st_ino == inode:
            raise OSError(errno.EMFILE, "Too many open files")
        return SCANDIR(which)

    monkeypatch.setattr(os, "scandir", scandir)


def test_what_is_put_off_was_not_found_by_an_audit(tmp_path: Path, slices: Callable[[Path], Slices]) -> None:
    SkillsRoot(tmp_path / "v1").add("pdf")
    SkillsRoot(tmp_path / "v2").add("pdf", files=LARGE)
    link = tmp_path / "current"
    link.symlink_to("v1")
    read = slices(link)
    read.replace(link, "v2")
    read.step()
    assert read.heart.pending
    read.heart.audit(read.watched, rearm=True)
    assert read.watched.found_by_audit == 0


# -- the barrier ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("linked", [False, True])
def test_a_barrier_waits_for_what_is_found_while_it_reads(
    skills_root: SkillsRoot, tmp_path: Path, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    monkeypatch.setattr(reconciler, "SLICE_S", 0.0)
    staged = SkillsRoot(tmp_path / "staged")
    for name in ("a", "b", "z"):
        staged.add(f"tools/{name}", files={f"{part}/{number}.md": "x" for part in range(3) for number in range(3)})
    outside = tmp_path / "outside"
    if linked:
        for number in range(20):
            SkillsRoot(outside).write(f"{number}.md", "x")
        (staged.path / "tools" / "z" / "0" / "link").symlink_to(outside)
    settings = Settings(allow_link_targets=(outside,))
    workspace = open_workspace(skills_root.path, settings=settings)
    (staged.path / "tools").rename(skills_root.path / "tools")
    workspace.sync()
    assert_fresh(workspace, settings)
    assert len(workspace.snapshot.skills) == 3


@pytest.mark.parametrize("new_files", [False, True])
def test_a_barrier_ends_although_something_is_written_all_the_time(
    skills_root: SkillsRoot, slices: Callable[[Path], Slices], new_files: bool
) -> None:
    path = skills_root.add("pdf", files=LARGE)
    read = slices(skills_root.path)
    (path / "references" / "0.md").write_text("Written before.")
    read.heart.rescan(read.watched)
    read.step()
    waiting, number = read.heart.waiting, 0
    while waiting:
        number += 1
        assert number < 100, "it does not end"
        for name in LARGE:
            (path / name).write_text(str(number))
        if new_files:
            skills_root.write(f"pdf/references/new-{number}.md", "x")
            skills_root.write(f"pdf/{number}/notes.md", "x")
        read.heart.rescan(read.watched)
        read.step()
        waiting = read.heart.still_waiting(waiting)
    assert number > 1


class SlicedDisk(Disk):
    """With slices so short that there is never time for more than one file."""

    def __init__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(reconciler, "SLICE_S", 0.0)
        self.patch.setattr(reconciler, "OPENING_SLICE_S", 0.0)
        super().__init__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.patch.undo()


TestSlicedDisk = SlicedDisk.TestCase
