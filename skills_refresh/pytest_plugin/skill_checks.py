"""What is wrong with one skill: what a scan found of it, links that lead nowhere, scripts that do not parse."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..filters import SKILL_FILE
from ..frontmatter import parse_frontmatter
from ..model import SkillFile
from ..problems import Problem, problem
from .links import relative_links
from .scripts import why_broken
from .skill_scan import FoundSkill

# The field that a problem is about, whose line is the one to go to. What is about a field that is missing, or about
# the file as a whole, is told at the first line.
_FIELDS = {
    "invalid-name": b"name",
    "name-mismatch": b"name",
    "shadowed": b"name",
    "long-description": b"description",
    "long-compatibility": b"compatibility",
}
_LINE_IN_MESSAGE = re.compile("line ([0-9]+)")


class Finding(NamedTuple):
    """A problem and its line in the file, counted from 1; None where it is not about a line."""

    problem: Problem
    line: int | None


def findings_of(found: FoundSkill) -> list[Finding]:
    """All that is wrong with a skill, by path and line."""
    path = found.directory / SKILL_FILE
    source = _source(found)
    findings = [
        Finding(item, _line_of(item, source) if item.path == path and source else None) for item in found.problems
    ]
    findings += _broken_links(path, source)
    findings += _broken_scripts(found)
    return sorted(findings, key=lambda finding: (str(finding.problem.path), finding.line or 0, finding.problem.code))


def _source(found: FoundSkill) -> bytes:
    """The bytes of `SKILL.md`; none where it is unreadable, or too large to be looked into."""
    file = found.files.get(SKILL_FILE)
    return b"" if file is None else _content(found.directory, file) or b""


def _line_of(item: Problem, source: bytes) -> int:
    named = _LINE_IN_MESSAGE.match(item.message)
    if named:
        return int(named[1])
    # The message of an invalid field begins with its name.
    field = item.message.partition(" ")[0].encode() if item.code == "invalid-field" else _FIELDS.get(item.code)
    found = re.search(rb"^" + field + rb"[ \t]*:", source, re.MULTILINE) if field else None
    return source.count(b"\n", 0, found.start()) + 1 if found else 1


def _broken_links(path: Path, source: bytes) -> Iterator[Finding]:
    frontmatter, _ = parse_frontmatter(source, path.parent.name)
    if frontmatter is None:
        return
    above = source.count(b"\n", 0, frontmatter.body_offset)
    for link in relative_links(source[frontmatter.body_offset :].decode("utf-8", "replace")):
        if not os.path.exists(path.parent / link.path):  # never raises, unlike a Path's for a name that is too long
            yield Finding(
                problem("broken-link", path, f"links to {link.path}, which does not exist"), above + link.line
            )


def _broken_scripts(found: FoundSkill) -> Iterator[Finding]:
    for file in found.files.values():
        content = _content(found.directory, file)
        broken = None if content is None else why_broken(file.path, content)
        if broken is not None:
            yield Finding(problem("broken-script", found.directory / file.path, broken.message), broken.line)


def _content(directory: Path, file: SkillFile) -> bytes | None:
    """What the file holds; None where it is over 1 MB or cannot be read, which is told already, or has just gone."""
    try:
        return None if file.sha256 is None else (directory / file.path).read_bytes()
    except OSError:
        return None
