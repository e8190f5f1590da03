"""Bounded: whatever somebody puts below a root, it costs little, is told, and takes nothing from other skills."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis.stateful import invariant

from skills_refresh import Settings, Snapshot, Workspace, listing, scan, tree, tree_limits
from skills_refresh.filters import SkillFilter
from skills_refresh.roots import Root
from skills_refresh.tree import Tree
from skills_refresh.watching.audit import audit

from .conftest import SkillsRoot, skill_text, wait_for
from .oracle import assert_fresh
from .test_state_machine import SETTINGS, Disk

Opener = Callable[..., Workspace]


def codes(snapshot: Snapshot) -> list[str]:
    return [found.code for found in snapshot.problems]


@pytest.fixture
def deep() -> Iterator[Callable[[Path, str, int], None]]:
    """A function that makes directories below a path, one in another; they are too deep for Python to delete."""
    tops: list[Path] = []

    def make(path: Path, name: str, levels: int) -> None:
        tops.append(path / name)
        descriptor = os.open(path, os.O_RDONLY)
        for _ in range(levels):
            os.mkdir(name, dir_fd=descriptor)
            below = os.open(name, os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        os.close(os.open("notes.md", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
        os.close(descriptor)

    yield make
    subprocess.run(["rm", "-rf", *tops], check=True)


# -- limits -----------------------------------------------------------------------------------------------------------


def test_directories_5000_levels_deep_are_told_and_left_out(
    skills_root: SkillsRoot, open_workspace: Opener, deep: Callable[[Path, str, int], None]
) -> None:
    skills_root.add("good")
    deep(skills_root.add("pdf"), "d", 5_000)
    deep(skills_root.path, "d", 5_000)
    workspace = open_workspace(skills_root.path)
    assert list(workspace.snapshot.skills) == ["good", "pdf"]
    assert sorted(codes(workspace.snapshot)) == ["depth-limit", "nesting-limit"]
    assert workspace.health[0].watched_dirs < 100
    assert_fresh(workspace)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_deep_skill_takes_few_descriptors_while_it_is_read(skills_root: SkillsRoot) -> None:
    deep = "/".join(str(level) for level in range(60))
    skills_root.add("deep", files={f"{deep}/notes.md": "x", f"{deep}/more/notes.md": "x", "beside/notes.md": "x"})
    program = """
import resource, sys
from skills_refresh import scan
scan([])
resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
found = scan([sys.argv[1]]).snapshot
print(len(found.skills["deep"].files), [problem.code for problem in found.problems])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, skills_root.path], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("4 []\n", "")


def test_paths_that_are_too_long_are_told_and_not_looked_for_again(
    skills_root: SkillsRoot, open_workspace: Opener, deep: Callable[[Path, str, int], None]
) -> None:
    deep(skills_root.add("pdf"), "x" * 255, 60)
    workspace = open_workspace(skills_root.path)
    assert codes(workspace.snapshot) == ["path-too-long"]
    assert list(workspace.snapshot.skills) == ["pdf"]
    assert workspace.health[0].mode == "native"
    version = workspace.snapshot.version
    assert workspace.sync().version == version
    assert workspace.health[0].found_by_audit == 0
    assert_fresh(workspace)


