from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from skills_refresh import Workspace, watch

from ..conftest import SkillsRoot
from .frameworks import import_framework

import_framework("fastmcp.server.providers.skills", "fastmcp")

from fastmcp import Client, FastMCP  # noqa: E402 - after it was seen to be there
from fastmcp.server.providers import Provider  # noqa: E402
from fastmcp.server.providers.skills import SkillsDirectoryProvider  # noqa: E402
from fastmcp.utilities.skills import download_skill, list_skills  # noqa: E402

from skills_refresh.adapters.fastmcp import SnapshotSkillsProvider  # noqa: E402

Shown = Literal["template", "resources"]
_Answer = TypeVar("_Answer")


@pytest.fixture
def skills(skills_root: SkillsRoot) -> Iterator[Workspace]:
    skills_root.add("pdf", description="First.", files={"scripts/run me.py": "print(1)\n", "data.json": "{}"})
    with watch(skills_root.path) as workspace:
        yield workspace


def asked(provider: Provider, question: Callable[[Client[Any]], Awaitable[_Answer]]) -> _Answer:
    """What a client gets that asks a server with `provider`."""

    async def ask() -> _Answer:
        async with Client(FastMCP("skills", providers=[provider])) as client:
            return await question(client)

    return asyncio.run(ask())


def read(provider: Provider, address: str) -> str:
    async def ask(client: Client[Any]) -> str:
        content = (await client.read_resource(address))[0]
        return str(getattr(content, "text", content))

    return asked(provider, ask)


def descriptions(provider: Provider) -> dict[str, str]:
    return {skill.name: skill.description for skill in asked(provider, list_skills)}


async def everything(client: Client[Any]) -> object:
    resources = sorted(await client.list_resources(), key=lambda resource: str(resource.uri))
    addresses = [str(resource.uri) for resource in resources]
    addresses += ["skill://pdf/data.json", "skill://pdf/scripts/run me.py"]
    return (
        resources,
        sorted(await client.list_resource_templates(), key=lambda template: template.name),
        {address: await client.read_resource(address) for address in addresses},
    )


@pytest.mark.parametrize("shown", ["template", "resources"])
def test_every_answer_is_the_one_of_its_own_provider(shown: Shown, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", description="First.", files={"scripts/run me.py": "print(1)\n", "data.json": "{}"})
    skills_root.add("csv", description="Of «tables».", body="Ä.\n")
    with watch(skills_root.path) as skills:
        ours = asked(SnapshotSkillsProvider(skills, shown), everything)
    assert ours == asked(SkillsDirectoryProvider(skills_root.path, supporting_files=shown), everything)


def test_what_happens_to_skills_is_in_the_next_answer(skills: Workspace, skills_root: SkillsRoot) -> None:
    provider = SnapshotSkillsProvider(skills)
    assert descriptions(provider) == {"pdf": "First."}
    skills_root.add("pdf", description="Second.", body="Now otherwise.\n")
    skills_root.add("csv", description="Added.")
    skills.sync()
    assert descriptions(provider) == {"csv": "Added.", "pdf": "Second."}
    assert "Now otherwise." in read(provider, "skill://pdf/SKILL.md")
    (skills_root.path / "csv/SKILL.md").unlink()
    skills.sync()
    assert descriptions(provider) == {"pdf": "Second."}


def test_a_skill_that_breaks_stays_as_it_was_and_the_others_go_on(skills: Workspace, skills_root: SkillsRoot) -> None:
    provider = SnapshotSkillsProvider(skills)
    skills_root.write("pdf/SKILL.md", b"---\nname: [\n---\n\xff")
    skills_root.add("csv", description="Added.")
    (skills_root.path / "odd name").mkdir()
    skills_root.write("odd name/SKILL.md", "---\nname: odd name/?\ndescription: Odd.\n---\n")
    skills.sync()
    assert descriptions(provider)["pdf"] == "First."
    assert descriptions(provider)["csv"] == "Added."
    assert "Do it." in read(provider, "skill://pdf/SKILL.md")
    assert "description: Odd." in read(provider, "skill://odd%20name%2F%3F/SKILL.md")


def test_a_file_that_was_written_this_moment_is_read_as_it_is_now(skills: Workspace, skills_root: SkillsRoot) -> None:
    provider = SnapshotSkillsProvider(skills)
    for number in range(10):
        skills_root.write("pdf/scripts/run me.py", f"print({number})\n" * number)
        assert read(provider, "skill://pdf/scripts/run me.py") == f"print({number})\n" * number


@pytest.mark.parametrize(("shown", "refusal"), [("template", "has no file"), ("resources", "Resource not found")])
def test_only_what_a_snapshot_lists_can_be_read(
    shown: Shown, refusal: str, skills: Workspace, skills_root: SkillsRoot, tmp_path: Path
) -> None:
    (tmp_path / "secret.md").write_text("Secret.")
    (skills_root.path / "pdf/link.md").symlink_to(tmp_path / "secret.md")
    provider = SnapshotSkillsProvider(skills, shown)
    for address in ("skill://pdf/link.md", "skill://pdf/%2e%2e/%2e%2e/secret.md", "skill://pdf/none.md"):
        with pytest.raises(Exception, match=refusal):
            read(provider, address)
    for address in ("skill://pdf", "skill://none/SKILL.md", "data://pdf/SKILL.md"):
        with pytest.raises(Exception, match="Resource not found"):
            read(provider, address)


def test_a_client_can_download_a_skill(skills: Workspace, tmp_path: Path) -> None:
    async def download(client: Client[Any]) -> Path:
        copy: Path = await download_skill(client, "pdf", tmp_path / "copies")
        return copy

    copy = asked(SnapshotSkillsProvider(skills), download)
    assert (copy / "scripts/run me.py").read_text() == "print(1)\n"
    assert "First." in (copy / "SKILL.md").read_text()


def test_a_file_over_one_megabyte_has_no_hash(skills: Workspace, skills_root: SkillsRoot) -> None:
    skills_root.write("pdf/large.md", "x" * 1_000_001)
    skills.sync()
    manifest = json.loads(read(SnapshotSkillsProvider(skills), "skill://pdf/_manifest"))
    hashes = {file["path"]: file["hash"] for file in manifest["files"]}
    assert hashes["large.md"] is None
    assert hashes["SKILL.md"] == skills.snapshot.skills["pdf"].digest


def test_after_closing_the_last_snapshot_answers(skills: Workspace, skills_root: SkillsRoot) -> None:
    provider = SnapshotSkillsProvider(skills)
    skills.close()
    skills_root.add("pdf", description="Second.")
    assert descriptions(provider) == {"pdf": "First."}
    assert "First." in read(provider, "skill://pdf/SKILL.md")
