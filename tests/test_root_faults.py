"""What may befall a root while it is watched: it comes, goes, is replaced, flipped, moved with what is above it.

Everything is seen within two seconds, three times in a row, by events and the look at the roots' own paths alone; no
audit comes in time. Afterwards the root is as live as before, and no kernel watch is left on what is gone.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from skills_refresh import Engine, SkillsChanged, Workspace
from skills_refresh.watching.limits import kernel_watches

from .conftest import SkillsRoot, skill_text, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts the kernel's watches")

FOUND_WITHIN_S = 2.0
TIMES = 3

_edits = count()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine before and after which nothing is watched."""
    wait_for(lambda: kernel_watches() == 0, "the end of other watches")
    with Engine() as engine:
        yield engine
    wait_for(lambda: kernel_watches() == 0, "the end of all watches")


def soon(condition: Callable[[], object], what: str = "the condition") -> None:
    wait_for(condition, what, FOUND_WITHIN_S)


def names(workspace: Workspace) -> list[str]:
    return list(workspace.snapshot.skills)


def body(workspace: Workspace, name: str) -> str | None:
    skill = workspace.snapshot.skills.get(name)
    return skill.instructions() if skill is not None else None


def add_deep(root: SkillsRoot, name: str, text: str = "Do it.\n") -> None:
    """A skill that takes three watches, its root's one not counted."""
    root.add(name, body=text, files={"scripts/deep/run.py": "x"})


def assert_live(workspace: Workspace, path: Path, name: str) -> None:
    """An edit of the skill `name`, in its directory `path`, and one deep inside of it, are seen by their events.

    And there are as many kernel watches as directories: nothing that is gone is still watched. That is waited for
    first: while an instance of watches that nobody needs is merged into others, an edit is found by the look after it.
    """
    wait_for(lambda: kernel_watches() == sum(health.watched_dirs for health in workspace.health), "as many watches")
    for file, text in (("SKILL.md", skill_text(name, body=f"{next(_edits)}\n")), ("scripts/deep/run.py", "x" * 9)):
        before = (workspace.version, workspace.health[0].last_event)
        SkillsRoot(path).write(file, text + "y" * next(_edits))
        soon(lambda before=before: workspace.version > before[0], f"the edit of {file}")  # type: ignore[misc]  # mypy cannot type a default
        soon(lambda before=before: workspace.health[0].last_event != before[1], f"the event of {file}")  # type: ignore[misc]  # mypy cannot type a default
    assert [health.found_by_audit for health in workspace.health] == [0] * len(workspace.health)
    wait_for(lambda: kernel_watches() == sum(health.watched_dirs for health in workspace.health), "as many watches")


