from __future__ import annotations

import asyncio
import gc
import logging
import os
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from skills_refresh import Settings, Workspace, watch

from ..conftest import SkillsRoot
from .frameworks import import_framework

import_framework("google.adk.skills", "google-adk")

from google.adk.agents import LlmAgent  # noqa: E402 - after it was seen to be there
from google.adk.models.base_llm import BaseLlm  # noqa: E402
from google.adk.models.llm_request import LlmRequest  # noqa: E402
from google.adk.models.llm_response import LlmResponse  # noqa: E402
from google.adk.runners import InMemoryRunner  # noqa: E402
from google.adk.skills import load_skill_from_dir  # noqa: E402
from google.adk.tools.skill_toolset import SkillToolset  # noqa: E402
from google.genai import types  # noqa: E402

from skills_refresh.adapters.google_adk import EVERYTHING, MAX_FOUND, SnapshotSkillRegistry  # noqa: E402

# What a turn does: calls of tools, by name and arguments.
Call = tuple[str, dict[str, str]]
SEARCH: Call = ("search_skills", {"query": "pdf"})
LOAD: Call = ("load_skill", {"skill_name": "pdf"})


@pytest.fixture
def skills(skills_root: SkillsRoot) -> Iterator[Workspace]:
    skills_root.add("pdf", description="First.", files={"references/forms.md": "Forms.\n"})
    with watch(skills_root.path) as workspace:
        yield workspace


class ScriptedModel(BaseLlm):
    """Calls the tools that `calls` has, in order, and says "Done" when they are used up; notes what it is sent."""

    calls: list[Call]
    sent: list[LlmRequest]

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        self.sent.append(llm_request)
        parts = [types.Part(text="Done")]
        if self.calls:
            name, arguments = self.calls.pop(0)
            parts = [types.Part.from_function_call(name=name, args=arguments)]
        yield LlmResponse(content=types.Content(role="model", parts=parts))


def run_turns(registry: SnapshotSkillRegistry, *turns: Sequence[Call] | Callable[[], object]) -> list[list[Any]]:
    """What the tools answered in each turn of one session; a function among them is called between two turns."""
    model = ScriptedModel(model="scripted", calls=[], sent=[])
    agent = LlmAgent(name="agent", model=model, tools=[SkillToolset(registry=registry)])
    runner = InMemoryRunner(agent=agent, app_name="app")

    async def one_turn(session: str, calls: Sequence[Call]) -> list[Any]:
        model.calls.extend(calls)
        message = types.Content(role="user", parts=[types.Part(text="Go on.")])
        answers = []
        async for event in runner.run_async(user_id="user", session_id=session, new_message=message):
            answers += [answer.response for answer in event.get_function_responses()]
        # A toolset that fails is left out with a warning alone: the model must have been offered its tools.
        assert "load_skill" in model.sent[-1].tools_dict
        return answers

    async def run_all() -> list[list[Any]]:
        session = await runner.session_service.create_session(app_name="app", user_id="user")
        answers = []
        for turn in turns:
            if callable(turn):
                await asyncio.to_thread(turn)
            else:
                answers.append(await one_turn(session.id, turn))
        await runner.close()
        return answers

    return asyncio.run(run_all())


def found(registry: SnapshotSkillRegistry, query: str) -> list[str]:
    return [frontmatter.name for frontmatter in asyncio.run(registry.search_skills(query=query))]


def loaded(registry: SnapshotSkillRegistry, name: str) -> Any:
    return asyncio.run(registry.get_skill(name=name))


def test_an_edit_between_two_turns_is_in_the_next_one(skills: Workspace, skills_root: SkillsRoot) -> None:
    def edit() -> None:
        skills_root.add("pdf", description="Second.", body="Otherwise.\n", files={"references/forms.md": "New.\n"})
        skills.sync()

    resource: Call = ("load_skill_resource", {"skill_name": "pdf", "file_path": "references/forms.md"})
    first, second = run_turns(SnapshotSkillRegistry(skills), [SEARCH, LOAD, resource], edit, [SEARCH, LOAD, resource])
    assert first[0]["result"][0]["description"] == "First."
    assert (first[1]["instructions"], first[2]["content"]) == ("Do it.", "Forms.\n")
    assert second[0]["result"][0]["description"] == "Second."
    assert (second[1]["instructions"], second[2]["content"]) == ("Otherwise.", "New.\n")


