"""strands-agents: its agent, with a model that notes what it is sent."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

from skills_refresh import Workspace

from ..conftest import SkillsRoot
from .frameworks import import_framework
from .full_skill import full_skill

import_framework("strands", "strands-agents")

from strands import Agent  # noqa: E402
from strands.models import Model  # noqa: E402
from strands.vended_plugins.skills import AgentSkills  # noqa: E402

from skills_refresh.adapters.strands import SnapshotAgentSkills  # noqa: E402

if TYPE_CHECKING:
    from strands.types.streaming import StreamEvent

Opener = Callable[..., Workspace]


class NotingModel(Model):
    """Says "Done", and first calls the tool `skills` for `asks_for`, where that is set. Notes each system prompt."""

    def __init__(self) -> None:
        self.prompts: list[str] = []
        self.results: list[str] = []
        self.asks_for = ""
        self.before_asking: Callable[[], object] = lambda: None

    async def stream(
        self, messages: Any, tool_specs: Any = None, system_prompt: str | None = None, **_: Any
    ) -> AsyncIterator[StreamEvent]:
        self.prompts.append(system_prompt or "")
        self.results += [_text(part) for part in messages[-1]["content"] if "toolResult" in part]
        asks_for, self.asks_for = self.asks_for, ""
        yield {"messageStart": {"role": "assistant"}}
        if asks_for:
            self.before_asking()
            yield {"contentBlockStart": {"start": {"toolUse": {"name": "skills", "toolUseId": "1"}}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": f'{{"skill_name": "{asks_for}"}}'}}}}
        else:
            yield {"contentBlockDelta": {"delta": {"text": "Done"}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if asks_for else "end_turn"}}

    def turn(self, agent: Agent) -> str:
        """A turn of `agent`; returns the system prompt that this model was sent last."""
        agent("Do it.")
        return self.prompts[-1]

    def update_config(self, **_: Any) -> None: ...
    def get_config(self) -> dict[str, Any]:
        return {}

    def structured_output(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


def _text(part: Any) -> str:
    return "".join(content["text"] for content in part["toolResult"]["content"])


@pytest.fixture
def model() -> NotingModel:
    return NotingModel()


def make_agent(model: NotingModel, plugin: AgentSkills) -> Agent:
    return Agent(model=model, plugins=[plugin], system_prompt="Be brief.", callback_handler=None)


def test_an_edit_is_in_the_next_turn(open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel) -> None:
    skills_root.add("pdf", description="Reads them.", body="Read slowly.\n")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, SnapshotAgentSkills(workspace))
    assert "Reads them." in model.turn(agent)
    skills_root.add("pdf", description="Writes them.", body="Write quickly.\n")
    workspace.sync()
    model.asks_for = "pdf"
    prompt = model.turn(agent)
    assert ("Writes them." in prompt, "Reads them." in prompt, "Be brief." in prompt) == (True, False, True)
    assert ["Write quickly." in result for result in model.results] == [True]


def test_skills_come_and_go_between_turns(open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel) -> None:
    directory = skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, SnapshotAgentSkills(workspace))
    model.turn(agent)
    skills_root.add("csv")
    directory.rename(skills_root.path.parent / "gone")
    workspace.sync()
    prompt = model.turn(agent)
    assert ("<name>csv</name>" in prompt, "<name>pdf</name>" in prompt) == (True, False)


def test_a_broken_skill_stays_as_it_was_and_hurts_no_other(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    skills_root.add("csv", description="Sorts them.")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, SnapshotAgentSkills(workspace))
    skills_root.write("pdf/SKILL.md", "---\nname: [")
    skills_root.add("csv", description="Tidies them.")
    workspace.sync()
    prompt = model.turn(agent)
    assert ("Reads them." in prompt, "Tidies them." in prompt) == (True, True)


def test_agents_that_share_the_plugin_each_begin_with_the_current_skills(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    workspace = open_workspace(skills_root.path)
    plugin = SnapshotAgentSkills(workspace)
    agents = [make_agent(model, plugin) for _ in range(2)]
    for agent in agents:
        model.turn(agent)
    skills_root.add("pdf", description="Writes them.")
    workspace.sync()
    assert ["Writes them." in model.turn(agent) for agent in agents] == [True, True]


def test_a_turn_of_another_agent_changes_nothing_in_one_that_has_begun(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", body="Read slowly.\n")
    workspace = open_workspace(skills_root.path)
    plugin = SnapshotAgentSkills(workspace)
    other = NotingModel()
    agent, other_agent = make_agent(model, plugin), make_agent(other, plugin)

    def turn_of_the_other() -> None:
        skills_root.add("pdf", body="Read quickly.\n")
        workspace.sync()
        other.asks_for = "pdf"
        other.turn(other_agent)

    model.before_asking = turn_of_the_other
    model.asks_for = "pdf"
    model.turn(agent)
    assert ["Read quickly." in result for result in other.results] == [True]
    assert ["Read slowly." in result for result in model.results] == [True]


def test_a_closed_workspace_leaves_its_last_skills(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, SnapshotAgentSkills(workspace))
    workspace.close()
    assert "Reads them." in model.turn(agent)


def test_the_fields_of_skills_are_those_of_the_frameworks_own_loader(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    skills_root.add("csv")
    skills_root.write("pdf/SKILL.md", full_skill("Read Write"))
    ours = SnapshotAgentSkills(open_workspace(skills_root.path)).get_available_skills()
    theirs = AgentSkills(str(skills_root.path))
    agent = make_agent(model, theirs)
    assert ours == theirs.get_available_skills(agent)
