"""One root's skills: which there are, which name each has, and what else is to be told of the root.

A skill is built again only when the tree says that something of it may differ.
A skill is built when all of it was read. Until then it stays as it was, and a new one is not there; what goes meanwhile
stays, too, while a new skill is being read that may be the same one at another place.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .filters import SKILL_FILE
from .layered import Layer
from .layers import NO_LAYER, RootLayer, shadowed
from .model import Skill, SkillFile
from .problems import Problem, problem
from .settings import Settings
from .skill_builder import BuiltSkill, SkillBuilder, skill_file
from .tree import Tree
from .tree_change import TreeChange


class _Loose(NamedTuple):
    """A directory outside of any skill: its problems and its relevant files by absolute path."""

    problems: tuple[Problem, ...]
    files: dict[str, SkillFile]


class KeptSkills(NamedTuple):
    """What the next catalog of the same root begins with: the skills by name, as snapshots have them, and what was
    built, by the skill's directory relative to the root."""

    skills: Layer[Skill]
    built: dict[str, BuiltSkill]


class RootCatalog:
    """The skills of one root, one for each name. Owned by one thread; what it hands out is immutable.

    `previous` is what was kept of the same root before it was opened anew: skills that are as they were there stay the
    same objects, last good versions stay in use, and so do skills that were not read yet.

    `skills` maps names, sorted, to the skill that is first by path. `problems` and `files` are all problems, and the
    relevant files of no loaded skill, each replaced by a new object when it differs. `layer` is all that once more, for
    snapshots: it never changes, and another one takes its place.
    """

    def __init__(self, tree: Tree, settings: Settings, previous: KeptSkills | None = None) -> None:
        self.layer: RootLayer = NO_LAYER if previous is None else RootLayer(previous.skills)
        self.skills: dict[str, Skill] = dict(self.layer.skills)
        self.problems: tuple[Problem, ...] = ()
        self.files: dict[str, SkillFile] = {}
        self._tree = tree
        self._settings = settings
        self._builder = SkillBuilder(Path(tree.root.path), settings.max_skill_bytes)
        self._built: dict[str, BuiltSkill] = {}
        self._loose: dict[str, _Loose] = {}
        self._by_name: dict[str, list[str]] = {}
        self._over_limit: frozenset[str] = frozenset()
        self._previous = {} if previous is None else previous.built
        # The directories in which skills are being read, each with its skill's name, None where that is not known yet.
        self._coming: dict[str, str | None] = {}
        # Names in use of which no skill is left.
        self._leaving = set(self.skills)

    def kept(self) -> KeptSkills:
        """What the next catalog of this root is to begin with."""
        # The layer's skills: a bug may have stopped this catalog before the two were the same again.
        return KeptSkills(self.layer.skills, {"/".join(built.order): built for built in self._built.values()})

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
        self._renew_layer(names)
        return names

    def _renew_layer(self, names: set[str]) -> None:
        skills = self.layer.skills
        if names:
            if self.skills.keys() != skills.keys():
                self.skills = dict(sorted(self.skills.items()))
            skills = Layer(self.skills, skills, names)
        elif self.problems is self.layer.problems and self.files is self.layer.files:
            return
        self.layer = RootLayer(skills, self.problems, self.files)

    def _update_loose(self, path: str) -> bool:
        directory = self._tree.directories.get(path)
        before = self._loose.pop(path, None)
        self._coming.pop(path, None)
        if directory is None or directory.skill is not None:
            return before is not None
        if directory.unread_directories:
            self._coming[path] = None
        files = {
            self._builder.shown(directory, name): skill_file(name, entry) for name, entry in directory.files.items()
        }
        after = self._loose[path] = _Loose(directory.problems, files)
        return before is None or before.problems != after.problems or before.files != after.files

    def _build(self, path: str) -> BuiltSkill | None:
        top = self._tree.directories.get(path)
        self._coming.pop(path, None)
        if top is None or top.skill != path:
            return None
        before = self._built.get(path) or self._previous.get(top.relative)
        directories = list(self._tree.files_below(path))
        if not all(directory.whole for directory in directories):
            if any(directory.unlisted for directory in directories):  # that may last
                return self._builder.build_unlisted(directories, before)
            self._coming[path] = self._builder.name_in(top)
            return before
        return self._builder.build(directories, before)

    def _reindex(self, path: str, before: BuiltSkill | None, after: BuiltSkill | None) -> set[str]:
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
                location = self._builder.shown(self._tree.directories[path], SKILL_FILE)
                message = f"not loaded: the root has more than {self._settings.max_skills} skills"
                found.append(problem("skill-limit", location, message))
                continue
            found.extend(built.problems)
            if built.skill is None:
                top = self._tree.directories[path]
                files.update((self._builder.shown(top, file), entry) for file, entry in built.files.items())
        for paths in self._by_name.values():
            within = [path for path in paths if path not in self._over_limit]
            for path in within[1:]:
                loser, winner = self._built[path].skill, self._built[within[0]].skill
                assert loser is not None
                assert winner is not None
                found.append(shadowed(loser, winner))
        if tuple(found) != self.problems:
            self.problems = tuple(found)
        if files != self.files:
            self.files = dict(sorted(files.items()))


def _loose_files(built: BuiltSkill | None) -> dict[str, SkillFile] | None:
    return None if built is None or built.skill is not None else built.files


def _same(left: BuiltSkill, right: BuiltSkill) -> bool:
    return left.skill is right.skill and left.problems == right.problems and left.files == right.files