def test_a_skill_that_was_deleted_takes_no_tools_from_the_session_that_loaded_it(
    skills: Workspace, skills_root: SkillsRoot
) -> None:
    def delete() -> None:
        (skills_root.path / "pdf/SKILL.md").unlink()
        skills_root.add("csv", description="Added.")
        skills.sync()

    add: Call = ("load_skill", {"skill_name": "csv"})
    _, second = run_turns(SnapshotSkillRegistry(skills), [LOAD], delete, [LOAD, SEARCH, add])
    assert second[0]["error_code"] == "SKILL_NOT_FOUND"
    assert second[1]["result"] == []
    assert second[2]["instructions"] == "Do it."


def test_a_skill_that_breaks_stays_as_it_was_and_the_others_go_on(skills: Workspace, skills_root: SkillsRoot) -> None:
    def break_it() -> None:
        skills_root.write("pdf/SKILL.md", "---\nname: [\n---\n")
        skills_root.add("csv", description="Added.")
        skills.sync()

    registry = SnapshotSkillRegistry(skills)
    _, second = run_turns(registry, [LOAD], break_it, [LOAD])
    assert second[0]["instructions"] == "Do it."
    assert found(registry, EVERYTHING) == ["csv", "pdf"]


def test_a_skill_is_loaded_as_its_own_loader_loads_it(skills_root: SkillsRoot) -> None:
    fields = (
        "license: MIT\ncompatibility: All\nallowed-tools: Read\nmetadata: {adk_inject_state: true, list: [1, {a: b}]}"
    )
    skills_root.write(
        "pdf/SKILL.md", f"---\nname: pdf\ndescription: >\n  Of\n  PDF.\n{fields}\nown: 1.5\n---\n\n# A\n\nB\n"
    )
    for path in ("references/a/b.md", "assets/c.json", "scripts/run.py", "notes.md"):
        skills_root.write(f"pdf/{path}", f"This is {path}.\n")
    skills_root.write("pdf/scripts/windows.py", "print(1)\r\nprint(2)\r\n")
    skills_root.write("pdf/assets/latin.txt", "Ä".encode("latin-1"))
    skills_root.write("pdf/scripts/latin.py", "Ä".encode("latin-1"))
    with watch(skills_root.path) as skills:
        ours = loaded(SnapshotSkillRegistry(skills), "pdf").model_dump()
    assert ours == load_skill_from_dir(skills_root.path / "pdf").model_dump()


def test_a_search_finds_best_first(skills: Workspace, skills_root: SkillsRoot) -> None:
    skills_root.add("tables", description="Of PDF and CSV.")
    skills_root.add("csv", description="Of tables.")
    skills_root.add("archive", description="Packs a zip.")
    skills_root.add("zip", description="Packs.")
    skills.sync()
    registry = SnapshotSkillRegistry(skills)
    assert found(registry, "zip") == ["zip", "archive"]
    assert found(registry, "PDF Forms") == ["pdf", "tables"]
    assert found(registry, "csv tables") == ["csv", "tables"]
    assert found(registry, "nothing") == found(registry, "") == []
    assert found(registry, EVERYTHING) == ["archive", "csv", "pdf", "tables", "zip"]


def test_a_search_finds_no_more_than_a_model_wants_to_read(skills: Workspace, skills_root: SkillsRoot) -> None:
    for number in range(MAX_FOUND + 5):
        skills_root.add(f"table-{number:02}")
    skills.sync()
    registry = SnapshotSkillRegistry(skills)
    assert found(registry, "table") == [f"table-{number:02}" for number in range(MAX_FOUND)]
    assert len(found(registry, EVERYTHING)) == MAX_FOUND + 6


