"""The skills as nodes of pytest's tree: `DIR/pdf/SKILL.md::pdf`.

Where pytest comes through a directory anyway, `SKILL.md` is one more file that it collects. A root that was added for
its skills' sake, and a directory that pytest would pass by (`.claude`, or a skill called `build`), is collected for
skills alone: to check them must not run what else lies there.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol

import pytest

from ..filters import SKILL_FILE
from ..problems import Problem
from .skill_checks import Finding
from .skill_items import SkillFile, SkillItem
from .skill_scan import FoundSkill, FoundSkills

_ROOTS, _ONLY_SKILLS = "skills_refresh_roots", "skills_refresh_only_skills"


class Worker(Protocol):
    """What pytest-xdist calls a node."""

    workerinput: dict[str, list[str]]


class RootDirectory(pytest.Directory):
    """A root that pytest has come to by itself: all that pytest finds there, and the problems of the root."""

    collection: SkillCollection

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Collects what the node that pytest would have made here collects; that class is final."""
        assert isinstance(self.parent, pytest.Collector)
        yield from self.collection.root_item(self)
        yield from pytest.Dir.from_parent(self.parent, path=self.path).collect()


class OnlySkills(pytest.File):
    """A directory of which only the skills are collected, and what leads to them.

    It is no `pytest.Directory`, for pytest runs the `conftest.py` of each of these.
    """

    collection: SkillCollection

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """The root's own problems, the skill that the directory is, and the directories on the way to others."""
        yield from self.collection.root_item(self)
        ignores = self.ihook.pytest_ignore_collect
        path = self.path / SKILL_FILE
        if self.path in self.collection.skills and not ignores(collection_path=path, config=self.config):
            yield self.collection.skill_file(self, path)
        for child in self.collection.on_the_way_from(self.path):
            if not ignores(collection_path=child, config=self.config):
                yield self.collection.only_skills(self, child)


class SkillCollection:
    """The plugin that is registered where `roots` are named. `scan` looks at one, when the first hook needs it; below
    the directories `only_skills` nothing else is collected."""

    def __init__(
        self, roots: Iterable[Path], scan: Callable[[Path], FoundSkills], *, only_skills: Iterable[Path]
    ) -> None:
        self._roots = tuple(roots)
        self._scan = scan
        self._only_skills = set(only_skills)

    @staticmethod
    def of_controller(workerinput: dict[str, list[str]]) -> tuple[list[Path], list[Path]]:
        """In a worker of pytest-xdist: the controller's `roots` and `only_skills`. Its paths are the controller's with
        those that were added, so it could not find out by itself which these are."""
        return [Path(root) for root in workerinput[_ROOTS]], [Path(root) for root in workerinput[_ONLY_SKILLS]]

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Worker) -> None:
        """Tells a worker of pytest-xdist what `of_controller` asks for."""
        node.workerinput[_ROOTS] = [str(root) for root in self._roots]
        node.workerinput[_ONLY_SKILLS] = [str(root) for root in self._only_skills]

    @cached_property
    def _found(self) -> dict[Path, FoundSkills]:
        return {root: self._scan(root) for root in self._roots}

    @cached_property
    def skills(self) -> dict[Path, FoundSkill]:
        """The skills of all roots by their directories."""
        return {path: skill for found in self._found.values() for path, skill in found.skills.items()}

    @cached_property
    def _root_problems(self) -> dict[Path, tuple[Problem, ...]]:
        """The problems of each root that belong to none of its skills."""
        return {root: found.problems for root, found in self._found.items() if found.problems}

    @cached_property
    def _ways(self) -> dict[Path, set[Path]]:
        """For each directory above something to collect, those of its own directories that lead there."""
        ways: dict[Path, set[Path]] = {}
        for path in (*self.skills, *self._root_problems):
            for above in path.parents:
                ways.setdefault(above, set()).add(path)
                path = above
        return ways

    def on_the_way_from(self, directory: Path) -> list[Path]:
        """The directories directly in `directory` that are skills or lead to some, sorted."""
        return sorted(self._ways.get(directory, ()))

    def root_item(self, parent: RootDirectory | OnlySkills) -> Iterator[SkillItem]:
        """An item with the problems of the root at `parent` that belong to none of its skills, if there are any."""
        problems = self._root_problems.get(parent.path)
        if problems:
            yield SkillItem.of(parent, "root", lambda: [Finding(problem, None) for problem in problems])

    def skill_file(self, parent: pytest.Collector, path: Path) -> SkillFile:
        """The node of the `SKILL.md` at `path`."""
        node: SkillFile = SkillFile.from_parent(parent, path=path)
        node.skill = self.skills[path.parent]
        return node

    def only_skills(self, parent: pytest.Collector, path: Path) -> OnlySkills:
        """The node of the directory at `path`, of which nothing but skills is wanted."""
        node: OnlySkills = OnlySkills.from_parent(parent, path=path)
        node.collection = self
        return node

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> OnlySkills | RootDirectory | None:
        """Makes nodes of roots, and of what pytest would have passed by."""
        if path in self._only_skills:
            return self.only_skills(parent, path)
        if path not in self._roots:
            return None
        node: RootDirectory = RootDirectory.from_parent(parent, path=path)
        node.collection = self
        return node

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> SkillFile | None:
        """Makes nodes of the `SKILL.md` files that pytest comes to by itself."""
        if file_path.name != SKILL_FILE or file_path.parent not in self.skills:
            return None
        return self.skill_file(parent, file_path)

    @pytest.hookimpl(wrapper=True)
    def pytest_ignore_collect(
        self, collection_path: Path, config: pytest.Config
    ) -> Generator[None, bool | None, bool | None]:
        """Does not let `norecursedirs` hide a skill: what is one is decided by the rules of this library alone."""
        ignored = yield
        patterns = config.getini("norecursedirs")
        if (
            not ignored
            or not any(fnmatch.fnmatch(collection_path.name, pattern) for pattern in patterns)
            or not (collection_path in self._ways or collection_path in self.skills)
        ):
            return ignored
        self._only_skills.add(collection_path)
        return None
