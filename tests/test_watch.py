"""Fresh and quiet, through real files and the real watchfiles: what a gateway sees of what people do on disk.

Everything here runs with the native watcher and the recursive one; nothing here calls `sync()` unless it is the thing
that is tested, so events alone must do it, long before the first audit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skills_refresh import ClosedError, Engine, SkillsChanged, Workspace
from skills_refresh.watching.native import NativeWatcher
from skills_refresh.watching.recursive import RecursiveWatcher
from skills_refresh.watching.wake import SteppingWaker, make_waker

from .conftest import SkillsRoot, age, skill_text, wait_for
from .oracle import assert_fresh

Opener = Callable[..., Workspace]


@pytest.fixture(params=["native", "recursive", "stepping"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine with each way of hearing of changes."""
    watcher = RecursiveWatcher if request.param == "recursive" else NativeWatcher
    waker = SteppingWaker if request.param == "stepping" else make_waker
    with Engine(make_watcher=watcher, make_waker=waker) as engine:
        yield engine


class Heard:
    """The changes that a listener of `workspace` was told."""

    def __init__(self, workspace: Workspace) -> None:
        self.changes: list[SkillsChanged] = []
        workspace.subscribe(self.changes.append)

    def one(self) -> SkillsChanged:
        wait_for(lambda: self.changes, "a change")
        return self.changes.pop(0)


def test_a_new_skill_is_found(engine: Engine, skills_root: SkillsRoot) -> None:
    workspace = engine.open([skills_root.path])
    skills_root.add("pdf")
    wait_for(lambda: "pdf" in workspace.snapshot.skills)


def test_a_skill_renamed_into_a_root_is_found_with_all_its_files(
    engine: Engine, skills_root: SkillsRoot, tmp_path: Path
) -> None:
    workspace = engine.open([skills_root.path])
    staged = SkillsRoot(tmp_path / "staged").add("pdf", files={"scripts/deep/er/run.py": "x", "notes.md": "y"})
    staged.rename(skills_root.path / "pdf")
    wait_for(lambda: "pdf" in workspace.snapshot.skills and len(workspace.snapshot.skills["pdf"].files) == 3)


def test_a_skill_four_levels_deep_is_found_when_written_at_once(engine: Engine, skills_root: SkillsRoot) -> None:
    workspace = engine.open([skills_root.path])
    for number in range(50):
        skills_root.add(f"a{number}/b/c/skill-{number}")
    wait_for(lambda: len(workspace.snapshot.skills) == 50)


