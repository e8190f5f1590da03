"""deepagents: its agent, with a chat model that notes what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skills_refresh import ConfigError, Workspace

from ..conftest import SkillsRoot
from .frameworks import import_framework
from .full_skill import full_skill

import_framework("deepagents", "deepagents")

from deepagents import create_deep_agent  # noqa: E402
from deepagents.backends import FilesystemBackend, StateBackend  # noqa: E402
from deepagents.middleware.skills import SkillsMiddleware  # noqa: E402
from langchain_core.language_models import BaseChatModel  # noqa: E402
from langchain_core.messages import AIMessage, ToolMessage  # noqa: E402
from langchain_core.outputs import ChatGeneration, ChatResult  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402

from skills_refresh.adapters.deepagents import SnapshotSkillsMiddleware  # noqa: E402

Opener = Callable[..., Workspace]
THREAD: Any = {"configurable": {"thread_id": "1"}}


class NotingModel(BaseChatModel):
    """Says "Done", and first makes the tool calls in `calls`. Notes each system prompt and each tool's result."""

    prompts: list[str] = []
    results: list[str] = []
    calls: list[tuple[str, dict[str, str]]] = []

    def _generate(self, messages: Any, *_: Any, **__: Any) -> ChatResult:
        self.prompts.append("".join(message.text for message in messages if message.type == "system"))
        self.results += [message.text for message in messages if isinstance(message, ToolMessage)]
        calls = [{"name": name, "args": given, "id": str(n)} for n, (name, given) in enumerate(self.calls)]
        self.calls = []
        return ChatResult(generations=[ChatGeneration(message=AIMessage("" if calls else "Done", tool_calls=calls))])

    def bind_tools(self, *_: Any, **__: Any) -> NotingModel:
        return self

    @property
    def _llm_type(self) -> str:
        return "noting"

    def turn(self, agent: Any) -> str:
        """A turn of `agent` in one and the same thread; returns the system prompt that this model was sent first."""
        before = len(self.prompts)
        agent.invoke({"messages": [("user", "Do it.")]}, THREAD)
        return self.prompts[before]


@pytest.fixture
def model() -> NotingModel:
    return NotingModel()


def make_agent(model: NotingModel, middleware: SkillsMiddleware[Any, Any], **options: Any) -> Any:
    backend = middleware._backend
    options.setdefault("checkpointer", InMemorySaver())
    return create_deep_agent(model, backend=backend, middleware=[middleware], **options)


def middleware_for(workspace: Workspace, **options: Any) -> SnapshotSkillsMiddleware:
    backend = FilesystemBackend(root_dir=Path(workspace.roots[0].path).parent)
    return SnapshotSkillsMiddleware(workspace, backend=backend, **options)


def test_an_edit_is_in_the_next_turn(open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel) -> None:
    skills_root.add("pdf", description="Reads them.", body="Read slowly.\n")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, middleware_for(workspace))
    assert "Reads them." in model.turn(agent)
    skills_root.add("pdf", description="Writes them.", body="Write quickly.\n")
    workspace.sync()
    model.calls = [("read_file", {"file_path": "/skills/pdf/SKILL.md"})]
    prompt = model.turn(agent)
    assert ("Writes them." in prompt, "Reads them." in prompt) == (True, False)
    assert "`/skills/pdf/SKILL.md`" in prompt
    assert ["Write quickly." in result for result in model.results] == [True]


def test_an_edit_is_in_the_next_turn_of_an_async_agent(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, middleware_for(workspace))

    async def turns() -> None:
        await agent.ainvoke({"messages": [("user", "Do it.")]}, THREAD)
        skills_root.add("pdf", description="Writes them.")
        await asyncio.to_thread(workspace.sync)
        await agent.ainvoke({"messages": [("user", "Do it.")]}, THREAD)

    asyncio.run(turns())
    assert [("Reads them." in prompt, "Writes them." in prompt) for prompt in model.prompts] == [
        (True, False),
        (False, True),
    ]


def test_skills_come_and_go_between_turns(open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel) -> None:
    directory = skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, middleware_for(workspace))
    model.turn(agent)
    skills_root.add("csv")
    directory.rename(skills_root.path.parent / "gone")
    workspace.sync()
    prompt = model.turn(agent)
    assert ("**csv**" in prompt, "**pdf**" in prompt) == (True, False)


def test_a_broken_skill_stays_as_it_was_and_hurts_no_other(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    skills_root.add("csv", description="Sorts them.")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, middleware_for(workspace))
    skills_root.write("pdf/SKILL.md", "---\nname: [")
    skills_root.add("csv", description="Tidies them.")
    workspace.sync()
    prompt = model.turn(agent)
    assert ("Reads them." in prompt, "Tidies them." in prompt) == (True, True)


