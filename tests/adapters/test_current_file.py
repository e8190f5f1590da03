"""One file of a skill, read for a model."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest

from skills_refresh import ClosedError, Root, Settings, Workspace, scan
from skills_refresh.adapters.current_file import read_current_file
from skills_refresh.callers import Callers

from ..conftest import SkillsRoot

Opener = Callable[..., Workspace]


class DeafHost:
    """Carries a workspace, and never hears of an edit, as if the next one always came before it could look."""

    callers = Callers()
    settings = Settings()

    def keep(self, workspace: Workspace, *, wanted: bool) -> None: ...

    def is_own_thread(self) -> bool:
        return False

    def invalidate(self, workspace: Workspace) -> Future[None]:
        return self._done()

    def attach(self, workspace: Workspace) -> Future[None]:
        workspace._publish(scan([root.path for root in workspace.roots]).snapshot, "roots")
        return self._done()

    def detach(self, workspace: Workspace) -> None: ...

    def refresh(self, *_: object, **__: object) -> Future[None]:
        return self._done()

    def files_digest(self, workspace: Workspace) -> Future[str]:
        raise NotImplementedError

    @staticmethod
    def _done() -> Future[None]:
        done: Future[None] = Future()
        done.set_result(None)
        return done


def test_what_was_just_written_is_read(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"references/a4.md": "210 by 297"})
    workspace = open_workspace(skills_root.path)
    skills_root.write("pdf/references/a4.md", "297 by 210")
    assert read_current_file(workspace, "pdf", "references/a4.md") == b"297 by 210"


def test_the_skills_own_text_is_that_of_the_snapshot(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    source = workspace.snapshot.skills["pdf"].source
    skills_root.write("pdf/SKILL.md", "---\nname: [")
    workspace.sync()
    assert read_current_file(workspace, "pdf", "SKILL.md") == source


def test_a_link_that_was_swapped_in_leads_nowhere(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"a4.md": "210 by 297"})
    secret = skills_root.path.parent / "secret"
    secret.write_text("xyzzy")
    workspace = open_workspace(skills_root.path)
    (skills_root.path / "pdf" / "a4.md").unlink()
    (skills_root.path / "pdf" / "a4.md").symlink_to(secret)
    with pytest.raises(FileNotFoundError, match=r"the skill 'pdf' has no file 'a4\.md' any more"):
        read_current_file(workspace, "pdf", "a4.md")


def test_what_is_no_file_of_a_skill_is_not_read(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills_root.write("csv/notes.md", "Of no skill.")
    workspace = open_workspace(skills_root.path)
    with pytest.raises(FileNotFoundError, match=r"the skill 'pdf' has no file '\.\./csv/notes\.md'"):
        read_current_file(workspace, "pdf", "../csv/notes.md")
    with pytest.raises(FileNotFoundError, match="there is no skill 'csv'"):
        read_current_file(workspace, "csv", "notes.md")


def test_a_file_behind_an_allowed_link_is_read_where_it_is_said_to_be(
    open_workspace: Opener, skills_root: SkillsRoot
) -> None:
    shared = skills_root.path.parent / "shared"
    SkillsRoot(shared).write("forms/a4.md", "210 by 297")
    skills_root.add("pdf")
    (skills_root.path / "pdf" / "forms").symlink_to(shared / "forms")
    workspace = open_workspace(skills_root.path, settings=Settings(allow_link_targets=(shared,)))
    assert read_current_file(workspace, "pdf", "forms/a4.md") == b"210 by 297"


def test_a_file_that_changes_all_the_while_is_not_handed_out(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"a4.md": "210 by 297"})
    with Workspace(DeafHost(), [Root(str(skills_root.path))], on_close=lambda: None) as workspace:
        skills_root.write("pdf/a4.md", "297 by 210")
        with pytest.raises(FileNotFoundError, match=r"a4\.md is not what it was a moment ago"):
            read_current_file(workspace, "pdf", "a4.md")
    with pytest.raises(ClosedError):
        read_current_file(workspace, "pdf", "a4.md")
