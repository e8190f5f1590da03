"""The current skills in the form that a framework wants them; here that is a text."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from skills_refresh import ClosedError, Skill, Workspace, watch
from skills_refresh.adapters.conversion import ConvertedSkills

from ..conftest import SkillsRoot

Opener = Callable[..., Workspace]


class Conversion:
    """Makes a text of a skill, and counts; refuses one whose description says so."""

    def __init__(self) -> None:
        self.converted: list[str] = []

    def __call__(self, skill: Skill) -> str:
        self.converted.append(skill.name)
        if skill.description == "Refused.":
            raise ValueError("it is too long")
        return f"{skill.name}: {skill.description}"


def test_only_what_differs_is_converted(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills_root.add("csv")
    workspace = open_workspace(skills_root.path)
    convert = Conversion()
    skills = ConvertedSkills(workspace, convert)
    assert skills.current() == ("csv: Does it.", "pdf: Does it.")
    skills_root.add("pdf", description="Reads them.")
    workspace.sync()
    assert skills.current() == ("csv: Does it.", "pdf: Reads them.")
    assert convert.converted == ["csv", "pdf", "pdf"]


def test_without_a_change_there_is_nothing_new(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills = ConvertedSkills(open_workspace(skills_root.path), Conversion())
    assert skills.current() is skills.current()


def test_what_is_gone_is_forgotten(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    directory = skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    skills = ConvertedSkills(workspace, Conversion())
    assert len(skills.current()) == 1
    directory.rename(skills_root.path.parent / "gone")
    workspace.sync()
    assert skills.current() == ()


def test_a_refused_skill_is_left_out_and_told_once(
    open_workspace: Opener, skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "skills_refresh")
    refused = skills_root.add("pdf", description="Refused.")
    workspace = open_workspace(skills_root.path)
    skills = ConvertedSkills(workspace, Conversion())
    assert skills.current() == ()
    skills_root.add("csv")
    workspace.sync()
    assert skills.current() == ("csv: Does it.",)
    reason = "is left out, because the framework refuses it: it is too long"
    assert caplog.messages == [f"{refused}/SKILL.md {reason}"]
    skills_root.add("pdf", description="Reads them.")
    workspace.sync()
    assert skills.current() == ("csv: Does it.", "pdf: Reads them.")


def test_after_closing_the_last_skills_stay_and_before_starting_there_are_none(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    workspace = watch(skills_root.path)
    skills = ConvertedSkills(workspace, Conversion())
    with pytest.raises(ClosedError, match="was not started"):
        skills.current()
    with workspace:
        pass
    assert skills.current() == ("pdf: Does it.",)
