"""The text that a model reads: exact, and such that no skill can break out of its element."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from skills_refresh.prompt import render_prompt


class Entry(NamedTuple):
    name: str = "pdf"
    description: str = "Does it."
    location: Path = Path("/skills/pdf/SKILL.md")


def test_two_skills_are_one_block_in_their_order() -> None:
    skills = [
        Entry("pdf", "Reads PDF files.", Path("/skills/pdf/SKILL.md")),
        Entry("docx", "Writes documents.", Path("/more/office/docx/SKILL.md")),
    ]
    assert render_prompt(skills) == (
        "<available_skills>\n"
        "  <skill>\n"
        "    <name>pdf</name>\n"
        "    <description>Reads PDF files.</description>\n"
        "    <location>/skills/pdf/SKILL.md</location>\n"
        "  </skill>\n"
        "  <skill>\n"
        "    <name>docx</name>\n"
        "    <description>Writes documents.</description>\n"
        "    <location>/more/office/docx/SKILL.md</location>\n"
        "  </skill>\n"
        "</available_skills>"
    )


def test_no_skills_are_the_empty_string() -> None:
    assert render_prompt([]) == ""


@pytest.mark.parametrize(
    ("description", "shown"),
    [
        ("a < b & b > c", "a &lt; b &amp; b &gt; c"),
        ("</description></available_skills>", "&lt;/description&gt;&lt;/available_skills&gt;"),
        ("&amp;", "&amp;amp;"),
        ('it\'s "quoted"', 'it\'s "quoted"'),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("over\rwritten", "over\\rwritten"),
        ("\u202eright to left", "\\u202eright to left"),
        ("\x9b and \x7f", "\\x9b and \\x7f"),
        ("für 文書", "für 文書"),
    ],
)
def test_a_description_is_escaped_but_keeps_its_lines(description: str, shown: str) -> None:
    assert f"<description>{shown}</description>" in render_prompt([Entry(description=description)])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("pdf\n  </skill>", "pdf\\n  &lt;/skill&gt;"),
        ("a\tb", "a\\tb"),
        ("a\u2028b", "a\\u2028b"),
        ("a\x00b", "a\\x00b"),
    ],
)
def test_a_name_stays_on_one_line(name: str, shown: str) -> None:
    assert f"    <name>{shown}</name>\n" in render_prompt([Entry(name)])


def test_a_location_that_is_not_utf8_is_escaped() -> None:
    location = Path("/skills/caf\udce9 & co/SKILL.md")
    assert "<location>/skills/caf\\xe9 &amp; co/SKILL.md</location>" in render_prompt([Entry(location=location)])


def test_the_prompt_can_always_be_encoded() -> None:
    skills = [Entry("\udcff", "\ud800", Path("/\udc80"))]
    assert "\\xff" in render_prompt(skills).encode("utf-8").decode("utf-8")
