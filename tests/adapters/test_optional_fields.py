"""The optional fields of the specification, as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from skills_refresh import Workspace
from skills_refresh.adapters.optional_fields import OptionalFields, optional_fields

from ..conftest import SkillsRoot

Opener = Callable[..., Workspace]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", OptionalFields(None, None, {}, [])),
        ("license: MIT\ncompatibility: git\n", OptionalFields("MIT", "git", {}, [])),
        ("license: 2\ncompatibility: ' '\n", OptionalFields("2", None, {}, [])),
        ("allowed-tools: Read Bash(git:*)\n", OptionalFields(None, None, {}, ["Read", "Bash(git:*)"])),
        ("allowed-tools: Read, Write\n", OptionalFields(None, None, {}, ["Read", "Write"])),
        ("allowed-tools: [Read, 3]\n", OptionalFields(None, None, {}, ["Read", "3"])),
        ("allowed-tools: 3\nmetadata: [author]\n", OptionalFields(None, None, {}, [])),
        ("metadata: {author: Ann, 1: [2]}\n", OptionalFields(None, None, {"author": "Ann", "1": [2]}, [])),
    ],
)
def test_a_field_is_read_as_it_was_meant(
    written: str, expected: OptionalFields, open_workspace: Opener, skills_root: SkillsRoot
) -> None:
    skills_root.write("pdf/SKILL.md", f"---\nname: pdf\ndescription: Reads them.\n{written}---\nDo it.")
    assert optional_fields(open_workspace(skills_root.path).snapshot.skills["pdf"]) == expected


def test_what_a_framework_gets_can_be_changed_and_written_as_json(
    open_workspace: Opener, skills_root: SkillsRoot
) -> None:
    skills_root.write("pdf/SKILL.md", "---\nname: pdf\ndescription: Do.\nmetadata: {requires: {bins: [git]}}\n---\n")
    fields = optional_fields(open_workspace(skills_root.path).snapshot.skills["pdf"])
    assert fields.metadata == {"requires": {"bins": ["git"]}}
    assert fields.metadata_texts() == {"requires": "{'bins': ['git']}"}
