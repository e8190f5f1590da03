"""Bounded: whatever somebody puts below a root, it costs little, is told, and takes nothing from other skills."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis.stateful import invariant

from skills_refresh import Settings, Snapshot, Workspace, listing, scan, tree, tree_limits

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
