"""Whatever lies in a root: never a traceback, never a stop, never a missing skill without a problem."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skills_refresh import Problem, Settings, Snapshot, Workspace, scan
from skills_refresh.encoding import snapshot_json
from skills_refresh.problems import CODES

from .conftest import SkillsRoot, skill_text, wait_for

GOOD = skill_text("bad").encode()
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

# What SKILL.md holds, whether the skill is loaded, and what is told.
CONTENTS: dict[str, tuple[bytes, bool, list[str]]] = {
    "broken YAML": (b"---\nname: [\ndescription: x\n---\n", False, ["invalid-yaml"]),
    "no frontmatter": (b"# Title\n", False, ["no-frontmatter"]),
    "an empty file": (b"", False, ["no-frontmatter"]),
    "an unclosed fence": (b"---\nname: bad\n", False, ["unclosed-frontmatter"]),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, True, []),
    "CRLF": (GOOD.replace(b"\n", b"\r\n"), True, []),
    "NUL bytes in the header": (GOOD.replace(b"Does", b"D\0es"), False, ["invalid-yaml"]),
    "NUL bytes in the body": (GOOD + b"\0\0", True, ["nul-bytes"]),
    "invalid UTF-8": (GOOD + b"\xff\xfe", True, ["invalid-utf8"]),
    "a billion laughs": (f"---\ndescription: x\n{LAUGHS}---\n".encode(), False, ["invalid-yaml"]),
    "an arbitrary tag": (b"---\ndescription: !!python/object/apply:os.system [ls]\n---\n", False, ["invalid-yaml"]),
    "50 MB": (GOOD + b"x" * 50_000_000, False, ["too-large"]),
    "fields of another kind": (
        GOOD.replace(
            b"description", b"license: [MIT]\ncompatibility: [x]\nallowed-tools: {a: b}\nmetadata: x\ndescription"
        ),
        True,
        ["invalid-field"] * 4,
    ),
    "fields as people write them": (
        GOOD.replace(
            b"description", b"license: 3\ncompatibility:\nallowed-tools: [a]\nmetadata: {a: [b]}\ndescription"
        ),
        True,
        [],
    ),
    "control characters in the name": (
        b'---\nname: "a\\n\\e[31mb"\ndescription: x\n---\n',
        True,
        ["invalid-name", "name-mismatch"],
    ),
}


@pytest.mark.parametrize(("content", "loaded", "codes"), CONTENTS.values(), ids=CONTENTS)
def test_odd_contents(skills_root: SkillsRoot, content: bytes, loaded: bool, codes: list[str]) -> None:
    skills_root.write("bad/SKILL.md", content)
    skills_root.add("good")
    snapshot = scan([skills_root.path]).snapshot
    assert [found.code for found in snapshot.problems] == codes
    assert "good" in snapshot.skills
    assert len(snapshot.skills) == 1 + loaded
    assert_printable(snapshot)


def make_directory(path: Path) -> None:
    path.mkdir()


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def make_looping_link(path: Path) -> None:
    path.symlink_to(path.name)


def make_escaping_link(path: Path) -> None:
    path.symlink_to("/etc/hostname")


KINDS: list[tuple[Callable[[Path], None], str]] = [
    (make_directory, "not-a-file"),
    (os.mkfifo, "not-a-file"),
    (make_dangling_link, "dangling-link"),
    (make_looping_link, "dangling-link"),
    (make_escaping_link, "escaping-link"),
]


@pytest.mark.parametrize(("make", "code"), KINDS)
def test_a_skill_file_that_is_no_file(
    skills_root: SkillsRoot, open_workspace: Callable[..., Workspace], make: Callable[[Path], None], code: str
) -> None:
    """Told, live as well as scanned; and when it becomes a file, the skill is there."""
    path = skills_root.path / "bad" / "SKILL.md"
    path.parent.mkdir()
    make(path)
    skills_root.add("good")
    workspace = open_workspace(skills_root.path)
    assert [(found.code, found.path) for found in workspace.snapshot.problems] == [(code, path)]
    assert list(workspace.snapshot.skills) == ["good"]
    path.rmdir() if code == "not-a-file" and path.is_dir() else path.unlink()
    path.write_bytes(GOOD)
    wait_for(lambda: list(workspace.snapshot.skills) == ["bad", "good"])


def test_a_root_that_is_a_file_is_a_problem(skills_root: SkillsRoot, tmp_path: Path) -> None:
    skills_root.add("good")
    file = tmp_path / "file"
    file.write_text("x")
    snapshot = scan([file, skills_root.path]).snapshot
    assert [(found.code, found.path) for found in snapshot.problems] == [("root-not-a-directory", file)]
    assert list(snapshot.skills) == ["good"]


def test_names_that_are_not_utf8_are_shown_escaped(
    skills_root: SkillsRoot, open_workspace: Callable[..., Workspace]
) -> None:
    skills_root.add("good")
    (skills_root.path / os.fsdecode(b"caf\xe9")).mkdir()
    skills_root.write(os.fsdecode(b"good/\xff.md"), "x")
    workspace = open_workspace(skills_root.path)
    assert {found.code for found in workspace.snapshot.problems} == {"undecodable-name"}
    assert_printable(workspace.snapshot)
    skills_root.write("good/new.md", "x")
    wait_for(lambda: len(workspace.snapshot.skills["good"].files) == 3)


def test_links_that_leave_the_root_are_told_and_not_followed(skills_root: SkillsRoot, tmp_path: Path) -> None:
    outside = SkillsRoot(tmp_path / "outside").add("secret")
    (skills_root.path / "linked").symlink_to(outside)
    assert [found.code for found in scan([skills_root.path]).snapshot.problems] == ["escaping-link"]
    allowed = scan([skills_root.path], Settings(allow_link_targets=(tmp_path / "outside",))).snapshot
    assert [str(skill.location) for skill in allowed.skills.values()] == [str(skills_root.path / "linked/SKILL.md")]


def test_two_ways_to_one_directory_are_one_directory(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    (skills_root.path / "a-link").symlink_to("pdf")
    (skills_root.path / "loop").symlink_to(".")
    snapshot = scan([skills_root.path]).snapshot
    assert [str(skill.location) for skill in snapshot.skills.values()] == [str(skills_root.path / "pdf/SKILL.md")]
    assert snapshot.problems == ()


def test_each_limit_that_is_reached_is_told(skills_root: SkillsRoot) -> None:
    for name in ("a/one", "b/two", "c/three", "deep/er/still/four"):
        skills_root.add(name)
    found = scan([skills_root.path], Settings(max_skills=2, max_depth=2)).snapshot
    assert sorted(found.skills) == ["one", "two"]
    assert [(item.code, item.path.name) for item in found.problems] == [
        ("skill-limit", "SKILL.md"),
        ("depth-limit", "er"),
    ]
    few = scan([skills_root.path], Settings(max_directories=4)).snapshot
    assert [item.code for item in few.problems] == ["directory-limit"]


def test_the_first_by_path_wins_within_a_root_and_the_first_root_before_all(
    skills_root: SkillsRoot, tmp_path: Path
) -> None:
    """Component by component: `a/pdf` comes before `a-b/pdf`, though `-` sorts before `/`."""
    for name in ("a-b/pdf", "a/pdf"):
        skills_root.add(name)
    earlier = SkillsRoot(tmp_path / "earlier")
    earlier.add("z/pdf")
    within = scan([skills_root.path]).snapshot
    assert within.skills["pdf"].relative_location == "a/pdf/SKILL.md"
    assert [found.path for found in within.problems] == [skills_root.path / "a-b/pdf/SKILL.md"]
    over = scan([earlier.path, skills_root.path]).snapshot
    assert over.skills["pdf"].relative_location == "z/pdf/SKILL.md"
    assert [found.code for found in over.problems] == ["shadowed", "shadowed"]


def test_a_root_below_an_excluded_or_hidden_name_works(tmp_path: Path) -> None:
    root = SkillsRoot(tmp_path / ".venv/node_modules/.hidden")
    root.add("pdf")
    assert list(scan([root.path]).snapshot.skills) == ["pdf"]


def test_a_root_that_is_itself_a_skill(skills_root: SkillsRoot) -> None:
    skills_root.write("SKILL.md", skill_text("skills"))
    skills_root.add("nested")
    snapshot = scan([skills_root.path]).snapshot
    assert [(name, len(skill.files)) for name, skill in snapshot.skills.items()] == [("skills", 2)]
    assert [found.code for found in snapshot.problems] == ["nested-skill"]


def test_a_code_of_a_newer_server_has_no_cure_here() -> None:
    assert Problem("of-tomorrow", "error", Path("/skills"), "Something.").cure == ""


def test_every_problem_has_a_cure() -> None:
    assert all(code.cure.endswith(".") for code in CODES.values())


def assert_printable(snapshot: Snapshot) -> None:
    """Nothing that is shown holds a control character or a lone surrogate."""
    assert json.dumps(snapshot_json(snapshot)).isascii()
    text = snapshot.prompt() + "".join(found.message for found in snapshot.problems)
    assert text.replace("\n", "").isprintable()
    text.encode()
