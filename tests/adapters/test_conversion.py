"""The current skills in the form that a framework wants them; here that is a text."""

from __future__ import annotations

import logging
import os
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
        if skill.description == "Stumbled over.":
            raise KeyError("no such key")
        return f"{skill.name}: {skill.description}"


def test_only_what_differs_is_converted(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills_root.add("csv")
    workspace = open_workspace(skills_root.path)
    convert = Conversion()
    skills = ConvertedSkills(workspace, convert)
    assert tuple(skills.current().values()) == ("csv: Does it.", "pdf: Does it.")
    skills_root.add("pdf", description="Reads them.")
    workspace.sync()
    assert tuple(skills.current().values()) == ("csv: Does it.", "pdf: Reads them.")
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
    assert tuple(skills.current().values()) == ()


def test_a_refused_skill_is_left_out_and_told_once(
    open_workspace: Opener, skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "skills_refresh")
    refused = skills_root.add("pdf", description="Refused.")
    workspace = open_workspace(skills_root.path)
    skills = ConvertedSkills(workspace, Conversion())
    assert tuple(skills.current().values()) == ()
    skills_root.add("csv")
    workspace.sync()
    assert tuple(skills.current().values()) == ("csv: Does it.",)
    reason = "is left out, because the framework refuses it: it is too long"
    assert caplog.messages == [f"{refused}/SKILL.md {reason}"]
    skills_root.add("pdf", description="Reads them.")
    workspace.sync()
    assert tuple(skills.current().values()) == ("csv: Does it.", "pdf: Reads them.")


def test_a_skill_that_the_conversion_stumbles_over_is_left_out_alone(
    open_workspace: Opener, skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    stumbled = skills_root.add("pdf", description="Stumbled over.")
    skills_root.add("csv")
    skills = ConvertedSkills(open_workspace(skills_root.path), Conversion())
    assert tuple(skills.current().values()) == ("csv: Does it.",)
    assert caplog.messages == [
        f"{stumbled}/SKILL.md is left out, because the adapter failed with KeyError('no such key')"
    ]
    assert "Traceback" in caplog.text


def test_what_no_request_to_a_model_could_name_is_left_out_and_told_once(
    open_workspace: Opener, skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    skills_root.add("csv", files={os.fsdecode(b"caf\xe9.md"): "", "tea.md": ""})
    skills_root.write(os.fsdecode(b"caf\xe9/SKILL.md"), "---\nname: cafe\ndescription: D\n---\n")
    workspace = open_workspace(skills_root.path)
    skills = ConvertedSkills(workspace, lambda skill: [file.path for file in skill.files])
    for _ in range(2):
        assert dict(skills.current()) == {"csv": ["SKILL.md", "tea.md"]}
        skills_root.write("notes.md", "Of no skill.")
        workspace.sync()
    assert sorted(text for text in caplog.messages if "left out" in text) == [
        rf"{skills_root.path}/caf\xe9/SKILL.md is left out, because its path is not UTF-8, rename it",
        rf"{skills_root.path}/csv/caf\xe9.md is left out, because its path is not UTF-8, rename it",
    ]


def test_after_closing_the_last_skills_stay_and_before_starting_there_are_none(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    workspace = watch(skills_root.path)
    skills = ConvertedSkills(workspace, Conversion())
    with pytest.raises(ClosedError, match="was not started"):
        skills.current()
    with workspace:
        pass
    assert tuple(skills.current().values()) == ("pdf: Does it.",)
