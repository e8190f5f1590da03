"""What a skill requires of the machine is looked up there, and roots that are not trusted are known."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skills_refresh import ConfigError, Engine, requires, scan, trusted

from .conftest import SkillsRoot

OTHER_SYSTEM = "win32" if sys.platform != "win32" else "linux"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that alone is on the PATH, with a program called `present`."""
    directory = tmp_path / "bin"
    directory.mkdir()
    install(directory, "present")
    monkeypatch.setenv("PATH", str(directory))
    monkeypatch.setenv("PRESENT", "1")
    monkeypatch.setenv("EMPTY", "")
    return directory


def install(directory: Path, name: str) -> None:
    (directory / name).write_text("#!/bin/sh\n", encoding="utf-8")
    (directory / name).chmod(0o755)


def reason(root: SkillsRoot, metadata: str) -> str | None:
    """Why a skill with this line, or these, of metadata is hidden."""
    root.write("pdf/SKILL.md", f"---\nname: pdf\ndescription: Does it.\nmetadata: {metadata}\n---\n")
    return requires(scan([root.path]).snapshot.skills["pdf"])


@pytest.mark.parametrize(
    "metadata",
    [
        '{"openclaw": {"requires": {"bins": ["absent"]}}}',
        '{"clawdbot": {"emoji": "x", "requires": {"bins": ["present", "absent"]}}}',
        '{"nanobot": {"requires": {"bins": ["absent"]}, "always": true}}',
        '\'{"nanobot": {"requires": {"bins": ["absent"]}}}\'',
        '{"openclaw": \'{"requires": {"bins": ["absent"]}}\'}',
        "\n  requires:\n    bins: [absent]",
        "\n  openclaw:\n    requires:\n      bins: present, absent",
        '\n  {\n    "mtbot":\n      {\n        "requires": { "bins": ["absent"], },\n      },\n  }',
    ],
)
def test_a_program_that_is_missing_is_found_wherever_gateways_have_it_declared(
    skills_root: SkillsRoot, programs: Path, metadata: str
) -> None:
    assert reason(skills_root, metadata) == "needs the program absent: install it, or put it on the PATH"
    install(programs, "absent")
    assert reason(skills_root, metadata) is None


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ('"requires": {"anyBins": ["absent", "gone"]}', "needs one of the programs absent, gone: install one"),
        ('"requires": {"env": ["PRESENT", "ABSENT"]}', "needs the environment variable ABSENT: set it where"),
        ('"requires": {"env": ["EMPTY"]}', "needs the environment variable EMPTY"),
        (f'"os": ["{OTHER_SYSTEM}"]', f"runs on {OTHER_SYSTEM} alone, and this is {sys.platform}"),
        (f'"os": "{OTHER_SYSTEM}"', f"runs on {OTHER_SYSTEM} alone"),
        (f'"always": true, "os": ["{OTHER_SYSTEM}"]', f"runs on {OTHER_SYSTEM} alone"),
        ('"requires": {"bins": ["absent"], "env": ["ABSENT"]}', "PATH; needs the environment variable ABSENT"),
        ('"requires": {"bins": ["a\\eb"]}', "needs the program a\\x1bb"),
    ],
)
def test_what_is_missing_is_said_with_its_cure(
    engine: Engine, skills_root: SkillsRoot, programs: Path, declared: str, expected: str
) -> None:
    skills_root.write(
        "pdf/SKILL.md", f'---\nname: pdf\ndescription: Does it.\nmetadata: {{"openclaw": {{{declared}}}}}\n---\n'
    )
    assert expected in engine.open([skills_root.path], eligible=requires).snapshot.hidden["pdf"].reason


@pytest.mark.parametrize(
    "metadata",
    [
        '{"openclaw": {"requires": {"bins": ["present"], "anyBins": ["absent", "present"], "env": ["PRESENT"]}}}',
        f'{{"openclaw": {{"os": ["{OTHER_SYSTEM}", "{sys.platform}"]}}}}',
        '{"openclaw": {"os": ["macOS", "LINUX", "windows"]}}',
        '{"openclaw": {"always": true, "requires": {"bins": ["absent"], "env": ["ABSENT"]}}}',
        '{"openclaw": {"requires": {"config": ["channels.slack"]}}}',
        '{"openclaw": {"requires": {"bins": [], "anyBins": [], "env": []}, "os": []}}',
    ],
)
def test_a_skill_whose_requirements_are_met_is_shown(skills_root: SkillsRoot, programs: Path, metadata: str) -> None:
    assert reason(skills_root, metadata) is None


@pytest.mark.parametrize(
    "metadata",
    [
        "words",
        "[1, 2]",
        "'{not json'",
        "'" + '{"a":' * 20_000 + "'",
        "{requires: [absent], os: {linux: false}}",
        "{requires: {bins: {absent: true}, anyBins: 5, env: [1, {name: ABSENT}, null]}}",
        '{requires: {bins: ["a\\0b", "", " "], anyBins: ["\\0"], env: ["\\0"]}, os: ["\\0"]}',
        "{openclaw: [requires], install: {requires: yes}}",
    ],
    ids=range(8),
)
def test_what_cannot_be_understood_hides_nothing(skills_root: SkillsRoot, programs: Path, metadata: str) -> None:
    assert reason(skills_root, metadata) is None


