"""One root's skills: what the tree holds becomes `Skill` objects and problems.

A skill is built again only when the tree says that something of it may differ, and the old object is kept when nothing
visible does. A skill whose `SKILL.md` cannot be read any more keeps its last good version until it is mended or
deleted.

A skill is built when all of it was read. Until then it stays as it was, and a new one is not there; what goes meanwhile
stays, too, while a new skill is being read that may be the same one at another place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .directory import Directory
from .filters import SKILL_FILE
from .frontmatter import Finding, Frontmatter, parse_frontmatter
from .model import Skill, SkillFile, skill_identity
from .problems import Problem, problem
from .reading import FileEntry
from .settings import Settings
from .tree import Tree
from .tree_change import TreeChange


class _Built(NamedTuple):
    """A skill's directory as built: the skill where it could be loaded, its problems, and its relevant files."""

    order: list[str]
    skill: Skill | None
    problems: tuple[Problem, ...]
    files: dict[str, SkillFile]


class _Loose(NamedTuple):
    """A directory outside of any skill: its problems and its relevant files by absolute path."""

    problems: tuple[Problem, ...]
    files: dict[str, SkillFile]


class RootCatalog:
    """The skills of one root, one for each name. Owned by one thread; what it hands out is immutable.

    `previous` is the catalog of the same root before it was opened anew: skills that are as they were there stay the
    same objects, last good versions stay in use, and so do skills that were not read yet.

    `skills` maps names to the skill that is first by path. `problems` and `files` are all problems, and the relevant
    files of no loaded skill, each replaced by a new object when it differs.
    """

    def __init__(self, tree: Tree, settings: Settings, previous: RootCatalog | None = None) -> None:
        self.skills: dict[str, Skill] = {} if previous is None else dict(previous.skills)
        self.problems: tuple[Problem, ...] = ()
        self.files: dict[str, SkillFile] = {}
        self._tree = tree
        self._settings = settings
        self._root = Path(tree.root.path)
        self._built: dict[str, _Built] = {}
        self._loose: dict[str, _Loose] = {}
        self._by_name: dict[str, list[str]] = {}
        self._over_limit: frozenset[str] = frozenset()
        # What `previous` had built, by the skill's directory relative to the root.
        before = () if previous is None else previous._built.values()
        self._previous = {"/".join(built.order): built for built in before}
        # The directories in which skills are being read, each with its skill's name, None where that is not known yet.
        self._coming: dict[str, str | None] = {}
        # Names in use of which no skill is left.
        self._leaving = set(self.skills)

    def update(self, change: TreeChange) -> set[str]:
        """Builds again what `change` names; returns the names whose skill is another object now, or gone."""
        names: set[str] = set()
        others = False
        for path in change.loose:
            others |= self._update_loose(path)
        for path in change.skills:
            before, after = self._built.get(path), self._build(path)
            if after is None:
                self._built.pop(path, None)
            elif before is None or not _same(before, after):
                self._built[path] = after
            else:
                continue
            others |= before is None or after is None or before.problems != after.problems
            others |= _loose_files(before) != _loose_files(after)
            names |= self._reindex(path, before, after)
        self._previous = {}
        names, shadows_differ = self._resolve(names | self._leaving)
        if others or shadows_differ or change.added or change.removed:
            self._gather()
        return names

    def _update_loose(self, path: str) -> bool:
        directory = self._tree.directories.get(path)
        before = self._loose.pop(path, None)
        self._coming.pop(path, None)
        if directory is None or directory.skill is not None:
            return before is not None
        if directory.unread_directories:
            self._coming[path] = None
        files = {self._shown(directory, name): _skill_file(name, entry) for name, entry in directory.files.items()}
        after = self._loose[path] = _Loose(directory.problems, files)
        return before is None or before.problems != after.problems or before.files != after.files

    def _build(self, path: str) -> _Built | None:
        top = self._tree.directories.get(path)
        self._coming.pop(path, None)
        if top is None or top.skill != path:
            return None
        before = self._built.get(path) or self._previous.get(top.relative)
        directories = list(self._tree.files_below(path))
        if not all(directory.whole for directory in directories):
            return self._build_later(top, before, directories)
        found: list[Problem] = []
        files: dict[str, SkillFile] = {}
        prefix = len(top.relative) + 1 if top.relative else 0
        for directory in directories:
            found.extend(directory.problems)
            below = directory.relative[prefix:] + "/" if directory is not top and directory.relative else ""
            for name, entry in directory.files.items():
                if entry.signature is not None:
                    files[below + name] = _skill_file(below + name, entry)
                if name == SKILL_FILE and directory is not top:
                    message = f"lies below the skill {top.relative or '.'} and is part of it"
                    found.append(problem("nested-skill", self._shown(directory, name), message))
        skill = self._load(top, files, None if before is None else before.skill, found)
        return _Built(top.relative.split("/"), skill, tuple(found), files)

    def _build_later(self, top: Directory, before: _Built | None, directories: list[Directory]) -> _Built | None:
        """What is shown of a skill as long as some of it was never read: a new one is not there, an old one is as it
        was. That a directory cannot be listed is told, since it may last."""
        if not any(directory.unlisted for directory in directories):
            self._coming[top.path] = self._name_in(top)
            return before
        found = [found for directory in directories for found in directory.problems]
        if before is None or before.skill is None:
            return _Built(top.relative.split("/"), None, tuple(found), {})
        return before._replace(problems=(*found, self._stale(top, "cannot be looked at")))

    def _name_in(self, top: Directory) -> str | None:
        """The name that `SKILL.md` gives to the skill in `top`; None where it was not read yet."""
        entry = top.files.get(SKILL_FILE)
        if entry is None:
            return None
        frontmatter, _ = self._parse(top, entry)
        return "" if frontmatter is None else frontmatter.name

    def _parse(self, top: Directory, entry: FileEntry) -> tuple[Frontmatter | None, list[Finding]]:
        findings = self._unusable(entry)
        if entry.data is None or findings:
            return None, findings
        return parse_frontmatter(entry.data, top.name or self._root.name)

    def _load(
        self, top: Directory, files: dict[str, SkillFile], before: Skill | None, found: list[Problem]
    ) -> Skill | None:
        """The skill in `top`; its last good version, `before`, where `SKILL.md` is there but unusable."""
        entry = top.files.get(SKILL_FILE)
        if entry is None:
            return None
        frontmatter, findings = self._parse(top, entry)
        if findings:
            location = self._shown(top, SKILL_FILE)
            found.extend(problem(finding.code, location, finding.message) for finding in findings)
        if frontmatter is not None and entry.data is not None:
            relative = _location_in_root(top)
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

    def _stale(self, top: Directory, why: str) -> Problem:
        return problem("stale", self._shown(top, SKILL_FILE), f"{why}; its last good version stays in use")

    def _unusable(self, entry: FileEntry) -> list[Finding]:
        """Why a `SKILL.md` cannot even be parsed; nothing where it can."""
        if entry.error is not None:
            return [Finding(*entry.error)]
        if entry.data is None:
            size = entry.signature[1] if entry.signature else 0
            return [Finding("too-large", f"has {size:,} bytes, over {self._settings.max_skill_bytes:,}")]
        return []

    def _reindex(self, path: str, before: _Built | None, after: _Built | None) -> set[str]:
        names = {built.skill.name for built in (before, after) if built is not None and built.skill is not None}
        for name in names:
            paths = [other for other in self._by_name.get(name, ()) if other != path]
            if after is not None and after.skill is not None and after.skill.name == name:
                paths.append(path)
            paths.sort(key=lambda other: self._built[other].order)
            if paths:
                self._by_name[name] = paths
            else:
                self._by_name.pop(name, None)
        return names

    def _resolve(self, names: set[str]) -> tuple[set[str], bool]:
        """Chooses the winner for each of `names`; returns those that differ, and whether a loser may differ."""
        limit = self._settings.max_skills
        over: frozenset[str] = frozenset()
        if len(self._built) > limit:
            ordered = sorted(self._built, key=lambda path: self._built[path].order)
            over = frozenset(ordered[limit:])
        if over != self._over_limit:
            names = names | {
                built.skill.name
                for path in over ^ self._over_limit
                if (built := self._built.get(path)) is not None and built.skill is not None
            }
        several = over != self._over_limit
        self._over_limit = over
        different = set()
        for name in names:
            paths = [path for path in self._by_name.get(name, ()) if path not in over]
            several = several or len(self._by_name.get(name, ())) != 1
            winner = self._built[paths[0]].skill if paths else None
            if winner is None and name in self.skills and self._may_come(name):
                self._leaving.add(name)
                continue
            self._leaving.discard(name)
            if self.skills.get(name) is not winner:
                different.add(name)
                if winner is None:
                    del self.skills[name]
                else:
                    self.skills[name] = winner
        return different, several

    def _may_come(self, name: str) -> bool:
        """Whether a skill is being read that may have this name."""
        return any(coming in (None, name) for coming in self._coming.values())

    def _gather(self) -> None:
        """Collects problems and the files of no loaded skill anew."""
        found = [*self._tree.limit_problems]
        files: dict[str, SkillFile] = {}
        for loose in self._loose.values():
            found.extend(loose.problems)
            files.update(loose.files)
        for path, built in self._built.items():
            if path in self._over_limit:
                location = self._shown(self._tree.directories[path], SKILL_FILE)
                message = f"not loaded: the root has more than {self._settings.max_skills} skills"
                found.append(problem("skill-limit", location, message))
                continue
            found.extend(built.problems)
            if built.skill is None:
                top = self._tree.directories[path]
                files.update((self._shown(top, file), entry) for file, entry in built.files.items())
        for name, paths in self._by_name.items():
            within = [path for path in paths if path not in self._over_limit]
            for path in within[1:]:
                found.append(shadowed(self._built[path].skill, self._built[within[0]].skill, name))
        if tuple(found) != self.problems:
            self.problems = tuple(found)
        if files != self.files:
            self.files = files

    def _shown(self, directory: Directory, name: str) -> str:
        return os.path.join(self._root, *filter(None, directory.relative.split("/")), *name.split("/"))


