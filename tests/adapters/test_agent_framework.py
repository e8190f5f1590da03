"""agent-framework-core: its agent, with a chat client that notes what it is sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from skills_refresh import Settings, Workspace

from ..conftest import SkillsRoot
from .frameworks import import_framework
from .full_skill import full_skill

import_framework("agent_framework", "agent-framework-core")

from agent_framework import (  # noqa: E402
    Agent,
    BaseChatClient,
    ChatResponse,
    Content,
    FileSkillsSource,
    FunctionInvocationLayer,
    Message,
    SkillsProvider,
    SkillsSource,
    SkillsSourceContext,
)

from skills_refresh.adapters.agent_framework import SnapshotSkillsSource  # noqa: E402

Opener = Callable[..., Workspace]


class NotingClient(FunctionInvocationLayer[Any], BaseChatClient[Any]):
    """Says "Done", and first makes the tool calls in `calls`. Notes the instructions and each tool's result."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[str] = []
        self.results: list[str] = []
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.before_calls: Callable[[], object] = lambda: None

    async def _inner_get_response(self, *, messages: Any, options: Mapping[str, Any], **_: Any) -> ChatResponse[Any]:
        self.prompts.append(str(options.get("instructions")))
        results = [part for message in messages for part in message.contents if part.type == "function_result"]
        self.results += [str(part.result) for part in results]
        calls, self.calls = self.calls, []
        if calls:
            self.before_calls()
        asked = [Content.from_function_call(str(n), name, arguments=given) for n, (name, given) in enumerate(calls)]
        return ChatResponse(messages=[Message("assistant", asked or ["Done"])])

    def turn(self, agent: Agent[Any]) -> str:
        """A turn of `agent`; returns the instructions that this client was sent last."""

        async def run() -> None:
            await agent.run("Do it.")

        asyncio.run(run())
        return self.prompts[-1]


@pytest.fixture
def client() -> NotingClient:
    return NotingClient()


def make_agent(client: NotingClient, source: SkillsSource) -> Agent[Any]:
    provider = SkillsProvider(
        source,
        disable_load_skill_approval=True,
        disable_read_skill_resource_approval=True,
        disable_run_skill_script_approval=True,
    )
    return Agent(client, context_providers=[provider])


def skills_of(source: SkillsSource, agent: Agent[Any]) -> list[Any]:
    return asyncio.run(source.get_skills(SkillsSourceContext(agent)))


def test_an_edit_is_in_the_next_turn(open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient) -> None:
    skills_root.add("pdf", description="Reads them.", body="Read slowly.\n")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(client, SnapshotSkillsSource(workspace))
    assert "Reads them." in client.turn(agent)
    skills_root.add("pdf", description="Writes them.", body="Write quickly.\n")
    workspace.sync()
    client.calls = [("load_skill", {"skill_name": "pdf"})]
    prompt = client.turn(agent)
    assert ("Writes them." in prompt, "Reads them." in prompt) == (True, False)
    assert ["Write quickly." in result for result in client.results] == [True]


