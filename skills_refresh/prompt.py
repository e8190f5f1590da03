"""The text that a model reads: which skills there are, and where.

The form is that of the Agent Skills specification's reference library: an `<available_skills>` element. Names and
descriptions are escaped, so that no skill can close the element or smuggle terminal sequences.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Protocol

from .escaping import printable, printable_block


class Listed(Protocol):
    """What the prompt shows of a skill."""

    @property
    def name(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def location(self) -> Path: ...


def render_prompt(skills: Iterable[Listed]) -> str:
    """The `<available_skills>` block for `skills`, in their order; the empty string where there are none."""
    entries = [
        "  <skill>\n"
        f"    <name>{_element(printable(skill.name))}</name>\n"
        f"    <description>{_element(printable_block(skill.description))}</description>\n"
        f"    <location>{_element(printable(str(skill.location)))}</location>\n"
        "  </skill>\n"
        for skill in skills
    ]
    return "<available_skills>\n" + "".join(entries) + "</available_skills>" if entries else ""


def _element(text: str) -> str:
    """`text` as the content of an element."""
    return escape(text, quote=False)


def prompt_parts_differ(was: Listed | None, now: Listed | None) -> bool:
    """Whether the prompt shows one skill otherwise, or at all, as `now` than as it `was`; None is none at all."""
    if was is None or now is None:
        return was is not now
    return (was.name, was.description, was.location) != (now.name, now.description, now.location)
