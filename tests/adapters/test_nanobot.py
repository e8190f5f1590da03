from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from model_server import ModelServer, model_server
from skills_refresh import ConfigError, Workspace, watch

from ..conftest import SkillsRoot, skill_text
from .frameworks import import_framework

import_framework("nanobot", "nanobot-ai")

from nanobot.agent.context import ContextBuilder  # noqa: E402 - after it was seen to be there
from nanobot.agent.loop import AgentLoop  # noqa: E402
from nanobot.agent.plugins import AGENT_PLUGIN_SCHEMA, set_agent_plugin_enabled  # noqa: E402
from nanobot.agent.skills import BUILTIN_SKILLS_DIR, SkillsLoader  # noqa: E402
from nanobot.bus.queue import MessageBus  # noqa: E402
from nanobot.config.loader import set_config_path  # noqa: E402
from nanobot.providers.openai_compat_provider import OpenAICompatProvider  # noqa: E402

from skills_refresh.adapters.nanobot import ASK_AGAIN_S, SnapshotSkillsLoader  # noqa: E402

# Skills in every form that nanobot knows, by their frontmatter.
FORMS = {
    "always": "description: Always there.\nalways: true",
    "awaiting": "description: Not yet there.\nalways: true\nmetadata: {nanobot: {requires: {bins: [no-such]}}}",
    "called": "description: 'Quoted: with a colon.'\nmetadata: {nanobot: {always: true, requires: {bins: [sh]}}}",
    "encoded": 'description: In JSON.\nmetadata: \'{"openclaw": {"requires": {"env": ["SKILLS_TEST_KEY"]}}}\'',
    "folded": "description: >\n  Over\n  two lines.\nlicense: MIT\nversion: 1.10",
    "lacking": "description: Lacks.\nmetadata: {nanobot: {requires: {bins: [no-such, sh], env: [NO_SUCH]}}}",
    "number": "description: 5",
    "odd": "description: Odd.\nmetadata: {nanobot: {requires: {bins: sh, env: [1, '']}}}",
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """nanobot's workspace, with its configuration beside it."""
    set_config_path(tmp_path / "config.json")
    yield tmp_path / "home"
    set_config_path(None)


@pytest.fixture
def root(home: Path) -> SkillsRoot:
    return SkillsRoot(home / "skills")


@pytest.fixture
def skills(root: SkillsRoot) -> Iterator[Workspace]:
    root.add("pdf", description="First.")
    with watch(root.path, BUILTIN_SKILLS_DIR) as workspace:
        yield workspace


@pytest.fixture
def builtin(tmp_path: Path) -> Path:
    """Skills that come with nanobot, few enough for its own loader to answer soon."""
    root = SkillsRoot(tmp_path / "builtin")
    root.add("cron", description="Built in.")
    root.add("weather", description="Built in, and behind the others.")
    return root.path


def write_all_forms(root: SkillsRoot) -> None:
    for name, fields in FORMS.items():
        root.write(f"{name}/SKILL.md", f"---\nname: {name}\n{fields}\n---\n\n# {name}\n\nDo it.\n")
    root.add("pdf", description="Of the workspace.")
    root.write("misnamed/SKILL.md", "---\nname: another\ndescription: Called otherwise.\n---\n")
    root.write("crlf/SKILL.md", skill_text("crlf", "Of Windows.").replace("\n", "\r\n"))


def add_plugin(home: Path, description: str = "Of a plugin.") -> None:
    plugin = SkillsRoot(home / "plugins/office/skills")
    plugin.add("slides", description=description)
    plugin.add("pdf", description="Behind the workspace's.")
    plugin.add("weather", description="Before the built-in one.")
    manifest = {"$schema": AGENT_PLUGIN_SCHEMA, "name": "office"}
    (home / "plugins/office/plugin.json").write_text(json.dumps(manifest))
    set_agent_plugin_enabled(home, "office", True)


def answers(loader: SkillsLoader, elsewhere: Path) -> dict[str, object]:
    """What a loader answers to everything that can be asked of it."""
    every = [skill["name"] for skill in loader.list_skills(filter_unavailable=False)]
    asked = [*every, "old-weather", "no-such-skill"]
    return {
        "list": loader.list_skills(),
        "all": loader.list_skills(filter_unavailable=False),
        "texts": [loader.load_skill(name) for name in asked],
        "context": loader.load_skills_for_context(asked),
        "metadata": [loader.get_skill_metadata(name) for name in asked],
        "descriptions": [loader.get_skill_description(name) for name in asked],
        "availability": [loader.get_skill_availability(name) for name in asked],
        "requirements": [loader.get_skill_requirements(name) for name in asked],
        "always": loader.get_always_skills(),
        "summary": loader.build_skills_summary(),
        "some": loader.build_skills_summary(exclude={"folded", "cron"}),
        "elsewhere": loader.build_skills_summary(workspace=elsewhere),
        "invoked": loader.get_explicitly_invoked_skills("$folded, $lacking, $no-such-skill, $old-weather and $folded"),
        "none invoked": loader.build_explicit_skill_runtime_context("Nothing."),
        "runtime": loader.build_explicit_skill_runtime_context("Use $folded and $always."),
    }


@pytest.mark.parametrize("disabled", [set(), {"folded", "cron", "old-weather", "misnamed"}])
def test_every_answer_is_the_one_of_its_own_loader(
    disabled: set[str],
    home: Path,
    root: SkillsRoot,
    builtin: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_all_forms(root)
    listed = Path.iterdir
    # Its own loader lists as the file system does; for comparing, that is by name, as ours.
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(listed(path))))
    # What an application that was installed calls its skill, by what it was called before.
    monkeypatch.setattr(SkillsLoader, "_skill_aliases", lambda loader: {"old-weather": "weather"})
    with watch(root.path, builtin) as skills:
        ours = SnapshotSkillsLoader(skills, SkillsLoader(home, builtin, disabled))
        own = SkillsLoader(home, builtin, disabled)
        assert answers(ours, tmp_path) == answers(own, tmp_path)
        monkeypatch.setenv("SKILLS_TEST_KEY", "1")
        assert answers(ours, tmp_path) == answers(own, tmp_path)
        add_plugin(home)
        assert answers(ours, tmp_path) == answers(own, tmp_path)
        add_plugin(home, description="Otherwise.")
        assert answers(ours, tmp_path) == answers(own, tmp_path)
        assert "Otherwise." in ours.build_skills_summary()