def test_a_skill_that_adk_does_not_accept_is_left_out_and_told_once(
    skills: Workspace, skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    skills_root.write("Odd/SKILL.md", "---\nname: Odd\ndescription: Odd.\n---\n")
    skills_root.write("nameless/SKILL.md", "---\ndescription: Called as its directory.\n---\n")
    skills.sync()
    registry = SnapshotSkillRegistry(skills)
    with caplog.at_level(logging.WARNING, "skills_refresh"):
        for _ in range(2):
            assert found(registry, EVERYTHING) == ["nameless", "pdf"]
        assert loaded(registry, "Odd") is None
    assert [record.message for record in caplog.records if "Odd" in record.message] == [
        f"{skills_root.path / 'Odd/SKILL.md'} is left out, because the framework refuses it: Value error, name must be "
        "lowercase kebab-case (a-z, 0-9, hyphens), with no leading, trailing, or consecutive delimiters"
    ]


def test_a_file_that_was_written_this_moment_is_loaded_as_it_is_now(skills: Workspace, skills_root: SkillsRoot) -> None:
    registry = SnapshotSkillRegistry(skills)
    for number in range(10):
        skills_root.write("pdf/references/forms.md", f"Forms {number}.\n" * number)
        skills_root.add("pdf", description=f"Edition {number}.")
        skills.sync()
        skills_root.write("pdf/references/forms.md", "Last.\n")
        assert loaded(registry, "pdf").resources.get_reference("forms.md") == "Last.\n"


def test_a_file_that_cannot_be_loaded_is_left_out_alone(
    skills: Workspace, skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    skills_root.write("pdf/references/huge.md", "x" * 16_000_001)
    skills.sync()
    skill = loaded(SnapshotSkillRegistry(skills), "pdf")
    assert skill.resources.list_references() == ["forms.md"]
    assert "loaded without a file of it: the file has 16,000,001 bytes" in caplog.text


def test_a_file_behind_a_link_is_loaded_where_links_may_lead(
    skills_root: SkillsRoot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    skills_root.add("pdf", files={"references/own.md": "Own.\n"})
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/forms.md").write_text("Shared.\n")
    (skills_root.path / "pdf/references/forms.md").symlink_to(tmp_path / "shared/forms.md")
    targets = (tmp_path / "shared",)
    with watch(skills_root.path, settings=Settings(allow_link_targets=targets)) as skills:
        there = loaded(SnapshotSkillRegistry(skills), "pdf")
        assert there.resources.get_reference("forms.md") == "Shared.\n"
    assert not caplog.text


def test_a_file_that_could_not_be_read_is_tried_again_in_the_next_turn(
    skills: Workspace, skills_root: SkillsRoot
) -> None:
    registry = SnapshotSkillRegistry(skills)
    forms = skills_root.path / "pdf/references/forms.md"
    skills.close()  # so that nothing else notices
    forms.rename(skills_root.path / "away")
    assert loaded(registry, "pdf").resources.list_references() == []
    (skills_root.path / "away").rename(forms)
    assert loaded(registry, "pdf").resources.get_reference("forms.md") == "Forms.\n"


def test_the_files_of_a_skill_that_is_gone_are_not_kept(skills: Workspace, skills_root: SkillsRoot) -> None:
    registry = SnapshotSkillRegistry(skills)
    before = weakref.ref(loaded(registry, "pdf"))
    assert loaded(registry, "pdf") is before()
    (skills_root.path / "pdf/SKILL.md").unlink()
    skills.sync()
    assert found(registry, EVERYTHING) == []
    gc.collect()
    assert before() is None


def test_a_file_whose_name_is_not_utf8_is_left_out(skills: Workspace, skills_root: SkillsRoot) -> None:
    skills_root.write(os.fsdecode(b"pdf/references/caf\xe9.md"), "Coffee.\n")
    skills.sync()
    registry = SnapshotSkillRegistry(skills)
    assert loaded(registry, "pdf").resources.list_references() == ["forms.md"]
    assert loaded(registry, "pdf") is loaded(registry, "pdf")


def test_after_closing_the_last_snapshot_answers(skills: Workspace, skills_root: SkillsRoot, tmp_path: Path) -> None:
    registry = SnapshotSkillRegistry(skills)
    before = loaded(registry, "pdf")
    skills.close()
    skills_root.path.rename(tmp_path / "away")
    assert loaded(registry, "pdf") is before
    assert found(registry, "pdf") == ["pdf"]
