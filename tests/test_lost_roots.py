"""Roots that are gone for an instant, and back before anybody looked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from skills_refresh import Workspace, engine_loop

from .conftest import SkillsRoot, wait_for

Opener = Callable[..., Workspace]


def test_a_root_that_was_read_while_its_path_led_nowhere_is_found_again(open_workspace: Opener, tmp_path: Path) -> None:
    """What is above it is moved away and back, and an event comes from inside of it meanwhile."""
    root = SkillsRoot(tmp_path / "parent/skills")
    root.add("pdf")
    workspace = open_workspace(root.path)
    for number in range(4):  # it may also be found missing by the look at its path, which is another thing
        (tmp_path / "parent").rename(tmp_path / "away")
        (tmp_path / f"away/skills/{number}.md").write_text("x")
        wait_for(lambda: not workspace.snapshot.skills)
        (tmp_path / "away").rename(tmp_path / "parent")
        wait_for(lambda number=number: len(workspace.snapshot.files) == number + 1)  # type: ignore[misc]  # mypy cannot type a default
        assert "pdf" in workspace.snapshot.skills


def test_a_root_that_vanished_is_looked_for_soon(
    open_workspace: Opener, skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is mostly being replaced; the usual look at the roots' paths is put off here."""
    monkeypatch.setattr(engine_loop, "POLL_S", 1_000.0)
    skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    shutil.rmtree(skills_root.path)
    wait_for(lambda: not workspace.snapshot.skills)
    skills_root.path.mkdir()
    skills_root.add("pdf")
    wait_for(lambda: "pdf" in workspace.snapshot.skills)


def test_a_root_that_is_a_link_to_nothing_or_to_itself_is_told_and_waited_for(
    open_workspace: Opener, skills_root: SkillsRoot, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere")
    workspace = open_workspace(link)
    assert "is a link to nothing" in workspace.snapshot.problems[0].message
    link.unlink()
    link.symlink_to("link")
    wait_for(lambda: "leads back to itself" in workspace.snapshot.problems[0].message)
    skills_root.add("pdf")
    link.unlink()
    link.symlink_to(skills_root.path)
    wait_for(lambda: "pdf" in workspace.snapshot.skills)
