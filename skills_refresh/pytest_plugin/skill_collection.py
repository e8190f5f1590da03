"""The skills as nodes of pytest's tree: `DIR/pdf/SKILL.md::pdf`.

Where pytest comes through a directory anyway, its node stays what pytest makes it, and `SKILL.md` is one more file that
it collects. A root that it does not come to, and a directory that it would pass by (`.claude`, or a skill called
`build`), is collected for skills alone: to check them must not run what else lies there.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path

import pytest

from ..escaping import printable
from ..filters import SKILL_FILE
from ..problems import Problem
from .skill_checks import Finding
from .skill_items import SkillFile, SkillItem
from .skill_scan import FoundSkill, FoundSkills


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
            if child not in self.collection.paths and not ignores(collection_path=child, config=self.config):
                yield self.collection.only_skills(self, child)


class SkillCollection:
    """The plugin that is registered where `roots` are named. `scan` looks at one, when it is first needed.

    `wanted` are the roots whose skills this run should check, and `paths` what pytest collects by itself. Where those
    were `chosen` for this run, one that leads into a root stands for all of it.
    """

    def __init__(
        self,
        roots: Iterable[Path],
        scan: Callable[[Path], FoundSkills],
        *,
        wanted: Iterable[Path],
        paths: Iterable[Path],
        chosen: bool,
    ) -> None:
        self._roots = tuple(roots)
        self._scan = scan
        self._wanted = tuple(wanted)
        self.paths = frozenset(paths)
        self._chosen = chosen
        self._only_skills: set[Path] = set()

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

    def root_item(self, parent: pytest.Collector) -> Iterator[SkillItem]:
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

    def _roots_to_add(self) -> list[Path]:
        """The roots that are wanted and that pytest does not come to by itself."""
        return [
            root
            for root in self._wanted
            if not any(root.is_relative_to(path) for path in self.paths)
            and not any(root != other and root.is_relative_to(other) for other in self._wanted)
            and not (self._chosen and any(self._leads_into(root, path) for path in self.paths))
        ]

    def _leads_into(self, root: Path, path: Path) -> bool:
        """Whether `path` is, holds or lies in a skill of the root. That of tests which lie in a root beside its skills
        does not."""
        return path.is_relative_to(root) and (
            path in self._ways or not self.skills.keys().isdisjoint((path, *path.parents))
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Puts the roots beside the paths of the session, and the item of a root beside what pytest finds in it.

        Not by way of `config.args`: pytest would make nodes of the directories above, and the workers of pytest-xdist
        would not hear of it.
        """
        report = yield
        if isinstance(collector, pytest.Session):
            report.result += [self.only_skills(collector, root) for root in self._roots_to_add()]
        elif isinstance(collector, pytest.Directory):
            report.result[:0] = self.root_item(collector)
        return report

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Names the roots in which there was nothing to check, for a run of other tests is green all the same."""
        for root in self._wanted:
            if not self._found[root].skills:
                terminalreporter.write_line(f"no skills below {printable(str(root))}", yellow=True)

    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> OnlySkills | None:
        """Makes nodes of what pytest would have passed by."""
        return self.only_skills(parent, path) if path in self._only_skills else None

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
            or _is_left_out_by_name(collection_path, config)
        ):
            return ignored
        self._only_skills.add(collection_path)
        return None


def _is_left_out_by_name(path: Path, config: pytest.Config) -> bool:
    """Whether `--ignore`, `--ignore-glob`, or `collect_ignore` or `collect_ignore_glob` of a `conftest.py` names it."""
    base = config.invocation_params.dir
    paths = [base / given for given in config.getoption("ignore") or ()]
    globs = [base / given for given in config.getoption("ignore_glob") or ()]
    for plugin in config.pluginmanager.get_plugins():
        file = Path(getattr(plugin, "__file__", None) or "")
        if file.name == "conftest.py":
            paths += [file.parent / given for given in getattr(plugin, "collect_ignore", None) or ()]
            globs += [file.parent / given for given in getattr(plugin, "collect_ignore_glob", None) or ()]
    return path in map(Path, map(os.path.abspath, paths)) or any(
        fnmatch.fnmatch(str(path), str(glob)) for glob in globs
    )