def shadowed(loser: Skill | None, winner: Skill | None, name: str) -> Problem:
    """The problem that `loser` is not used because `winner` has the same name and comes first."""
    assert loser is not None
    assert winner is not None
    return problem("shadowed", loser.location, f"the name '{name}' is taken by {winner.location}, which comes first")


def _skill_file(path: str, entry: FileEntry) -> SkillFile:
    if entry.signature is None:
        return SkillFile(path, 0, None)
    if entry.sha256 is not None:
        return SkillFile(path, entry.signature[1], entry.sha256)
    return SkillFile(path, entry.signature[1], None, entry.signature[0])


def _location_in_root(top: Directory) -> str:
    return f"{top.relative}/{SKILL_FILE}" if top.relative else SKILL_FILE


def _sorted_files(files: dict[str, SkillFile]) -> tuple[SkillFile, ...]:
    return tuple(files[path] for path in sorted(files))


def _loose_files(built: _Built | None) -> dict[str, SkillFile] | None:
    return None if built is None or built.skill is not None else built.files


def _equal(left: Skill, right: Skill) -> bool:
    return (
        left.source == right.source
        and left.files == right.files
        and left.name == right.name
        and left.relative_location == right.relative_location
    )


def _same(left: _Built, right: _Built) -> bool:
    return left.skill is right.skill and left.problems == right.problems and left.files == right.files


def _with_files(skill: Skill, files: dict[str, SkillFile]) -> Skill:
    """`skill` with the files that are there now, but the `SKILL.md` that it was loaded from."""
    kept = {file.path: file for file in skill.files if file.path == SKILL_FILE}
    now = _sorted_files({**files, **kept})
    if now == skill.files:
        return skill
    fields = {name: getattr(skill, name) for name in Skill.__slots__}
    return Skill(**{**fields, "files": now})