def test_a_thread_that_another_process_began_is_current_in_its_next_turn(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    saver = InMemorySaver()
    backend = FilesystemBackend(root_dir=skills_root.path.parent)
    sources = ["/skills", "/nowhere"]
    model.turn(make_agent(model, SkillsMiddleware(backend=backend, sources=sources), checkpointer=saver))
    assert "/nowhere&#x27;: " in model.prompts[-1]
    ours = middleware_for(open_workspace(skills_root.path))
    prompt = model.turn(make_agent(model, ours, checkpointer=saver))
    assert ("Reads them." in prompt, "Loading Warnings" in prompt) == (True, False)


def test_a_turn_without_a_change_writes_no_state(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, middleware_for(workspace))

    def updates() -> list[object]:
        steps = agent.stream({"messages": [("user", "Do it.")]}, THREAD, stream_mode="updates")
        return [step["SkillsMiddleware.before_agent"] for step in steps if "SkillsMiddleware.before_agent" in step]

    assert [update is None for update in updates()] == [False]
    assert updates() == [None]


@pytest.mark.parametrize("subagent", ["general-purpose", "writer"])
def test_a_subagent_begins_with_the_same_skills(
    subagent: str, open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    workspace = open_workspace(skills_root.path)
    middleware = middleware_for(workspace)
    writer = {"name": "writer", "description": "Writes.", "system_prompt": "Write.", "middleware": [middleware]}
    agent = make_agent(model, middleware, subagents=[writer])
    # A subagent that looked at the disk would not find it.
    skills_root.write("pdf/SKILL.md", "---\nname: [")
    workspace.sync()
    model.calls = [("task", {"description": "Do it.", "subagent_type": subagent})]
    model.turn(agent)
    assert ["Reads them." in prompt for prompt in model.prompts] == [True, True, True]


def test_the_first_root_is_told_as_the_one_of_highest_priority(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf")
    shared = SkillsRoot(skills_root.path.parent / "shared")
    prompt = model.turn(make_agent(model, middleware_for(open_workspace(skills_root.path, shared.path))))
    assert [line for line in prompt.splitlines() if "(higher priority)" in line] == [
        "**Skills Skills**: `/skills` (higher priority)"
    ]


def test_a_root_that_the_backend_cannot_read_is_refused(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    workspace = open_workspace(skills_root.path)
    backend = FilesystemBackend(root_dir=skills_root.path / "below")
    with pytest.raises(ConfigError, match=f"no path for the root {skills_root.path}: give the backend a root_dir"):
        SnapshotSkillsMiddleware(workspace, backend=backend)


def test_paths_are_those_of_the_backend(open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel) -> None:
    skills_root.add("pdf")
    link = skills_root.path.parent / "link"
    link.symlink_to(skills_root.path)
    linked = open_workspace(link)
    real = FilesystemBackend(root_dir=skills_root.path)
    plain = FilesystemBackend(virtual_mode=False)
    made = [
        SnapshotSkillsMiddleware(linked, backend=real),
        SnapshotSkillsMiddleware(linked, backend=plain),
        SnapshotSkillsMiddleware(linked, backend=StateBackend()),
        SnapshotSkillsMiddleware(linked, backend=plain, backend_path=lambda path: f"/mnt/{path.name}"),
    ]
    prompts = [model.turn(make_agent(model, middleware)) for middleware in made]
    paths = ["/pdf/SKILL.md", f"{link}/pdf/SKILL.md", f"{link}/pdf/SKILL.md", "/mnt/SKILL.md"]
    assert [f"`{path}`" in prompt for path, prompt in zip(paths, prompts, strict=True)] == [True] * 4


def test_a_closed_workspace_leaves_its_last_skills(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("pdf", description="Reads them.")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(model, middleware_for(workspace))
    workspace.close()
    assert "Reads them." in model.turn(agent)


def test_the_fields_of_skills_are_those_of_the_frameworks_own_loader(
    open_workspace: Opener, skills_root: SkillsRoot, model: NotingModel
) -> None:
    skills_root.add("csv")
    skills_root.write("pdf/SKILL.md", full_skill("Read, Write"))
    too_long = f"---\nname: long\ndescription: {'x' * 1025}\ncompatibility: {'y' * 501}\n---\n"
    skills_root.write("long/SKILL.md", too_long)
    ours = middleware_for(open_workspace(skills_root.path))
    theirs = SkillsMiddleware(backend=ours._backend, sources=["/skills"])
    states = []
    for middleware in (ours, theirs):
        agent = make_agent(model, middleware)
        model.turn(agent)
        states.append(agent.get_state(THREAD).values["skills_metadata"])
    assert states[0] == sorted(states[1], key=lambda metadata: str(metadata["name"]))
