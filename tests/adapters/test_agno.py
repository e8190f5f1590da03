"""agno: its agent, with a model that notes what it is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from skills_refresh import Workspace

from ..conftest import SkillsRoot
from .frameworks import import_framework
from .full_skill import full_skill

import_framework("agno", "agno")

from agno.agent import Agent  # noqa: E402
from agno.models.base import Model  # noqa: E402
from agno.models.response import ModelResponse  # noqa: E402
from agno.skills import LocalSkills, Skills  # noqa: E402

from skills_refresh.adapters.agno import SnapshotSkillLoader, SnapshotSkills  # noqa: E402

Opener = Callable[..., Workspace]


class NotingModel(Model):
    """Says "Done", and first makes the tool calls in `calls`. Notes each system prompt and each tool's result."""

    def __init__(self) -> None:
        super().__init__(id="noting")
        self.prompts: list[str] = []
        self.results: list[Any] = []
        self.calls: list[tuple[str, dict[str, str]]] = []
        self.before_calls: Callable[[], object] = lambda: None

    def invoke(self, messages: Any, **_: Any) -> ModelResponse:
        self.prompts += [message.content for message in messages if message.role == "system"]
        self.results += [json.loads(message.content) for message in messages if message.role == "tool"]
        calls, self.calls = self.calls, []
        if not calls:
            return ModelResponse(role="assistant", content="Done")
        self.before_calls()
        functions = [{"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls]
        asked = [{"id": str(n), "type": "function", "function": function} for n, function in enumerate(functions)]
        return ModelResponse(role="assistant", content="", tool_calls=asked)

    def turn(self, agent: Agent) -> str:
        """A turn of `agent`; returns the system prompt that this model was sent last."""
        agent.run("Do it.")
        return self.prompts[-1]

    async def ainvoke(self, *_: Any, **__: Any) -> ModelResponse:
        raise NotImplementedError

    def invoke_stream(self, *_: Any, **__: Any) -> Iterator[ModelResponse]:
        raise NotImplementedError

    def ainvoke_stream(self, *_: Any, **__: Any) -> AsyncIterator[ModelResponse]:
        raise NotImplementedError

    def _parse_provider_response(self, response: Any, **_: Any) -> ModelResponse:
        raise NotImplementedError

    def _parse_provider_response_delta(self, response: Any) -> ModelResponse:
        raise NotImplementedError


@pytest.fixture
def model() -> NotingModel:
    return NotingModel()


def make_agent(model: NotingModel, skills: Skills) -> Agent:
    return Agent(model=model, skills=skills, telemetry=False)


def test_an_edit_is_in_the_next_turn(open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel) -> None:
    skills_root.add("pdf", description="Reads them.", body="Read slowly.\n")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, SnapshotSkills(workspace))
    assert "Reads them." in model.turn(agent)
    skills_root.add("pdf", description="Writes them.", body="Write quickly.\n")
    workspace.sync()
    model.calls = [("get_skill_instructions", {"skill_name": "pdf"})]
    prompt = model.turn(agent)
    assert ("Writes them." in prompt, "Reads them." in prompt) == (True, False)
    assert [result["instructions"] for result in model.results] == ["Write quickly."]


def test_skills_come_and_go_between_turns(open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel) -> None:
    directory = skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    skills = SnapshotSkills(workspace)
    agent = make_agent(model, skills)
    model.turn(agent)
    skills_root.add("csv")
    directory.rename(skills_root.path.parent / "gone")
    workspace.sync()
    prompt = model.turn(agent)
    assert ("<name>csv</name>" in prompt, "<name>pdf</name>" in prompt) == (True, False)
    assert (skills.get_skill_names(), [skill.name for skill in skills.get_all_skills()]) == (["csv"], ["csv"])
    assert (skills.get_skill("pdf"), skills.get_skill("csv") is not None) == (None, True)


def test_a_broken_skill_stays_as_it_was_and_hurts_no_other(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    skills_root.add("csv", description="Sorts them.")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, SnapshotSkills(workspace))
    skills_root.write("pdf/SKILL.md", "---\nname: [")
    skills_root.add("csv", description="Tidies them.")
    workspace.sync()
    prompt = model.turn(agent)
    assert ("Reads them." in prompt, "Tidies them." in prompt) == (True, True)


def test_tools_answer_from_the_skills_that_their_turn_began_with(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", body="Read slowly.\n")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, SnapshotSkills(workspace))

    def edit() -> None:
        skills_root.add("pdf", body="Write quickly.\n")
        workspace.sync()

    model.before_calls = edit
    model.calls = [("get_skill_instructions", {"skill_name": "pdf"})]
    model.turn(agent)
    assert [result["instructions"] for result in model.results] == ["Read slowly."]


def test_files_below_references_and_scripts_can_be_read(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    files = {"references/forms/a4.md": "210 by 297", "scripts/run.py": "print()", "notes.md": "No."}
    skills_root.add("pdf", files=files)
    agent = make_agent(model, SnapshotSkills(open_workspace(skills_root.path)))
    model.calls = [
        ("get_skill_reference", {"skill_name": "pdf", "reference_path": "forms/a4.md"}),
        ("get_skill_script", {"skill_name": "pdf", "script_path": "run.py"}),
    ]
    model.turn(agent)
    assert [result["content"] for result in model.results] == ["210 by 297", "print()"]


def test_a_reload_beside_other_loaders_brings_what_is_current(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf")
    local = SkillsRoot(skills_root.path.parent / "local")
    local.add("csv")
    workspace = open_workspace(skills_root.path)
    skills = Skills([SnapshotSkillLoader(workspace), LocalSkills(str(local.path))])
    skills_root.add("svg")
    workspace.sync()
    skills.reload()
    assert sorted(skills.get_skill_names()) == ["csv", "pdf", "svg"]


def test_after_a_reload_all_that_was_written_before_is_there(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills = SnapshotSkills(open_workspace(skills_root.path))
    for number in range(20):
        skills_root.add(f"skill-{number}")
        skills.reload()
        assert len(skills.get_skill_names()) == number + 1


def test_a_closed_workspace_leaves_its_last_skills(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, SnapshotSkills(workspace))
    workspace.close()
    assert "Reads them." in model.turn(agent)


def test_the_fields_of_skills_are_those_of_the_frameworks_own_loader(
    open_workspace: Opener, skills_root: SkillsRoot
) -> None:
    skills_root.add("csv")
    skills_root.write("pdf/SKILL.md", full_skill("[Read, Write]"))
    skills_root.write("pdf/references/a4.md", "210 by 297")
    ours = SnapshotSkills(open_workspace(skills_root.path)).get_all_skills()
    theirs = Skills([LocalSkills(str(skills_root.path))])
    assert ours == [theirs.get_skill("csv"), theirs.get_skill("pdf")]