def test_a_file_whose_path_just_fits_is_read(
    skills_root: SkillsRoot, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = skills_root.add("pdf")
    monkeypatch.setattr(listing, "PATH_MAX", len(str(path)) + len("/notes.md") + 1)
    (path / "notes.md").write_text("x")
    (path / "notes1.md").write_text("x")
    snapshot = open_workspace(skills_root.path).snapshot
    assert [file.path for file in snapshot.skills["pdf"].files] == ["SKILL.md", "notes.md"]
    assert codes(snapshot) == ["path-too-long"]


def test_of_a_huge_directory_no_more_is_looked_at_but_its_skill_is_found(
    skills_root: SkillsRoot, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 100)
    for name in ("pdf", "linked", "bad"):
        for number in range(1_000):
            skills_root.write(f"{name}/{number}.svg", "")
    listed = os.listdir(skills_root.add("pdf"))
    assert listed.index("SKILL.md") >= 0
    (skills_root.path / "linked" / "SKILL.md").symlink_to(skills_root.add("docx") / "SKILL.md")
    (skills_root.path / "bad" / "SKILL.md").mkdir()
    workspace = open_workspace(skills_root.path)
    assert codes(workspace.snapshot).count("entry-limit") == 3
    assert {"docx", "pdf"} == set(workspace.snapshot.skills)
    assert "not-a-file" in codes(workspace.snapshot)
    skills_root.add("pdf", body="Edited.\n")
    wait_for(lambda: workspace.snapshot.skills["pdf"].instructions() == "Edited.\n")
    assert_fresh(workspace)


def test_of_too_many_files_the_first_by_name_are_read_and_the_skill_before_all(
    skills_root: SkillsRoot, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_FILES", 3)
    skills_root.add("pdf", files={f"{letter}.md": "x" for letter in "EDCBA"})
    workspace = open_workspace(skills_root.path)
    assert [file.path for file in workspace.snapshot.skills["pdf"].files] == ["A.md", "B.md", "SKILL.md"]
    assert codes(workspace.snapshot) == ["file-limit"]
    (skills_root.path / "pdf" / "A.md").unlink()
    workspace.sync()
    assert [file.path for file in workspace.snapshot.skills["pdf"].files] == ["B.md", "C.md", "SKILL.md"]
    assert_fresh(workspace)


def test_of_a_link_farm_the_first_by_name_are_followed(
    skills_root: SkillsRoot, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_LINKS", 3)
    skills_root.add("pdf")
    (skills_root.path / "farm").mkdir()
    for letter in "edcba":
        (skills_root.path / "farm" / f"{letter}.md").symlink_to("../pdf/SKILL.md")
    workspace = open_workspace(skills_root.path)
    assert [Path(path).name for path in workspace.snapshot.files] == ["a.md", "b.md", "c.md"]
    assert codes(workspace.snapshot) == ["link-limit"]
    assert_fresh(workspace)


def test_links_that_lead_everywhere_end(skills_root: SkillsRoot, open_workspace: Opener) -> None:
    """Twenty directories, each with a link to each: 20 levels of that would be 10^26 ways."""
    for number in range(20):
        directory = skills_root.add(f"skill-{number}")
        for other in range(20):
            (directory / f"link-{other}").symlink_to(f"../skill-{other}")
    workspace = open_workspace(skills_root.path)
    assert len(workspace.snapshot.skills) == 20
    assert workspace.health[0].watched_dirs == 21
    assert_fresh(workspace)


def test_a_skill_that_is_too_large_takes_nothing_from_the_others(
    skills_root: SkillsRoot, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_limits, "MAX_NAMES_IN_SKILL", 50)
    skills_root.add("aaa", files={f"{number}/notes.md": "x" for number in range(100)})
    skills_root.add("pdf", files={"scripts/run.py": "x"})
    workspace = open_workspace(skills_root.path)
    assert [(found.code, found.path.name) for found in workspace.snapshot.problems] == [("skill-size-limit", "aaa")]
    assert len(workspace.snapshot.skills["pdf"].files) == 2
    assert len(workspace.snapshot.skills["aaa"].files) < 50
    for number in range(10, 100):
        shutil.rmtree(skills_root.path / "aaa" / str(number))
    workspace.sync()
    assert_fresh(workspace)
    assert workspace.snapshot.problems == ()
    assert len(workspace.snapshot.skills["aaa"].files) == 11
    for number in range(10, 100):
        skills_root.write(f"aaa/0/{number}.md", "x")
    workspace.sync()
    assert_fresh(workspace)


def test_many_skills_that_are_too_large_take_no_skill_away(
    skills_root: SkillsRoot, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_limits, "MAX_NAMES_IN_SKILL", 20)
    monkeypatch.setattr(tree_limits, "MAX_NAMES", 100)
    for number in range(10):
        skills_root.add(f"a-{number}", files={f"d/{part}/notes.md": "x" for part in range(10)})
    skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    assert len(workspace.snapshot.skills) == 11
    assert {"skill-size-limit", "root-size-limit"} == set(codes(workspace.snapshot))
    assert_fresh(workspace)


def test_what_lies_near_the_root_is_searched_first(skills_root: SkillsRoot) -> None:
    skills_root.add("a/b/c/d/far")
    skills_root.add("near")
    assert list(scan([skills_root.path], Settings(max_directories=4)).snapshot.skills) == ["near"]


def test_too_much_outside_of_skills_is_told(
    skills_root: SkillsRoot, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_limits, "MAX_NAMES", 20)
    for number in range(20):
        skills_root.write(f"loose-{number:02}/notes.md", "x")
    workspace = open_workspace(skills_root.path)
    assert codes(workspace.snapshot) == ["root-size-limit"]
    shutil.rmtree(skills_root.path / "loose-00")
    workspace.sync()
    assert_fresh(workspace)


@pytest.mark.parametrize(("constant", "value"), [("MAX_NAMES", 20), ("MAX_DIRECTORIES", 10)])
def test_a_root_that_is_too_large_is_told(
    skills_root: SkillsRoot, open_workspace: Opener, monkeypatch: pytest.MonkeyPatch, constant: str, value: int
) -> None:
    monkeypatch.setattr(tree_limits, constant, value)
    for number in range(6):
        skills_root.add(f"skill-{number}", files={"a/notes.md": "x", "b/notes.md": "x"})
    workspace = open_workspace(skills_root.path)
    assert codes(workspace.snapshot) == ["root-size-limit"]
    shutil.rmtree(skills_root.path / "skill-0")
    workspace.sync()
    assert_fresh(workspace)
    for number in range(1, 4):
        shutil.rmtree(skills_root.path / f"skill-{number}")
    workspace.sync()
    assert workspace.snapshot.problems == ()
    assert_fresh(workspace)


def test_of_a_thousand_problems_in_one_directory_some_are_told(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    for number in range(1_000):
        os.mkfifo(skills_root.path / "pdf" / f"{number}.md")
    found = codes(scan([skills_root.path]).snapshot)
    assert found.count("not-a-file") == listing.MAX_PROBLEMS
    assert found.count("problem-limit") == 1


class HostileDisk(Disk):
    """With limits so small that every step meets one."""

    def __init__(self) -> None:
        self.patch = pytest.MonkeyPatch()
        for name in ("MAX_FILES", "MAX_LINKS", "MAX_PROBLEMS"):
            self.patch.setattr(listing, name, 2)
        self.patch.setattr(listing, "MAX_ENTRIES", 6)
        self.patch.setattr(tree, "MAX_LEVELS_IN_SKILL", 2)
        self.patch.setattr(tree_limits, "MAX_NAMES_IN_SKILL", 7)
        self.patch.setattr(tree_limits, "MAX_NAMES", 25)
        self.patch.setattr(tree_limits, "MAX_DIRECTORIES", 10)
        self.patch.setattr(tree_limits, "NAMES_FOR_A_LINK", 2)
        super().__init__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.patch.undo()

    @invariant()
    def limits_hold(self) -> None:
        assert all(health.watched_dirs <= 10 + SETTINGS.max_directories for health in self.workspace.health)


TestHostileDisk = HostileDisk.TestCase


# -- time -------------------------------------------------------------------------------------------------------------


def make_tree(root: SkillsRoot) -> Tree:
    path = str(root.path)
    return Tree(Root(path), os.path.realpath(path), SkillFilter(path), Settings())


def seen(of: Tree) -> object:
    """All that a tree holds, but when it was looked at."""
    return (
        {
            path: (
                directory.relative,
                directory.parent,
                directory.skill,
                directory.signature,
                directory.children,
                directory.links,
                {name: (entry.signature, entry.sha256, entry.error) for name, entry in directory.files.items()},
                directory.problems,
            )
            for path, directory in of.directories.items()
        },
        of.limit_problems,
        of.limits.names,
    )


def read_in_slices(of: Tree, dirty: dict[str, set[str]]) -> int:
    """Reads with no time at all, as often as it takes; returns how often that was."""
    slices = 0
    while dirty:
        dirty = of.read_again(dirty, seconds=0.0).unread
        slices += 1
        assert slices < 10_000, "it makes no progress"
    return slices


def test_a_large_new_skill_is_read_in_slices(skills_root: SkillsRoot) -> None:
    """Between two of them its caller can publish what others did."""
    skills_root.add("pdf")
    sliced = make_tree(skills_root)
    sliced.read_all()
    skills_root.add("new", files={f"{number}/{part}/notes.md": "x" for number in range(20) for part in "ab"})
    skills_root.add("pdf", body="Edited.\n")
    slices = read_in_slices(sliced, audit(sliced.directories.values()).differing)
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)
    assert slices >= 40  # each of the directories at the ends in one of its own


def test_a_directory_with_few_names_does_not_wait_for_one_with_many(skills_root: SkillsRoot) -> None:
    skills_root.add("a", files={f"{number}.md": "x" for number in range(20)})
    skills_root.add("z")
    sliced = make_tree(skills_root)
    sliced.read_all()
    _, large, small = sliced.directories.values()
    for name in "az":
        skills_root.add(name, body="Edited.\n")
    change = sliced.read_again({large.path: {"SKILL.md"}, small.path: {"SKILL.md"}}, seconds=0.0)
    assert change.unread.keys() == {large.path}


def test_files_that_are_written_all_the_time_do_not_keep_new_ones_waiting(skills_root: SkillsRoot) -> None:
    path = skills_root.add("pdf", files={f"{number}.md": "x" for number in range(20)})
    sliced = make_tree(skills_root)
    sliced.read_all()
    (path / "new.md").write_text("x")
    (path / "SKILL.md").write_text("new")
    busy = {f"{number}.md" for number in range(20)}
    top = sliced.directories[str(path)]
    assert sliced.read_again({str(path): busy}, seconds=0.0).unread[str(path)] == {*busy, "new.md"}
    assert sliced.read_again({str(path): busy}, seconds=0.0).unread[str(path)] == busy
    assert top.files.keys() < sliced.directories[str(path)].files.keys()


def test_a_directory_of_many_files_is_read_in_slices(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    sliced = make_tree(skills_root)
    sliced.read_all()
    skills_root.add("pdf", files={f"{number}.md": str(number) for number in range(30)})
    assert read_in_slices(sliced, audit(sliced.directories.values()).differing) >= 30
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


def test_what_is_not_read_yet_is_found_by_an_audit_too(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    sliced = make_tree(skills_root)
    sliced.read_all()
    skills_root.add("new", files={f"{number}/notes.md": "x" for number in range(5)})
    skills_root.add("pdf", files={f"{number}.md": "x" for number in range(5)})
    change = sliced.read_again(audit(sliced.directories.values()).differing, seconds=0.0)
    while change.unread:
        found = audit(sliced.directories.values()).differing
        assert change.unread.keys() <= found.keys()
        change = sliced.read_again(found, seconds=0.0)
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


def test_where_directories_depend_on_each_other_files_are_read_in_slices(skills_root: SkillsRoot) -> None:
    """A link makes the whole root be listed again; the files in it may wait."""
    skills_root.add("pdf")
    (skills_root.path / "linked").symlink_to("pdf")
    sliced = make_tree(skills_root)
    sliced.read_all()
    skills_root.add("new", files={f"{number}.md": str(number) for number in range(30)})
    assert read_in_slices(sliced, audit(sliced.directories.values()).differing) >= 30
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_slices_of_any_size_end_in_the_same_tree(skills_root: SkillsRoot, seed: int, links: bool) -> None:
    random = Random(seed)
    sliced = make_tree(skills_root)
    sliced.read_all()
    unread: dict[str, set[str]] = {}
    for _ in range(60):
        change_something(skills_root, random, links)
        if random.random() < 0.5:
            found = audit(sliced.directories.values())
            for marks in (found.differing, found.racy):
                for path, names in marks.items():
                    unread.setdefault(path, set()).update(names)
            unread = sliced.read_again(unread, seconds=random.choice([0.0, 0.0002])).unread
    wait_for(lambda: not audit(sliced.directories.values()).racy or not sliced.read_again(racy(sliced)).unread)
    for _ in range(20):  # what is new may lead to what no audit could know
        read_in_slices(sliced, unread)
        unread = audit(sliced.directories.values()).differing
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


def racy(of: Tree) -> dict[str, set[str]]:
    return audit(of.directories.values()).racy


def change_something(root: SkillsRoot, random: Random, links: bool) -> None:
    path = root.path.joinpath(*random.choices("abc", k=random.randint(1, 4)))
    try:
        match random.choice(["skill", "file", "file", "remove", "rename", "link"]):
            case "skill":
                path.mkdir(parents=True, exist_ok=True)
                (path / "SKILL.md").write_text(skill_text(path.name, body=str(random.random())))
            case "file":
                path.mkdir(parents=True, exist_ok=True)
                (path / f"{random.choice('xyz')}.md").write_text(str(random.random()))
            case "remove":
                shutil.rmtree(path, ignore_errors=True)
            case "rename":
                path.rename(root.path.joinpath(*random.choices("abc", k=random.randint(1, 3))))
            case "link" if links:
                path.symlink_to(root.path / random.choice("abc"))
    except OSError:
        pass  # not this time


def test_a_skill_that_is_rewritten_all_the_time_does_not_delay_the_others(
    skills_root: SkillsRoot, open_workspace: Opener
) -> None:
    busy = skills_root.add("busy") / "SKILL.md"
    skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    done = threading.Event()

    def rewrite() -> None:
        number = 0
        while not done.wait(0.001):
            number += 1
            busy.write_text(skill_text("busy", body=f"{number}\n"))

    thread = threading.Thread(target=rewrite)
    thread.start()
    try:
        for number in range(5):
            skills_root.add("pdf", body=f"{number}\n")
            text = f"{number}\n"
            wait_for(lambda: workspace.snapshot.skills["pdf"].instructions() == text, timeout=1.0)  # noqa: B023
    finally:
        done.set()
        thread.join()
    workspace.sync()
    assert_fresh(workspace)