def test_what_happens_to_skills_is_in_the_next_prompt(home: Path, skills: Workspace, root: SkillsRoot) -> None:
    builder = ContextBuilder(home)
    builder.skills = SnapshotSkillsLoader(skills, builder.skills)
    assert "**pdf** — First." in builder.build_system_prompt()
    root.add("pdf", description="Second.")
    root.add("csv", description="Added.")
    skills.sync()
    prompt = builder.build_system_prompt()
    assert "**pdf** — Second." in prompt
    assert "**csv** — Added.  `csv/SKILL.md`" in prompt
    (root.path / "csv/SKILL.md").unlink()
    skills.sync()
    assert "**csv**" not in builder.build_system_prompt()


def test_a_skill_that_breaks_stays_as_it_was_and_the_others_go_on(
    home: Path, skills: Workspace, root: SkillsRoot
) -> None:
    loader = SnapshotSkillsLoader(skills, SkillsLoader(home))
    root.write("pdf/SKILL.md", "---\nname: [\n---\n")
    root.add("csv", description="Added.")
    skills.sync()
    summary = loader.build_skills_summary()
    assert "**pdf** — First." in summary
    assert "**csv** — Added." in summary
    assert "Do it." in str(loader.load_skill("pdf"))


def test_skills_can_be_disabled_at_any_time(home: Path, skills: Workspace) -> None:
    loader = SnapshotSkillsLoader(skills, SkillsLoader(home))
    assert "**pdf**" in loader.build_skills_summary()
    loader.disabled_skills = {"pdf"}
    assert "**pdf**" not in loader.build_skills_summary()
    assert loader.load_skill("pdf") is None