def test_a_root_that_comes_and_goes_is_followed(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "later/skills"
    workspace = engine.open([path])
    for number in range(TIMES):
        add_deep(SkillsRoot(path), f"skill-{number}")
        soon(lambda number=number: names(workspace) == [f"skill-{number}"])  # type: ignore[misc]  # mypy cannot type a default
        soon(lambda: workspace.health[0].mode == "native")
        assert not workspace.snapshot.problems
        assert_live(workspace, path / f"skill-{number}", f"skill-{number}")
        shutil.rmtree(path.parent if number else path)
        soon(lambda: not workspace.snapshot.skills)
        soon(lambda: workspace.health[0].mode == "missing")
        assert [found.code for found in workspace.snapshot.problems] == ["missing-root"]
        wait_for(lambda: kernel_watches() == 0)


def test_a_root_deleted_and_made_again_at_once_is_followed(engine: Engine, skills_root: SkillsRoot) -> None:
    """With the same skill of another text: often even the inodes are the same."""
    add_deep(skills_root, "pdf")
    workspace = engine.open([skills_root.path])
    for number in range(TIMES):
        shutil.rmtree(skills_root.path)
        add_deep(skills_root, "pdf", f"{number}\n")
        soon(lambda number=number: body(workspace, "pdf") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        assert_live(workspace, skills_root.path / "pdf", "pdf")


def test_a_root_replaced_by_another_tree_does_not_hear_of_the_old_one(engine: Engine, skills_root: SkillsRoot) -> None:
    """`mv skills old; mv new skills`, as deployments do; the old tree is edited on."""
    add_deep(skills_root, "pdf", "old\n")
    workspace = engine.open([skills_root.path])
    for number in range(TIMES):
        staged = SkillsRoot(skills_root.path.with_name("staged"))
        add_deep(staged, "pdf", f"{number}\n")
        old = skills_root.path.rename(skills_root.path.with_name(f"old-{number}"))
        staged.path.rename(skills_root.path)
        SkillsRoot(old).add("left-behind")
        soon(lambda number=number: body(workspace, "pdf") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        assert_only_what_is_edited_moves(workspace, SkillsRoot(old), skills_root, "pdf")
        assert_live(workspace, skills_root.path / "pdf", "pdf")


def assert_only_what_is_edited_moves(workspace: Workspace, old: SkillsRoot, new: SkillsRoot, name: str) -> None:
    """Edits `old` in every way and then `new` once: one change is told, that of `new`."""
    changes: list[SkillsChanged] = []
    unsubscribe = workspace.subscribe(changes.append)
    before = workspace.version
    old.add(name, body="Edited where nobody looks.\n", files={"scripts/deep/run.py": "edited", "new/notes.md": "x"})
    old.add("another")
    shutil.rmtree(old.path / name / "scripts")
    new.write(f"{name}/last.md", "x")
    soon(lambda: changes and workspace.version == changes[-1].version, "the edit of the new tree")
    unsubscribe()
    assert [[item.paths for item in change.changes] for change in changes] == [[(new.path / name / "last.md",)]]
    assert changes[0].previous == before
    (new.path / name / "last.md").unlink()
    soon(lambda: workspace.version > changes[0].version)


def test_a_root_that_is_a_link_is_followed_each_time_it_is_flipped(engine: Engine, tmp_path: Path) -> None:
    generations = [SkillsRoot(tmp_path / f"generation-{number}") for number in range(TIMES + 1)]
    for number, generation in enumerate(generations):
        add_deep(generation, "pdf", f"{number}\n")
    link = tmp_path / "current"
    link.symlink_to(generations[0].path)
    workspace = engine.open([link])
    for number in range(1, TIMES + 1):
        (tmp_path / "next").symlink_to(generations[number].path)
        (tmp_path / "next").replace(link)
        soon(lambda number=number: body(workspace, "pdf") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        assert_only_what_is_edited_moves(workspace, generations[number - 1], SkillsRoot(link), "pdf")
        assert_live(workspace, link / "pdf", "pdf")


class Volume:
    """A directory that is kept as Kubernetes keeps the volume of a ConfigMap: what people see are links through
    `..data`, which is itself a link and is flipped, all at once, to a directory that was written before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self._written: list[Path] = []

    def publish(self, files: dict[str, str]) -> Path:
        """Makes the volume hold `files`, in the kubelet's order. Returns the directory that really holds them."""
        directory = self.path / f"..2024_{len(self._written)}"
        for relative, text in files.items():
            (directory / relative).parent.mkdir(parents=True, exist_ok=True)
            (directory / relative).write_text(text)
        (self.path / "..data_tmp").symlink_to(directory.name)
        (self.path / "..data_tmp").replace(self.path / "..data")
        tops = {relative.split("/")[0] for relative in files}
        shown = {path.name for path in self.path.iterdir() if not path.name.startswith("..")}
        for name in tops - shown:
            (self.path / name).symlink_to(f"..data/{name}")
        for name in shown - tops:
            (self.path / name).unlink()
        if self._written:
            shutil.rmtree(self._written[-1])
        self._written.append(directory)
        return directory


def test_a_kubernetes_volume_is_followed_each_time_it_is_flipped(engine: Engine, tmp_path: Path) -> None:
    """One skill is changed each time, one comes and goes, and one that is no directory's stays as it is."""
    volume = Volume(tmp_path / "skills")
    steady = {"steady/SKILL.md": skill_text("steady"), "pdf/scripts/deep/run.py": "x"}
    volume.publish({"pdf/SKILL.md": skill_text("pdf"), **steady})
    workspace = engine.open([volume.path])
    assert names(workspace) == ["pdf", "steady"]
    for number in range(TIMES):
        coming = {f"skill-{number}/SKILL.md": skill_text(f"skill-{number}")}
        really = volume.publish({"pdf/SKILL.md": skill_text("pdf", body=f"{number}\n"), **steady, **coming})
        soon(lambda number=number: names(workspace) == ["pdf", f"skill-{number}", "steady"])  # type: ignore[misc]  # mypy cannot type a default
        soon(lambda number=number: body(workspace, "pdf") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        assert workspace.snapshot.skills["pdf"].location == volume.path / "pdf/SKILL.md"
        soon(lambda: not workspace.snapshot.problems)  # a link that dangles while the others are flipped is told
        assert_live(workspace, really / "pdf", "pdf")


def test_a_kubernetes_volume_that_is_one_skill_is_followed_each_time_it_is_flipped(
    engine: Engine, tmp_path: Path
) -> None:
    """A ConfigMap whose keys are the files of a skill: its `SKILL.md` is a link."""
    volume = Volume(tmp_path / "pdf")
    volume.publish({"SKILL.md": skill_text("pdf"), "notes.md": "x"})
    workspace = engine.open([volume.path])
    for number in range(TIMES):
        text = "x" * (number + 2)
        volume.publish({"SKILL.md": skill_text("pdf", body=f"{number}\n"), "notes.md": text})
        soon(lambda number=number: body(workspace, "pdf") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        soon(lambda text=text: [file.size for file in workspace.snapshot.skills["pdf"].files][1] == len(text))  # type: ignore[misc]  # mypy cannot type a default
        soon(lambda: not workspace.snapshot.problems)
    assert workspace.health[0].found_by_audit == 0


def test_a_link_elsewhere_that_leads_through_what_is_flipped_is_followed(engine: Engine, tmp_path: Path) -> None:
    """The flip happens in one directory, the link that is meant lies in another, and nothing is deleted."""
    root = SkillsRoot(tmp_path / "skills")
    for number in range(TIMES + 1):
        add_deep(root, f"..2024_{number}/pdf", f"{number}\n")
    (root.path / "..data").symlink_to("..2024_0")
    (root.path / "team").mkdir()
    (root.path / "team/pdf").symlink_to("../..data/pdf")
    workspace = engine.open([root.path])
    for number in range(1, TIMES + 1):
        (root.path / "..data_tmp").symlink_to(f"..2024_{number}")
        (root.path / "..data_tmp").replace(root.path / "..data")
        soon(lambda number=number: body(workspace, "pdf") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        assert_live(workspace, root.path / f"..2024_{number}/pdf", "pdf")


def test_a_root_whose_parent_is_moved_away_and_back_is_followed(engine: Engine, tmp_path: Path) -> None:
    """No event tells of the way there; and what was edited meanwhile is seen."""
    parent, away = tmp_path / "team", tmp_path / "away"
    root = SkillsRoot(parent / "skills")
    add_deep(root, "pdf")
    workspace = engine.open([root.path])
    for number in range(TIMES):
        parent.rename(away)
        soon(lambda: not workspace.snapshot.skills)
        soon(lambda: workspace.health[0].mode == "missing")
        SkillsRoot(away / "skills").add("pdf", body=f"{number}\n")
        away.rename(parent)
        soon(lambda number=number: body(workspace, "pdf") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        assert_live(workspace, root.path / "pdf", "pdf")


def test_a_root_whose_parent_is_deleted_and_made_again_is_followed(engine: Engine, tmp_path: Path) -> None:
    root = SkillsRoot(tmp_path / "a/b/skills")
    add_deep(root, "pdf")
    workspace = engine.open([root.path])
    for number in range(TIMES):
        shutil.rmtree(tmp_path / "a")
        add_deep(root, "pdf", f"{number}\n")
        soon(lambda number=number: body(workspace, "pdf") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        assert_live(workspace, root.path / "pdf", "pdf")


def test_a_root_that_becomes_a_file_and_a_directory_again_does_not_disturb_another(
    engine: Engine, skills_root: SkillsRoot, tmp_path: Path
) -> None:
    other = SkillsRoot(tmp_path / "other")
    add_deep(skills_root, "pdf")
    other.add("docx")
    workspace = engine.open([skills_root.path, other.path])
    for number in range(TIMES):
        shutil.rmtree(skills_root.path)
        skills_root.path.write_text("not a directory")
        soon(lambda: names(workspace) == ["docx"])
        soon(lambda: [found.code for found in workspace.snapshot.problems] == ["root-not-a-directory"])
        soon(lambda: [health.mode for health in workspace.health] == ["missing", "native"])
        other.add("docx", body=f"{number}\n")
        soon(lambda number=number: body(workspace, "docx") == f"{number}\n")  # type: ignore[misc]  # mypy cannot type a default
        # Not deleted, lest the new directory gets its inode, which is a test of its own.
        skills_root.path.rename(tmp_path / f"file-{number}")
        add_deep(skills_root, "pdf")
        soon(lambda: sorted(names(workspace)) == ["docx", "pdf"] and not workspace.snapshot.problems)
        assert_live(workspace, skills_root.path / "pdf", "pdf")


def test_a_root_that_was_a_file_is_followed_even_if_its_inode_is_used_again(
    engine: Engine, skills_root: SkillsRoot
) -> None:
    near = skills_root.path.with_name("near")  # ext4 looks for the inode of a file close to its directory
    near.mkdir()
    for _ in range(50):
        skills_root.path.rmdir()
        (near / "file").write_text("not a directory")
        (near / "file").rename(skills_root.path)
        inode = skills_root.path.stat().st_ino
        workspace = engine.open([skills_root.path])
        workspace.sync()  # a new engine looks at its roots once more at once, and would see that nothing is there
        workspace.sync()
        skills_root.path.unlink()
        skills_root.path.mkdir()
        if skills_root.path.stat().st_ino == inode:
            break
        workspace.close()
    else:
        pytest.skip("this file system did not use the inode again")
    add_deep(skills_root, "pdf")
    soon(lambda: names(workspace) == ["pdf"])
    assert_live(workspace, skills_root.path / "pdf", "pdf")
