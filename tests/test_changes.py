"""What differs between two snapshots is said completely, per skill, and once."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from skills_refresh import Skill, SkillChange, SkillFile, SkillsChanged, Snapshot
from skills_refresh.changes import compare, merge
from skills_refresh.model import Aspect, skill_identity

from .conftest import skill_text

ROOT = Path("/skills")
ALL: tuple[Aspect, ...] = ("catalog", "instructions", "files")


def make_skill(
    name: str,
    *,
    description: str = "Does it.",
    body: str = "Do it.\n",
    files: Mapping[str, str] | None = None,
    directory: str | None = None,
) -> Skill:
    """A skill as a catalog builds it, without a disk."""
    source = skill_text(name, description, body).encode()
    contents = {"SKILL.md": source, **{path: text.encode() for path, text in (files or {}).items()}}
    location = f"{directory or name}/SKILL.md"
    digest = f"sha256:{sha256(source).hexdigest()}"
    return Skill(
        name=name,
        description=description,
        root=ROOT,
        relative_location=location,
        digest=digest,
        files=tuple(make_file(path, data) for path, data in sorted(contents.items())),
        frontmatter={"name": name, "description": description},
        source=source,
        body_offset=len(skill_text(name, description, "")),
        identity=skill_identity(name, location, digest),
    )


def make_file(path: str, data: bytes = b"") -> SkillFile:
    return SkillFile(path, len(data), sha256(data).hexdigest())


def make_snapshot(version: int, *skills: Skill, files: Mapping[str, str] | None = None) -> Snapshot:
    """A snapshot of `skills`, and of loose files by their path below the root."""
    loose = {str(ROOT / path): make_file(Path(path).name, text.encode()) for path, text in (files or {}).items()}
    return Snapshot(version, version, {skill.name: skill for skill in skills}, tuple, loose)


def difference(before: Snapshot | None, after: Snapshot) -> tuple[SkillChange, ...]:
    return told(before, after).changes


def told(before: Snapshot | None, after: Snapshot) -> SkillsChanged:
    return compare(before, after, workspace="main", reason="watch")


def paths(*relative: str) -> tuple[Path, ...]:
    return tuple(ROOT / path for path in relative)


def test_a_change_says_where_it_leads_from_and_to() -> None:
    before, after = make_snapshot(1), make_snapshot(2)
    change = told(before, after)
    assert (change.workspace, change.reason, change.previous, change.version) == ("main", "watch", 1, 2)
    assert change.snapshot is after


def test_nothing_differs_where_the_skills_are_the_same_objects() -> None:
    pdf = make_skill("pdf")
    assert difference(make_snapshot(1, pdf), make_snapshot(2, pdf)) == ()


def test_an_added_skill_is_told_with_all_its_files() -> None:
    pdf = make_skill("pdf", files={"run.py": "1"})
    assert difference(make_snapshot(1), make_snapshot(2, pdf)) == (
        SkillChange("pdf", "added", ALL, paths("pdf/SKILL.md", "pdf/run.py")),
    )


def test_an_added_skill_of_one_file_has_no_files_aspect() -> None:
    assert difference(make_snapshot(1), make_snapshot(2, make_skill("pdf"))) == (
        SkillChange("pdf", "added", ("catalog", "instructions"), paths("pdf/SKILL.md")),
    )


def test_a_removed_skill_is_told_with_all_its_files() -> None:
    pdf = make_skill("pdf", files={"run.py": "1"})
    assert difference(make_snapshot(1, pdf), make_snapshot(2)) == (
        SkillChange("pdf", "removed", ALL, paths("pdf/SKILL.md", "pdf/run.py")),
    )


def test_a_skill_that_takes_the_place_of_another_is_told_with_it() -> None:
    changes = difference(make_snapshot(1, make_skill("pdf")), make_snapshot(2, make_skill("docx")))
    assert [(change.skill, change.kind) for change in changes] == [("docx", "added"), ("pdf", "removed")]


@pytest.mark.parametrize(
    ("after", "aspects", "differing"),
    [
        (make_skill("pdf", description="Other.", files={"run.py": "1"}), ("catalog",), paths("pdf/SKILL.md")),
        (make_skill("pdf", body="Other.\n", files={"run.py": "1"}), ("instructions",), paths("pdf/SKILL.md")),
        (make_skill("pdf", files={"run.py": "2"}), ("files",), paths("pdf/run.py")),
        (make_skill("pdf", files={}), ("files",), paths("pdf/run.py")),
        (make_skill("pdf", files={"run.py": "1", "a/new.md": ""}), ("files",), paths("pdf/a/new.md")),
        (
            make_skill("pdf", description="Other.", body="Other.\n", files={"run.py": "2"}),
            ALL,
            paths("pdf/SKILL.md", "pdf/run.py"),
        ),
    ],
    ids=["catalog", "instructions", "file changed", "file removed", "file added", "everything"],
)
def test_a_changed_skill_tells_the_aspects_and_paths_that_differ(
    after: Skill, aspects: tuple[Aspect, ...], differing: tuple[Path, ...]
) -> None:
    before = make_skill("pdf", files={"run.py": "1"})
    changes = difference(make_snapshot(1, before), make_snapshot(2, after))
    assert changes == (SkillChange("pdf", "changed", aspects, differing),)


def test_a_changed_location_tells_the_paths_of_both() -> None:
    before = make_skill("pdf", files={"run.py": "1"})
    after = make_skill("pdf", files={"run.py": "1"}, directory="tools/pdf")
    assert difference(make_snapshot(1, before), make_snapshot(2, after)) == (
        SkillChange(
            "pdf",
            "changed",
            ("catalog",),
            paths("pdf/SKILL.md", "pdf/run.py", "tools/pdf/SKILL.md", "tools/pdf/run.py"),
        ),
    )


def test_files_outside_of_skills_are_told_by_kind_without_a_skill() -> None:
    before = make_snapshot(1, files={"same.md": "", "changed.md": "1", "removed.md": ""})
    after = make_snapshot(2, files={"same.md": "", "changed.md": "2", "b.md": "", "a.md": ""})
    assert difference(before, after) == (
        SkillChange(None, "added", ("files",), paths("a.md", "b.md")),
        SkillChange(None, "changed", ("files",), paths("changed.md")),
        SkillChange(None, "removed", ("files",), paths("removed.md")),
    )


def test_a_file_that_moves_out_of_a_skill_is_told_with_the_skill() -> None:
    before = make_snapshot(1, make_skill("pdf", files={"run.py": "1"}))
    after = make_snapshot(2, files={"pdf/run.py": "1"})
    assert [change.skill for change in difference(before, after)] == ["pdf"]


def test_a_file_that_comes_into_a_skill_is_told_with_the_skill() -> None:
    before = make_snapshot(1, files={"pdf/run.py": "1"})
    after = make_snapshot(2, make_skill("pdf", files={"run.py": "1"}))
    assert [change.skill for change in difference(before, after)] == ["pdf"]


def test_a_fresh_start_tells_everything_as_added_and_has_no_previous_version() -> None:
    change = told(None, make_snapshot(2, make_skill("pdf"), files={"notes.md": ""}))
    assert change.previous is None
    assert [(item.skill, item.kind) for item in change.changes] == [("pdf", "added"), (None, "added")]


def test_an_added_skill_that_is_removed_again_merges_into_no_changes() -> None:
    first, second, third = make_snapshot(1), make_snapshot(2, make_skill("pdf"), files={"a.md": ""}), make_snapshot(3)
    merged = merge(told(first, second), told(second, third))
    assert merged.changes == ()
    assert (merged.previous, merged.version) == (1, 3)


def test_merged_changes_say_what_both_say() -> None:
    pdf = make_skill("pdf")
    first = make_snapshot(1, pdf)
    second = make_snapshot(2, pdf, make_skill("docx"))
    third = make_snapshot(3, make_skill("pdf", body="Other.\n"), second.skills["docx"])
    merged = merge(told(first, second), told(second, third))
    assert [(change.skill, change.kind) for change in merged.changes] == [("docx", "added"), ("pdf", "changed")]