@pytest.mark.parametrize(
    ("metadata", "where"),
    [
        ("'{not json'", "metadata"),
        ("{openclaw: '{not json'}", "metadata.openclaw"),
        ("{requires: {bins: {absent: true}, env: 5}}", "metadata.requires.bins, metadata.requires.env"),
        ("{openclaw: {os: {linux: false}}}", "metadata.openclaw.os"),
        ("{1: {os: 5}}", "metadata.1.os"),
        ("{author: al, version: 1, requires: {bins: [present]}}", ""),
    ],
    ids=range(6),
)
def test_what_cannot_be_understood_is_logged(
    skills_root: SkillsRoot, programs: Path, caplog: pytest.LogCaptureFixture, metadata: str, where: str
) -> None:
    reason(skills_root, metadata)
    told = f"pdf/SKILL.md: what it requires cannot be read in {where}, so it is shown"
    assert [told in record.getMessage() for record in caplog.records] == ([True] if where else [])


def test_a_program_that_was_installed_counts_when_it_is_asked_again(
    engine: Engine, skills_root: SkillsRoot, programs: Path
) -> None:
    skills_root.write(
        "pdf/SKILL.md", "---\nname: pdf\ndescription: Does it.\nmetadata: {requires: {bins: [absent]}}\n---\n"
    )
    workspace = engine.open([skills_root.path], eligible=requires)
    install(programs, "absent")
    assert "pdf" in workspace.sync().hidden
    assert "pdf" in workspace.invalidate().skills


def shown(root: Path, *paths: Path | str) -> bool:
    """Whether the skill `pdf` below `root` is shown where `paths` are trusted."""
    with Engine() as engine:
        return "pdf" in engine.open([root], eligible=trusted(paths)).snapshot.skills


def test_a_root_in_a_trusted_directory_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = SkillsRoot(tmp_path / "al/skills")
    root.add("pdf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (root.path, root.path.parent, "/", "al", "~/al", f"{tmp_path}/x/../al"):
        assert shown(root.path, "/nowhere", path)


def test_no_name_that_only_begins_like_a_trusted_one_and_no_link_makes_a_root_trusted(tmp_path: Path) -> None:
    trusted_one, root = tmp_path / "al", SkillsRoot(tmp_path / "alice/skills")
    root.add("pdf")
    trusted_one.mkdir()
    (trusted_one / "link").symlink_to(root.path)
    assert not shown(root.path, trusted_one)
    assert not shown(trusted_one / "link", trusted_one)
    assert not shown(trusted_one / "../alice/skills", trusted_one)
    assert not shown(root.path)
    assert shown(trusted_one / "link", tmp_path / "alice")


def test_a_root_whose_link_leads_elsewhere_is_judged_again(engine: Engine, tmp_path: Path) -> None:
    good, bad, link = SkillsRoot(tmp_path / "good"), SkillsRoot(tmp_path / "bad"), tmp_path / "project"
    file = good.add("pdf") / "SKILL.md"
    bad.add("pdf")
    os.utime(bad.path / "pdf/SKILL.md", ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    link.symlink_to(good.path)
    workspace = engine.open([link], eligible=trusted([good.path]))
    assert "pdf" in workspace.snapshot.skills
    (tmp_path / "new").symlink_to(bad.path)
    (tmp_path / "new").replace(link)
    assert list(workspace.sync().hidden) == ["pdf"]
    assert workspace.snapshot.skills == {}


def test_a_root_and_a_program_are_looked_for_once_for_many_skills(
    engine: Engine, skills_root: SkillsRoot, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[object] = []

    def counted(look: Callable[..., object]) -> Callable[..., object]:
        def look_and_count(path: object) -> object:
            looked.append(path)
            return look(path)

        return look_and_count

    monkeypatch.setattr(shutil, "which", counted(shutil.which))
    monkeypatch.setattr(os.path, "realpath", counted(os.path.realpath))
    for name in ("pdf", "docx", "xlsx"):
        text = f"---\nname: {name}\ndescription: Does it.\nmetadata: {{requires: {{bins: [absent]}}}}\n---\n"
        skills_root.write(f"{name}/SKILL.md", text)
    checks = [trusted([skills_root.path]), requires]
    workspace = engine.open([skills_root.path], eligible=checks)
    looked.clear()
    assert len(workspace.invalidate().hidden) == 3
    assert looked == [skills_root.path, str(skills_root.path), "absent"]
    engine.open([skills_root.path], eligible=[trusted([skills_root.path]), requires])
    assert len(looked) == 3, "equal checks have the same answers"


def test_a_root_that_is_not_trusted_is_named_with_what_to_do(tmp_path: Path) -> None:
    root = SkillsRoot(tmp_path / "skills")
    root.add("pdf")
    with Engine() as engine:
        hidden = engine.open([root.path], eligible=trusted([])).snapshot.hidden
    assert hidden["pdf"].reason == f"its root {root.path} is not trusted: look at its skills first, then trust it"


@pytest.mark.parametrize("paths", [None, 3, [3], [""], [None], [b"/home/al"], b"/home/al"])
def test_what_is_no_path_is_refused_and_an_empty_one_does_not_trust_the_working_directory(paths: Any) -> None:
    with pytest.raises(ConfigError, match=r"trusted: .* is no (list of paths|path)"):
        trusted(paths)


def test_a_single_path_is_refused_since_its_letters_would_be_paths() -> None:
    with pytest.raises(ConfigError, match="'/home/al' is one path; give a list"):
        trusted("/home/al")