def test_what_the_replaced_loader_was_told_holds(home: Path, root: SkillsRoot, builtin: Path) -> None:
    root.add("pdf")
    root.add("csv")
    replaced = SkillsLoader(home, builtin, {"pdf"})
    with watch(replaced.workspace_skills, replaced.builtin_skills) as skills:
        loader = SnapshotSkillsLoader(skills, replaced)
        assert [skill["name"] for skill in loader.list_skills()] == ["csv", "cron", "weather"]
        # As nanobot's web interface does it.
        replaced.disabled_skills.clear()
        replaced.disabled_skills.update({"csv", "cron"})
        assert [skill["name"] for skill in loader.list_skills()] == ["pdf", "weather"]


def test_a_name_in_the_frontmatter_neither_enables_a_skill_nor_takes_the_place_of_another(
    home: Path, root: SkillsRoot, builtin: Path
) -> None:
    root.write("evil/SKILL.md", "---\nname: cron\ndescription: Not to be trusted.\n---\n")
    root.write("fine/SKILL.md", "---\nname: other\ndescription: Fine.\n---\n")
    replaced = SkillsLoader(home, builtin, set())
    with watch(root.path, builtin) as skills:
        loader = SnapshotSkillsLoader(skills, replaced)
        assert loader.load_skill("cron") is None
        loader.disabled_skills = {"evil"}
        assert "**fine** — Fine.  `fine/SKILL.md`" in loader.build_skills_summary()
        assert "Not to be trusted." not in loader.build_skills_summary()


