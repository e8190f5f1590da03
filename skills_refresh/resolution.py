"""Several roots become one `Snapshot`: earlier roots win, as in `PATH`. Pure.

The next snapshot shares everything that did not change with the one before: only names that some root says have changed
are looked at, and nothing is built when nothing visible differs.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType

from .catalog import RootCatalog, shadowed
from .model import Skill, SkillFile, Snapshot
from .problems import Problem, problem_order
from .prompt import prompt_fields


class Resolver:
    """Builds the snapshots of one workspace. Owned by one thread."""

    def __init__(self) -> None:
        self._shadowed: dict[str, tuple[Problem, ...]] = {}
        self._sources: list[object] = []

    def next_snapshot(
        self,
        before: Snapshot | None,
        catalogs: Sequence[RootCatalog],
        names: Iterable[str],
        root_problems: tuple[Problem, ...],
        version: Callable[[], int],
    ) -> Snapshot | None:
        """The snapshot after `before`, or None where nothing that a consumer can see differs.

        `names` are those whose skill may have changed in some root. `version` is called only when one is needed.
        """
        old = before.skills_dict() if before is not None else {}
        winners: dict[str, Skill | None] = {}
        shadows_differ = False
        for name in names:
            found = [catalog.skills[name] for catalog in catalogs if name in catalog.skills]
            winner = found[0] if found else None
            if old.get(name) is not winner:
                winners[name] = winner
            # Roots may overlap: a skill does not shadow itself.
            losers = tuple(shadowed(loser, winner, name) for loser in found[1:] if loser.location != found[0].location)
            if losers != self._shadowed.get(name, ()):
                shadows_differ = True
                self._shadowed[name] = losers
        problems, files = self._others(before, catalogs, root_problems, shadows_differ)
        if before is not None and not winners and problems == before.problems and files == before.files:
            return None
        new_version = version()
        prompt_differs = before is None or any(
            (winner and prompt_fields(winner)) != ((was := old.get(name)) and prompt_fields(was))
            for name, winner in winners.items()
        )
        return Snapshot(
            version=new_version,
            prompt_version=new_version if prompt_differs or before is None else before.prompt_version,
            skills=MappingProxyType(_merged(old, winners)),
            problems=problems,
            files=files if before is None or files != before.files else before.files,
        )

    def _others(
        self,
        before: Snapshot | None,
        catalogs: Sequence[RootCatalog],
        root_problems: tuple[Problem, ...],
        shadows_differ: bool,
    ) -> tuple[tuple[Problem, ...], MappingProxyType[str, SkillFile]]:
        sources: list[object] = [root_problems]
        for catalog in catalogs:
            sources += [catalog.problems, catalog.files]
        unchanged = len(sources) == len(self._sources) and all(map(operator.is_, sources, self._sources))
        if before is not None and unchanged and not shadows_differ:
            assert isinstance(before.files, MappingProxyType)
            return before.problems, before.files
        self._sources = sources
        found = set(root_problems)
        files: dict[str, SkillFile] = {}
        for catalog in catalogs:
            found.update(catalog.problems)
            files.update(catalog.files)
        for losers in self._shadowed.values():
            found.update(losers)
        return tuple(sorted(found, key=problem_order)), MappingProxyType(files)


def _merged(skills: dict[str, Skill], winners: dict[str, Skill | None]) -> dict[str, Skill]:
    """`skills` with `winners` in place, sorted by name."""
    unsorted = False
    for name, winner in winners.items():
        if winner is None:
            del skills[name]
        else:
            unsorted = unsorted or name not in skills
            skills[name] = winner
    return dict(sorted(skills.items())) if unsorted else skills
