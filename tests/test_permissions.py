"""What may not be read for a while: the rest goes on, the last good skill is kept, and it mends by itself.

As a user who is not root, since root may read everything. All is seen by the event of the chmod, long before an audit,
but for what could not even be watched, which is polled.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skills_refresh import Engine, Workspace
from skills_refresh.watching.limits import kernel_watches

from .conftest import SkillsRoot, age, wait_for

pytestmark = pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs the permissions of POSIX")

SEEN_WITHIN_S = 1.0
POLLED_WITHIN_S = 4.0
NOBODY = 65534


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Path]:
    """A directory of the user as whom the test runs, who is not root even if the tests are."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    _load_what_is_loaded_late(SkillsRoot(tmp_path / "first"))
    directory = Path(tempfile.mkdtemp())  # tmp_path lies below a directory that only root may enter
    os.chown(directory, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield directory
    finally:
        os.seteuid(0)
        shutil.rmtree(directory)


def _load_what_is_loaded_late(root: SkillsRoot) -> None:
    """Python itself may lie where only root may read."""
    with Engine() as engine:
        workspace = engine.open([root.path])
        workspace.subscribe(print)()
        root.add("pdf")
        wait_for(lambda: workspace.snapshot.skills)
        kernel_watches()


@pytest.fixture
def root(private: Path) -> Iterator[SkillsRoot]:
    """A root with two skills, `docx` and `pdf`; all is readable again in the end."""
    root = SkillsRoot(private / "above/skills")
    root.add("docx")
    root.add("pdf", body="Good.\n", files={"notes.md": "x", "scripts/run.py": "x"})
    for path in root.path.rglob("*"):
        age(path)
    yield root
    for path in (root.path.parent, root.path):
        path.chmod(0o755)


@pytest.fixture
def workspace(root: SkillsRoot) -> Iterator[Workspace]:
    with Engine() as engine:
        workspace = engine.open([root.path])
        assert workspace.health[0].mode == "native"
        assert sorted(workspace.snapshot.skills) == ["docx", "pdf"]
        assert not workspace.snapshot.problems
        yield workspace


def soon(condition: Callable[[], object], timeout: float = SEEN_WITHIN_S) -> None:
    wait_for(condition, timeout=timeout)


def told(workspace: Workspace) -> list[tuple[str, Path | None]]:
    return [(found.code, found.path) for found in workspace.snapshot.problems]


def body(workspace: Workspace, name: str) -> str:
    return workspace.snapshot.skills[name].instructions()


def assert_the_rest_goes_on(workspace: Workspace, root: SkillsRoot) -> None:
    version = workspace.version
    root.add("docx", body=f"Edited after {version}.\n")
    soon(lambda: body(workspace, "docx") == f"Edited after {version}.\n")


def assert_mended(workspace: Workspace, root: SkillsRoot) -> None:
    """No problem is left, nobody asked for an audit, and edits at every place are seen."""
    soon(lambda: not workspace.snapshot.problems)
    assert workspace.health[0].found_by_audit == 0
    root.add("pdf", body="Edited.\n")
    soon(lambda: body(workspace, "pdf") == "Edited.\n")
    root.write("pdf/scripts/run.py", "longer")
    soon(lambda: [file.size for file in workspace.snapshot.skills["pdf"].files if file.path == "scripts/run.py"] == [6])
    root.add("pdf-two")
    soon(lambda: "pdf-two" in workspace.snapshot.skills)


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100], ids=["closed", "unsearchable", "unlistable"])
def test_a_skills_directory_that_cannot_be_read_keeps_its_skill(
    workspace: Workspace, root: SkillsRoot, mode: int
) -> None:
    before = workspace.snapshot.skills["pdf"]
    (root.path / "pdf").chmod(mode)
    soon(lambda: workspace.snapshot.problems)
    assert all((root.path / "pdf") in (path, *path.parents) for _, path in told(workspace) if path)
    codes = [code for code, _ in told(workspace)]
    assert codes.count("stale") == 1
    assert codes.count("unreadable") == (3 if mode == 0o400 else 1)  # one that may be listed shows what is in it
    assert_the_rest_goes_on(workspace, root)
    assert (workspace.snapshot.skills["pdf"].instructions(), workspace.snapshot.skills["pdf"].location) == (
        before.instructions(),
        before.location,
    )
    (root.path / "pdf").chmod(0o755)
    assert_mended(workspace, root)


def test_a_directory_inside_of_a_skill_that_cannot_be_read_keeps_its_files(
    workspace: Workspace, root: SkillsRoot
) -> None:
    before = workspace.snapshot.skills["pdf"]
    (root.path / "pdf/scripts").chmod(0)
    soon(lambda: told(workspace) == [("unreadable", root.path / "pdf/scripts")])
    assert workspace.snapshot.skills["pdf"].files == before.files
    assert_the_rest_goes_on(workspace, root)
    (root.path / "pdf/scripts").chmod(0o755)
    assert_mended(workspace, root)


def test_a_skill_file_that_cannot_be_read_keeps_its_skill(workspace: Workspace, root: SkillsRoot) -> None:
    file = root.path / "pdf/SKILL.md"
    before = workspace.snapshot.skills["pdf"]
    file.chmod(0)
    soon(lambda: sorted(told(workspace)) == [("stale", file), ("unreadable", file)])
    assert workspace.snapshot.skills["pdf"].instructions() == before.instructions()
    assert_the_rest_goes_on(workspace, root)
    file.chmod(0o644)
    assert_mended(workspace, root)