def test_skills_come_and_go_between_turns(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    directory = skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(client, SnapshotSkillsSource(workspace))
    client.turn(agent)
    skills_root.add("csv")
    directory.rename(skills_root.path.parent / "gone")
    workspace.sync()
    prompt = client.turn(agent)
    assert ("<name>csv</name>" in prompt, "<name>pdf</name>" in prompt) == (True, False)


def test_a_broken_skill_stays_as_it_was_and_hurts_no_other(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    skills_root.add("pdf", description="Reads them.")
    skills_root.add("csv", description="Sorts them.")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(client, SnapshotSkillsSource(workspace))
    skills_root.write("pdf/SKILL.md", "---\nname: [")
    skills_root.add("csv", description="Tidies them.")
    workspace.sync()
    prompt = client.turn(agent)
    assert ("Reads them." in prompt, "Tidies them." in prompt) == (True, True)


def test_a_skill_that_the_framework_refuses_is_left_out_and_told_once(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "skills_refresh")
    refused = skills_root.add("PDF")
    skills_root.add("csv")
    workspace = open_workspace(skills_root.path)
    agent = make_agent(client, SnapshotSkillsSource(workspace))
    client.turn(agent)
    skills_root.add("svg")
    workspace.sync()
    prompt = client.turn(agent)
    assert ("PDF" in prompt, "csv" in prompt, "svg" in prompt) == (False, True, True)
    told = [record.getMessage() for record in caplog.records if record.name == "skills_refresh"]
    assert [text for text in told if "refuses" in text and str(refused) in text] == told
    assert len(told) == 1


def test_what_did_not_change_is_the_same_object(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    skills_root.add("csv")
    skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    source = SnapshotSkillsSource(workspace)
    agent = make_agent(client, source)
    before = skills_of(source, agent)
    skills_root.add("pdf", description="Writes them.")
    workspace.sync()
    after = skills_of(source, agent)
    assert [old is new for old, new in zip(before, after, strict=True)] == [True, False]


def test_a_resource_is_read_as_it_is_now(open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient) -> None:
    skills_root.add("pdf", files={"references/a4.md": "210 by 297"})
    workspace = open_workspace(skills_root.path)
    agent = make_agent(client, SnapshotSkillsSource(workspace))
    # As late as when the model has already chosen: the engine need not have seen it yet.
    client.before_calls = lambda: skills_root.write("pdf/references/a4.md", "297 by 210")
    client.calls = [("read_skill_resource", {"skill_name": "pdf", "resource_name": "references/a4.md"})]
    client.turn(agent)
    assert client.results == ["297 by 210"]


def test_a_resource_behind_an_allowed_link_is_read(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    shared = skills_root.path.parent / "shared"
    SkillsRoot(shared).write("a4.md", "210 by 297")
    skills_root.add("pdf")
    (skills_root.path / "pdf" / "forms").symlink_to(shared)
    workspace = open_workspace(skills_root.path, settings=Settings(allow_link_targets=(shared,)))
    agent = make_agent(client, SnapshotSkillsSource(workspace))
    client.calls = [("read_skill_resource", {"skill_name": "pdf", "resource_name": "forms/a4.md"})]
    client.turn(agent)
    assert client.results == ["210 by 297"]


def test_a_script_is_run_by_the_runner(open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient) -> None:
    skills_root.add("pdf", files={"scripts/run.py": "print()", "scripts/run.sh": "echo"})

    def run(skill: Any, script: Any, args: Any = None) -> str:
        return f"ran {Path(script.full_path).relative_to(skill.path)} {args}"

    workspace = open_workspace(skills_root.path)
    asked: dict[str, object] = {"skill_name": "pdf", "script_name": "scripts/run.py", "args": ["a.pdf"]}
    client.calls = [("run_skill_script", asked)]
    client.turn(make_agent(client, SnapshotSkillsSource(workspace, script_runner=run)))
    client.calls = [("run_skill_script", asked | {"script_name": "scripts/run.sh"})]
    client.turn(make_agent(client, SnapshotSkillsSource(workspace, script_runner=run, script_extensions=[".sh"])))
    assert client.results == ["ran scripts/run.py ['a.pdf']", "ran scripts/run.sh ['a.pdf']"]


def test_a_script_that_was_swapped_for_a_link_is_not_run(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    path = skills_root.add("pdf", files={"scripts/run.py": "print()"}) / "scripts" / "run.py"
    other = skills_root.path.parent / "other.py"
    other.write_text("print()")

    def swap() -> None:
        path.unlink()
        path.symlink_to(other)

    source = SnapshotSkillsSource(open_workspace(skills_root.path), script_runner=lambda *_: "ran")
    agent = make_agent(client, source)
    client.before_calls = swap
    client.calls = [("run_skill_script", {"skill_name": "pdf", "script_name": "scripts/run.py"})]
    client.turn(agent)
    assert ["ran" in result for result in client.results] == [False]


def test_a_script_behind_a_link_which_the_framework_would_refuse_is_not_offered(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    directory = skills_root.add("pdf", files={"scripts/run.py": "print()"})
    (directory / "scripts" / "again.py").symlink_to("run.py")
    (directory / "more").symlink_to("scripts")
    agent = make_agent(client, SnapshotSkillsSource(open_workspace(skills_root.path), script_runner=lambda *_: "ran"))
    scripts = ["scripts/again.py", "more/run.py", "scripts/run.py"]
    client.calls = [("run_skill_script", {"skill_name": "pdf", "script_name": script}) for script in scripts]
    client.turn(agent)
    assert client.results[2] == "ran"
    assert ["not found" in result for result in client.results[:2]] == [True, True]


def test_bytes_that_are_no_text_hurt_nobody(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    skills_root.write("pdf/SKILL.md", b"---\nname: pdf\ndescription: Reads them.\n---\n\xff")
    skills_root.write("pdf/a4.md", b"210 by 297\xff")
    agent = make_agent(client, SnapshotSkillsSource(open_workspace(skills_root.path)))
    client.calls = [
        ("load_skill", {"skill_name": "pdf"}),
        ("read_skill_resource", {"skill_name": "pdf", "resource_name": "a4.md"}),
    ]
    client.turn(agent)
    assert ["\N{REPLACEMENT CHARACTER}" in result for result in client.results] == [True, True]


def test_a_closed_workspace_leaves_its_last_skills(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    skills_root.add("pdf", description="Reads them.", files={"a4.md": "210 by 297"})
    workspace = open_workspace(skills_root.path)
    agent = make_agent(client, SnapshotSkillsSource(workspace))
    workspace.close()
    client.calls = [("read_skill_resource", {"skill_name": "pdf", "resource_name": "a4.md"})]
    assert "Reads them." in client.turn(agent)
    assert client.results == ["210 by 297"]


def test_the_fields_of_skills_are_those_of_the_frameworks_own_source(
    open_workspace: Opener, skills_root: SkillsRoot, client: NotingClient
) -> None:
    skills_root.add("csv")
    skills_root.write("pdf/SKILL.md", full_skill("Read Write"))
    skills_root.write("pdf/references/a4.md", "210 by 297")
    skills_root.write("pdf/scripts/run.py", "print()")
    source = SnapshotSkillsSource(open_workspace(skills_root.path))
    agent = make_agent(client, source)
    theirs = sorted(skills_of(FileSkillsSource(str(skills_root.path)), agent), key=lambda skill: skill.path)
    for one, other in zip(skills_of(source, agent), theirs, strict=True):
        assert vars(one.frontmatter) == vars(other.frontmatter)
        assert (one.path, asyncio.run(one.get_content())) == (other.path, asyncio.run(other.get_content()))