def test_an_edit_is_seen_with_its_new_text(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", body="Old.\n")
    workspace = engine.open([skills_root.path])
    skills_root.add("pdf", body="New.\n")
    wait_for(lambda: workspace.snapshot.skills["pdf"].instructions() == "New.\n")


def test_an_editor_that_replaces_the_file_is_followed(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", body="Old.\n")
    workspace = engine.open([skills_root.path])
    for body in ("First.\n", "Second.\n", "Third.\n"):
        skills_root.write("pdf/.SKILL.md.swp", skill_text("pdf", body=body)).replace(skills_root.path / "pdf/SKILL.md")
        wait_for(lambda body=body: workspace.snapshot.skills["pdf"].instructions() == body)  # type: ignore[misc]  # mypy cannot type a default


def test_a_skill_deleted_and_copied_again_is_still_watched(
    engine: Engine, skills_root: SkillsRoot, tmp_path: Path
) -> None:
    """`rm -rf skill && cp -r`: the directory has the same path, but the kernel's watch went with the old one."""
    directory = skills_root.add("pdf", files={"scripts/run.py": "1"})
    copy = shutil.copytree(directory, tmp_path / "copy")
    workspace = engine.open([skills_root.path])
    for number in range(5):
        shutil.rmtree(directory)
        shutil.copytree(copy, directory)
        skills_root.write("pdf/scripts/run.py", f"print({number})")
        skills_root.add("pdf", body=f"Copy {number}.\n")
        wait_for(lambda number=number: _body(workspace, "pdf") == f"Copy {number}.\n")  # type: ignore[misc]  # mypy cannot type a default
    wait_for(lambda: assert_equal(workspace), "equality with a fresh scan")


def test_a_renamed_skill_is_followed_under_its_new_path(engine: Engine, skills_root: SkillsRoot) -> None:
    directory = skills_root.add("pdf", files={"scripts/run.py": "1"})
    workspace = engine.open([skills_root.path])
    moved = directory.rename(skills_root.path / "documents")
    wait_for(lambda: workspace.snapshot.skills["pdf"].directory == moved)
    (moved / "scripts/run.py").write_text("22")
    wait_for(lambda: workspace.snapshot.skills["pdf"].files[1].size == 2)


def test_a_deleted_skill_is_gone_at_once(engine: Engine, skills_root: SkillsRoot) -> None:
    directory = skills_root.add("pdf")
    workspace = engine.open([skills_root.path])
    shutil.rmtree(directory)
    wait_for(lambda: not workspace.snapshot.skills, timeout=2)


def test_a_root_that_does_not_exist_is_waited_for(engine: Engine, tmp_path: Path) -> None:
    workspace = engine.open([tmp_path / "later/skills"])
    assert [health.mode for health in workspace.health] == ["missing"]
    assert [found.code for found in workspace.snapshot.problems] == ["missing-root"]
    SkillsRoot(tmp_path / "later/skills").add("pdf")
    wait_for(lambda: "pdf" in workspace.snapshot.skills)
    wait_for(lambda: not workspace.snapshot.problems)


def test_a_root_deleted_and_made_again_is_followed(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    workspace = engine.open([skills_root.path])
    for name in ("docx", "xlsx"):
        shutil.rmtree(skills_root.path)
        skills_root.add(name)
        wait_for(lambda name=name: list(workspace.snapshot.skills) == [name])  # type: ignore[misc]  # mypy cannot type a default
    skills_root.add("xlsx", body="Edited.\n")
    wait_for(lambda: _body(workspace, "xlsx") == "Edited.\n")


def test_a_root_that_is_a_link_is_followed_when_it_is_flipped(engine: Engine, tmp_path: Path) -> None:
    for name in ("one", "two"):
        SkillsRoot(tmp_path / name).add(name)
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "one")
    workspace = engine.open([link])
    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").replace(link)
    wait_for(lambda: list(workspace.snapshot.skills) == ["two"])
    assert workspace.snapshot.skills["two"].location == link / "two/SKILL.md"


def test_what_a_link_leads_to_is_followed_by_events(engine: Engine, skills_root: SkillsRoot) -> None:
    """A link to a file elsewhere in the root, and one whose target comes later."""
    skills_root.add("shared", files={"notes.md": "old"})
    skills_root.add("pdf")
    (skills_root.path / "pdf/notes.md").symlink_to("../shared/notes.md")
    (skills_root.path / "pdf/later.md").symlink_to("../shared/later.md")
    workspace = engine.open([skills_root.path])
    assert [found.code for found in workspace.snapshot.problems] == ["dangling-link"]
    skills_root.write("shared/notes.md", "longer")
    wait_for(lambda: workspace.snapshot.skills["pdf"].files[1].size == 6, timeout=5)
    skills_root.write("shared/later.md", "x")
    wait_for(lambda: not workspace.snapshot.problems, timeout=5)


def test_a_link_whose_target_changes_its_kind_is_seen_by_sync(engine: Engine, skills_root: SkillsRoot) -> None:
    root = skills_root.path
    (root / "x").mkdir()
    os.mkfifo(root / "x/real")
    (root / "a").mkdir()
    (root / "a/SKILL.md").symlink_to("../x/real")
    workspace = engine.open([root])
    (root / "x/real").unlink()
    (root / "x/real").write_text(skill_text("a"))
    assert list(workspace.sync().skills) == ["a"]


def test_kubernetes_flips_are_followed_by_events(engine: Engine, skills_root: SkillsRoot) -> None:
    """`pdf -> ..data/pdf`, `..data -> ..1`: only the hidden link changes."""
    root = skills_root.path
    for generation in ("..1", "..2"):
        skills_root.write(f"{generation}/pdf/SKILL.md", skill_text("pdf", body=f"{generation}\n"))
    (root / "..data").symlink_to("..1")
    (root / "pdf").symlink_to("..data/pdf")
    workspace = engine.open([root])
    assert _body(workspace, "pdf") == "..1\n"
    (root / "..data_tmp").symlink_to("..2")
    (root / "..data_tmp").replace(root / "..data")
    wait_for(lambda: _body(workspace, "pdf") == "..2\n", timeout=5)
    assert workspace.snapshot.skills["pdf"].location == root / "pdf/SKILL.md"


def test_a_storm_ends_with_every_file_and_few_versions(engine: Engine, skills_root: SkillsRoot) -> None:
    workspace = engine.open([skills_root.path])
    heard = Heard(workspace)
    for number in range(100):
        skills_root.add(f"skill-{number}", files={"scripts/run.py": "x", "references/notes.md": "y"})
    wait_for(lambda: sum(len(skill.files) for skill in workspace.snapshot.skills.values()) == 300)
    assert len(heard.changes) <= 20


def test_writes_into_an_excluded_directory_publish_nothing(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    workspace = engine.open([skills_root.path])
    before = workspace.snapshot
    for number in range(200):
        skills_root.write(f"pdf/node_modules/package/{number}.md", "x")
        skills_root.write(f"pdf/logo-{number}.svg", "x")
    assert workspace.sync() is before


def test_what_shows_no_difference_moves_nothing(engine: Engine, skills_root: SkillsRoot, tmp_path: Path) -> None:
    """A touch, a save without a difference, other permissions, a read, an edit to a shadowed skill."""
    skill = skills_root.add("pdf", files={"run.py": "x"})
    shadowed = SkillsRoot(tmp_path / "second")
    shadowed.add("pdf")
    workspace = engine.open([skills_root.path, shadowed.path])
    before = workspace.snapshot
    os.utime(skill / "run.py")
    skills_root.write("pdf/.run.py.swp", "x").replace(skill / "run.py")
    (skill / "SKILL.md").chmod(0o600)
    (skill / "SKILL.md").read_bytes()
    shadowed.write("pdf/.swp", skill_text("pdf", body="Different.\n")).replace(shadowed.path / "pdf/SKILL.md")
    assert workspace.sync() is before


def test_a_body_edit_moves_the_version_alone(engine: Engine, skills_root: SkillsRoot) -> None:
    age(skills_root.add("pdf"))
    workspace = engine.open([skills_root.path])
    before, heard = workspace.snapshot, Heard(workspace)
    skills_root.add("pdf", body="Different.\n")
    change = heard.one()
    assert change.changes == (("pdf", "changed", ("instructions",), (skills_root.path / "pdf/SKILL.md",)),)
    assert (change.previous, change.reason) == (before.version, "watch")
    assert change.snapshot.prompt_version == before.prompt_version
    assert change.snapshot.version > before.version


def test_a_new_description_moves_the_prompt_version_too(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    workspace = engine.open([skills_root.path])
    heard = Heard(workspace)
    skills_root.add("pdf", description="Does something else.")
    change = heard.one()
    assert change.changes[0].aspects == ("catalog",)
    assert change.snapshot.prompt_version == change.version


def test_skills_that_did_not_change_are_the_same_objects(engine: Engine, skills_root: SkillsRoot) -> None:
    for name in ("pdf", "docx", "xlsx"):
        skills_root.add(name)
    workspace = engine.open([skills_root.path])
    before = workspace.snapshot
    skills_root.add("pdf", body="Different.\n")
    wait_for(lambda: workspace.version > before.version)
    after = workspace.snapshot
    assert after.skills["pdf"] is not before.skills["pdf"]
    assert after.skills["docx"] is before.skills["docx"]
    assert after.files is before.files


def test_a_half_finished_save_keeps_the_last_good_version(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", body="Good.\n")
    workspace = engine.open([skills_root.path])
    before, heard = workspace.snapshot, Heard(workspace)
    skills_root.write("pdf/SKILL.md", "---\nname: pdf\ndescr")
    change = heard.one()
    assert change.changes == ()
    assert [found.code for found in change.snapshot.problems] == ["stale", "unclosed-frontmatter"]
    assert change.snapshot.skills["pdf"] is before.skills["pdf"]
    skills_root.add("pdf", body="Better.\n")
    wait_for(lambda: _body(workspace, "pdf") == "Better.\n" and not workspace.snapshot.problems)


def test_a_stale_skill_that_is_deleted_is_gone(engine: Engine, skills_root: SkillsRoot) -> None:
    directory = skills_root.add("pdf")
    workspace = engine.open([skills_root.path])
    skills_root.write("pdf/SKILL.md", "broken")
    wait_for(lambda: workspace.snapshot.problems)
    shutil.rmtree(directory)
    wait_for(lambda: not workspace.snapshot.skills and not workspace.snapshot.problems)


def test_a_file_of_no_skill_is_told_without_one(engine: Engine, skills_root: SkillsRoot) -> None:
    workspace = engine.open([skills_root.path])
    heard = Heard(workspace)
    path = skills_root.write("NOTES.md", "x")
    assert heard.one().changes == ((None, "added", ("files",), (path,)),)


def test_a_new_ignore_file_is_obeyed_at_once(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"drafts/one.md": "x"})
    workspace = engine.open([skills_root.path])
    skills_root.write(".skillsignore", "drafts/\n")
    wait_for(lambda: [file.path for file in workspace.snapshot.skills["pdf"].files] == ["SKILL.md"])
    (skills_root.path / ".skillsignore").unlink()
    wait_for(lambda: len(workspace.snapshot.skills["pdf"].files) == 2)


def test_a_broken_ignore_file_keeps_its_last_good_version(engine: Engine, skills_root: SkillsRoot) -> None:
    """What was left out for a reason does not come back because of a slip."""
    skills_root.add("pdf", files={"drafts/one.md": "x"})
    skills_root.write(".skillsignore", "drafts/\n")
    workspace = engine.open([skills_root.path])
    skills_root.write(".skillsignore", b"drafts/\n\xff\n")
    wait_for(lambda: [found.code for found in workspace.snapshot.problems] == ["invalid-ignore-file"])
    assert len(workspace.snapshot.skills["pdf"].files) == 1
    (skills_root.path / ".skillsignore").unlink()
    wait_for(lambda: len(workspace.snapshot.skills["pdf"].files) == 2 and not workspace.snapshot.problems)


def test_sync_is_a_barrier(engine: Engine, skills_root: SkillsRoot) -> None:
    """Everything written before the call is in the snapshot that it returns, a hundred times in a row."""
    workspace = engine.open([skills_root.path])
    for number in range(100):
        skills_root.add("pdf", body=f"{number:03}\n")
        assert workspace.sync().skills["pdf"].instructions() == f"{number:03}\n"


def test_a_closed_workspace_keeps_its_last_snapshot_and_says_so(engine: Engine, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    workspace = engine.open([skills_root.path])
    workspace.close()
    workspace.close()
    assert "pdf" in workspace.snapshot.skills
    with pytest.raises(ClosedError, match="was closed"):
        workspace.sync()


def _body(workspace: Workspace, name: str) -> str | None:
    skill = workspace.snapshot.skills.get(name)
    return skill.instructions() if skill is not None else None


def assert_equal(workspace: Workspace) -> bool:
    try:
        assert_fresh(workspace)
    except AssertionError:
        return False
    return True
