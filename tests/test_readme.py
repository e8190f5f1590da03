"""The README tells the truth: its Python runs, its settings are read, its commands exist."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from skills_refresh.cli import VERBS
from skills_refresh.config import KEYS, load_config
from skills_refresh.health import CAUSES

from .conftest import SkillsRoot

PROJECT = Path(__file__).parents[1]
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    root = SkillsRoot(tmp_path / "examples/skills")
    root.add("pdf")
    with ExitStack() as stack:
        if "connect(" in code:
            from .serving import Server

            code = code.replace("http://127.0.0.1:8765", stack.enter_context(Server(root.path)).url)
        names: dict[str, Any] = {}
        exec(compile(code, "README.md", "exec"), names)
        if "app" in names:
            from .serving import ask

            print(ask(names["app"], "/prompt").raise_for_status().text)
    assert capsys.readouterr().out


def table(first: str) -> str:
    """The rows of the table whose first column is called `first`."""
    return README.split(f"| {first} |")[1].split("|---|\n")[1].split("\n\n")[0]


def test_the_settings_are_all_there_and_read(tmp_path: Path) -> None:
    (tmp_path / "skills-refresh.toml").write_text(blocks("toml")[0])
    config = load_config(directory=tmp_path, environment={})
    assert (config.settings.max_depth, config.settings.names) == (6, ("Justfile",))
    keys = [key for key in KEYS if key != "workspaces"]
    assert re.findall(r"^(\w+) =", blocks("toml")[0], re.MULTILINE) == [*keys, "roots"]  # those of a workspace
    assert list(config.workspaces) == ["alice"]


def test_the_table_names_every_verb() -> None:
    assert re.findall(r"^\| `(\w+)", table("verb"), re.MULTILINE) == list(VERBS)


def test_the_table_names_every_adapter_and_a_class_of_it() -> None:
    directory = PROJECT / "skills_refresh/adapters"
    named = re.findall(r"\b(\w+)\.(Snapshot\w+)\(workspace", table("framework"))
    for name, adapter in named:
        assert f"\nclass {adapter}(" in (directory / f"{name}.py").read_text(encoding="utf-8")
    classes = {path.stem for path in directory.glob("*.py") if "\nclass Snapshot" in path.read_text(encoding="utf-8")}
    assert {name for name, _ in named} == classes


def test_the_table_names_every_reason_of_health() -> None:
    named = [re.findall(r"`([a-z-]+)`", line.split("|")[1]) for line in table("reason").splitlines()]
    assert {reason for reasons in named for reason in reasons} == set(CAUSES) - {""}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert blocks("sh")[-1].strip() in (PROJECT / ".ci/run").read_text(encoding="utf-8")


def test_the_example_skills_have_no_problems() -> None:
    from skills_refresh import scan

    snapshot = scan([PROJECT / "examples/skills"]).snapshot
    assert (len(snapshot.skills), snapshot.problems) == (3, ())