def test_a_skill_below_another_directory_is_none_of_nanobots(
    home: Path, root: SkillsRoot, skills: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    root.write("team/csv/SKILL.md", "---\nname: csv\ndescription: Deeper.\n---\n")
    skills.sync()
    loader = SnapshotSkillsLoader(skills, SkillsLoader(home))
    assert "csv" not in loader.build_skills_summary()
    assert "team/csv/SKILL.md is left out, because the framework refuses it: nanobot has only" in caplog.text


def test_a_path_that_is_not_utf8_spoils_no_prompt(home: Path, skills: Workspace, root: SkillsRoot) -> None:
    root.write(os.fsdecode(b"caf\xe9/SKILL.md"), "---\nname: cafe\ndescription: D\n---\n")
    skills.sync()
    builder = ContextBuilder(home)
    builder.skills = SnapshotSkillsLoader(skills, builder.skills)
    assert b"**pdf**" in builder.build_system_prompt().encode()


def test_skills_of_a_root_that_came_later_are_left_out(
    home: Path, root: SkillsRoot, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root.add("pdf")
    SkillsRoot(tmp_path / "later").add("csv")
    # As when the server of `connect` was given other roots.
    with watch(root.path) as skills, watch(root.path, tmp_path / "later") as others:
        loader = SnapshotSkillsLoader(skills, SkillsLoader(home))
        skills._publish(others.snapshot, "config")
        assert [skill["name"] for skill in loader.list_skills()] == ["pdf"]
    assert f"nanobot does not know the root {tmp_path / 'later'}" in caplog.text


def test_aliases_are_not_read_at_each_question(home: Path, skills: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[SkillsLoader] = []

    def read(loader: SkillsLoader) -> dict[str, str]:
        reads.append(loader)
        return {"old": "pdf"}

    monkeypatch.setattr(SkillsLoader, "_skill_aliases", read)
    clock = [0.0]
    loader = SnapshotSkillsLoader(skills, SkillsLoader(home, disabled_skills={"old"}), clock=lambda: clock[0])
    for _ in range(3):
        assert "**pdf**" not in loader.build_skills_summary()
    assert len(reads) == 1
    clock[0] = ASK_AGAIN_S
    assert loader.get_explicitly_invoked_skills("Use $old.") == []
    assert len(reads) == 2


def test_a_summary_is_of_what_is_asked_now(
    home: Path, root: SkillsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.write("key/SKILL.md", "---\nname: key\ndescription: D\nmetadata: {nanobot: {requires: {env: [KEY]}}}\n---\n")
    with watch(root.path) as skills:
        loader = SnapshotSkillsLoader(skills, SkillsLoader(home))
        assert loader.build_skills_summary() == (
            "### Workspace skills (`skills`)\n- **key** — D (unavailable: ENV: KEY)  `key/SKILL.md`"
        )
        monkeypatch.setenv("KEY", "1")
        assert loader.build_skills_summary() == "### Workspace skills (`skills`)\n- **key** — D  `key/SKILL.md`"
        assert f"(`{root.path}`)" in loader.build_skills_summary(workspace=tmp_path)
        assert loader.build_skills_summary({"key"}, workspace=tmp_path) == ""


def test_a_binary_that_was_installed_is_found_a_little_later(
    home: Path, root: SkillsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.write(
        "late/SKILL.md", "---\nname: late\ndescription: D\nmetadata: {nanobot: {requires: {bins: [late]}}}\n---\n"
    )
    clock = [0.0]
    monkeypatch.setenv("PATH", str(tmp_path))
    with watch(root.path) as skills:
        loader = SnapshotSkillsLoader(skills, SkillsLoader(home), clock=lambda: clock[0])
        assert loader.list_skills() == []
        (tmp_path / "late").touch(mode=0o755)
        clock[0] = ASK_AGAIN_S
        assert [skill["name"] for skill in loader.list_skills()] == ["late"]


def test_a_root_that_nanobot_does_not_know_is_refused(home: Path, skills_root: SkillsRoot) -> None:
    with watch(skills_root.path) as skills, pytest.raises(ConfigError, match=r"does not know the root .* link others"):
        SnapshotSkillsLoader(skills, SkillsLoader(home))


def test_a_workspace_behind_a_link_may_have_plugins(home: Path, skills: Workspace, tmp_path: Path) -> None:
    add_plugin(home)
    link = tmp_path / "link"
    link.symlink_to(home)
    summary = SnapshotSkillsLoader(skills, SkillsLoader(link)).build_skills_summary()
    assert "**slides** — Of a plugin.  `office/skills/slides/SKILL.md`" in summary


def test_a_prompt_needs_no_disk_and_no_watching(home: Path, skills: Workspace, root: SkillsRoot) -> None:
    builder = ContextBuilder(home)
    builder.skills = SnapshotSkillsLoader(skills, builder.skills)
    skills.close()
    root.path.rename(home / "away")
    prompt = builder.build_system_prompt()
    assert "**pdf** — First." in prompt
    assert "**memory**" in prompt


def test_the_real_agent_loop_tells_its_model_of_an_edit_between_two_turns(
    home: Path, root: SkillsRoot, stub_loop: Callable[[ModelServer], AgentLoop]
) -> None:
    for number in range(500):
        root.add(f"skill-{number:03}")

    async def two_turns(loop: AgentLoop, skills: Workspace) -> None:
        assert (await loop.process_direct("Hello.")).content == "Done"
        root.add("skill-007", description="Edited between two turns.")
        skills.sync()
        assert (await loop.process_direct("And now with $skill-007.")).content == "Done"

    with model_server() as server, watch(root.path, BUILTIN_SKILLS_DIR) as skills:
        loop = stub_loop(server)
        loop.context.skills = SnapshotSkillsLoader(skills, loop.context.skills)
        asyncio.run(two_turns(loop, skills))
        first, second = server.system
    assert "**skill-007** — Does it." in first
    assert "**skill-007** — Edited between two turns." in second
    assert second.count("**skill-0") + second.count("**skill-4") == 200


@pytest.fixture
def stub_loop(home: Path) -> Callable[[ModelServer], AgentLoop]:
    """A function that makes nanobot's agent loop, whose model is the stub."""

    def make(server: ModelServer) -> AgentLoop:
        provider = OpenAICompatProvider(api_key="none", api_base=server.url, default_model="stub")
        return AgentLoop(bus=MessageBus(), provider=provider, workspace=home)

    return make
