"""`SkillBuilder`: the directories of one skill, as last read, become a `Skill` and problems.

A skill whose `SKILL.md` cannot be read any more keeps its last good version until it is mended or deleted. The old
object is kept where nothing visible differs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .directory import Directory
from .filters import SKILL_FILE
from .frontmatter import Finding, Frontmatter, parse_frontmatter
from .model import Skill, SkillFile, skill_identity
from .problems import Problem, problem
from .reading import FileEntry


class BuiltSkill(NamedTuple):
    """A skill's directory as built: the parts of its path, the skill where it could be loaded, its problems, and its
    relevant files."""

    order: list[str]
    skill: Skill | None
    problems: tuple[Problem, ...]
    files: dict[str, SkillFile]


class SkillBuilder:
    """Builds the skills below `root`, a path as the user wrote it. `max_bytes` is how large a `SKILL.md` may be. Knows
    nothing but what it is given; safe from any thread."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def shown(self, directory: Directory, name: str) -> str:
        """The path to show to a user: below the root as the user wrote it."""
        return os.path.join(self._root, *filter(None, directory.relative.split("/")), *name.split("/"))

    def build(self, directories: Sequence[Directory], before: BuiltSkill | None) -> BuiltSkill:
        """The skill that `directories` make, its own first, all of which was read; `before` is what was built of it."""
        top = directories[0]
        found: list[Problem] = []
        files: dict[str, SkillFile] = {}
        prefix = len(top.relative) + 1 if top.relative else 0
        for directory in directories:
            found.extend(directory.problems)
            below = directory.relative[prefix:] + "/" if directory is not top and directory.relative else ""
            for name, entry in directory.files.items():
                if entry.signature is not None:
                    files[below + name] = skill_file(below + name, entry)
                if name == SKILL_FILE and directory is not top:
                    message = f"lies below the skill {top.relative or '.'} and is part of it"
                    found.append(problem("nested-skill", self.shown(directory, name), message))
        skill = self._load(top, files, None if before is None else before.skill, found)
        return BuiltSkill(top.relative.split("/"), skill, tuple(found), files)

    def build_unlisted(self, directories: Sequence[Directory], before: BuiltSkill | None) -> BuiltSkill:
        """What is shown of a skill of which a directory could not be listed before all of it was read: what was built
        of it, and why it is not more."""
        top = directories[0]
        found = [found for directory in directories for found in directory.problems]
        if before is None or before.skill is None:
            return BuiltSkill(top.relative.split("/"), None, tuple(found), {})
        return before._replace(problems=(*found, self._stale(top, "cannot be looked at")))

    def name_in(self, top: Directory) -> str | None:
        """The name that `SKILL.md` gives to the skill in `top`, empty where it gives none; None where it was not read
        yet."""
        entry = top.files.get(SKILL_FILE)
        if entry is None:
            return None
        frontmatter, _ = self._parse(top, entry)
        return "" if frontmatter is None else frontmatter.name

    def _load(
        self, top: Directory, files: dict[str, SkillFile], before: Skill | None, found: list[Problem]
    ) -> Skill | None:
        """The skill in `top`; its last good version, `before`, where `SKILL.md` is there but unusable."""
        entry = top.files.get(SKILL_FILE)
        if entry is None:
            return None
        frontmatter, findings = self._parse(top, entry)
        if findings:
            location = self.shown(top, SKILL_FILE)
            found.extend(problem(finding.code, location, finding.message) for finding in findings)
        if frontmatter is not None and entry.data is not None:
            relative = f"{top.relative}/{SKILL_FILE}" if top.relative else SKILL_FILE
            digest = f"sha256:{entry.sha256}"
            skill = Skill(
                name=frontmatter.name,
                description=frontmatter.description,
                root=self._root,
                relative_location=relative,
                digest=digest,
                files=_sorted_files(files),
                frontmatter=frontmatter.fields,
                source=entry.data,
                body_offset=frontmatter.body_offset,
                identity=skill_identity(frontmatter.name, relative, digest),
            )
            if top.unlisted:
                found.append(self._stale(top, "cannot be looked at"))
            return before if before is not None and _equal(before, skill) else skill
        if before is None:
            return None
        found.append(self._stale(top, "cannot be loaded as it is"))
        return _with_files(before, files)

    def _parse(self, top: Directory, entry: FileEntry) -> tuple[Frontmatter | None, list[Finding]]:
        if entry.error is not None:
            return None, [Finding(*entry.error)]
        if entry.data is None:
            size = entry.signature[1] if entry.signature else 0
            return None, [Finding("too-large", f"has {size:,} bytes, over {self._max_bytes:,}")]
        return parse_frontmatter(entry.data, top.name or self._root.name)

    def _stale(self, top: Directory, why: str) -> Problem:
        return problem("stale", self.shown(top, SKILL_FILE), f"{why}; its last good version stays in use")


def skill_file(path: str, entry: FileEntry) -> SkillFile:
    """The file at `path` as a consumer sees it."""
    if entry.signature is None:
        return SkillFile(path, 0, None)
    if entry.sha256 is not None:
        return SkillFile(path, entry.signature[1], entry.sha256)
    return SkillFile(path, entry.signature[1], None, entry.signature[0])


def _sorted_files(files: dict[str, SkillFile]) -> tuple[SkillFile, ...]:
    return tuple(files[path] for path in sorted(files))


def _equal(left: Skill, right: Skill) -> bool:
    return (
        left.source == right.source
        and left.files == right.files
        and left.name == right.name
        and left.relative_location == right.relative_location
    )


def _with_files(skill: Skill, files: dict[str, SkillFile]) -> Skill:
    """`skill` with the files that are there now, but the `SKILL.md` that it was loaded from."""
    kept = {file.path: file for file in skill.files if file.path == SKILL_FILE}
    now = _sorted_files({**files, **kept})
    if now == skill.files:
        return skill
    fields = {name: getattr(skill, name) for name in Skill.__slots__}
    return Skill(**{**fields, "files": now})