def test_another_file_that_cannot_be_read_is_told_and_takes_nothing_away(
    workspace: Workspace, root: SkillsRoot
) -> None:
    file = root.path / "pdf/notes.md"
    file.chmod(0)
    soon(lambda: told(workspace) == [("unreadable", file)])
    assert "notes.md" in [file.path for file in workspace.snapshot.skills["pdf"].files]
    assert_the_rest_goes_on(workspace, root)
    file.chmod(0o644)
    assert_mended(workspace, root)


@pytest.mark.parametrize("mode", [0o000, 0o100], ids=["closed", "unlistable"])
def test_a_root_that_cannot_be_read_keeps_its_skills(workspace: Workspace, root: SkillsRoot, mode: int) -> None:
    before = dict(workspace.snapshot.skills)
    root.path.chmod(mode)
    soon(lambda: "unreadable" in [code for code, _ in told(workspace)])
    assert all(root.path in (path, *path.parents) for _, path in told(workspace) if path)
    assert {name: skill.instructions() for name, skill in workspace.snapshot.skills.items()} == {
        name: skill.instructions() for name, skill in before.items()
    }
    root.path.chmod(0o755)
    assert_mended(workspace, root)
    assert_the_rest_goes_on(workspace, root)


def test_a_root_that_could_be_listed_but_not_entered_is_mended_by_the_event(
    workspace: Workspace, root: SkillsRoot
) -> None:
    root.path.chmod(0o400)
    soon(lambda: "unreadable" in [code for code, _ in told(workspace)], POLLED_WITHIN_S)
    assert sorted(workspace.snapshot.skills) == ["docx", "pdf"]
    root.path.chmod(0o755)
    assert_mended(workspace, root)


def test_a_root_that_cannot_be_reached_is_told_and_mended(workspace: Workspace, root: SkillsRoot) -> None:
    """What is above it may not be searched: no event tells of that, so it takes a look at the root's own path."""
    root.path.parent.chmod(0)
    soon(lambda: ("unreadable", root.path) in told(workspace), POLLED_WITHIN_S)
    root.path.parent.chmod(0o755)
    soon(lambda: not workspace.snapshot.problems, POLLED_WITHIN_S)
    assert_mended(workspace, root)


def test_a_root_that_cannot_be_reached_keeps_its_skills(workspace: Workspace, root: SkillsRoot) -> None:
    root.path.parent.chmod(0)
    soon(lambda: ("unreadable", root.path) in told(workspace), POLLED_WITHIN_S)
    assert sorted(workspace.snapshot.skills) == ["docx", "pdf"]


def test_one_root_that_cannot_be_read_does_not_disturb_another(private: Path, root: SkillsRoot) -> None:
    other = SkillsRoot(private / "other")
    other.add("xlsx")
    with Engine() as engine:
        workspace = engine.open([root.path, other.path])
        root.path.chmod(0)
        soon(lambda: told(workspace))
        other.add("xlsx", body="Edited.\n")
        soon(lambda: body(workspace, "xlsx") == "Edited.\n")
        assert sorted(workspace.snapshot.skills) == ["docx", "pdf", "xlsx"]


def test_what_comes_unreadable_is_found_when_it_can_be_read(workspace: Workspace, root: SkillsRoot) -> None:
    """A skill renamed in, in a directory that may be entered but not read: it cannot be watched, and is polled."""
    staged = SkillsRoot(root.path.parent / "staged").add("xlsx")
    staged.chmod(0o300)
    staged.rename(root.path / "xlsx")
    soon(lambda: told(workspace) == [("unreadable", root.path / "xlsx")])
    soon(lambda: workspace.health[0].mode == "degraded")
    assert_the_rest_goes_on(workspace, root)
    (root.path / "xlsx").chmod(0o755)
    soon(lambda: "xlsx" in workspace.snapshot.skills and not workspace.snapshot.problems)
    age(root.path / "xlsx")
    root.add("xlsx", body="Edited.\n")
    soon(lambda: body(workspace, "xlsx") == "Edited.\n", POLLED_WITHIN_S)


def test_a_root_that_is_unreadable_from_the_start_is_found_when_it_can_be_read(root: SkillsRoot) -> None:
    root.path.chmod(0)
    with Engine() as engine:
        workspace = engine.open([root.path])
        assert ("unreadable", root.path) in told(workspace)
        assert workspace.health[0].mode != "native"
        threading.Event().wait(0.2)  # what could not be read is looked at once more a moment later
        root.path.chmod(0o755)
        soon(lambda: sorted(workspace.snapshot.skills) == ["docx", "pdf"], POLLED_WITHIN_S)
        soon(lambda: ("unreadable", root.path) not in told(workspace))
        age(root.path)
        root.add("pdf", body="Edited.\n")
        soon(lambda: body(workspace, "pdf") == "Edited.\n", POLLED_WITHIN_S)


def test_an_ignore_file_that_could_not_be_looked_at_is_not_told_for_ever(root: SkillsRoot) -> None:
    root.path.chmod(0)
    with Engine() as engine:
        workspace = engine.open([root.path])
        assert told(workspace) == [("unreadable", root.path)]
        root.path.chmod(0o755)
        soon(lambda: not workspace.sync().problems, POLLED_WITHIN_S)
