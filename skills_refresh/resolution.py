"""Several roots become one `Snapshot`: earlier roots win, as in `PATH`, and what may not be used is hidden. Pure.

A snapshot is made of the roots' layers as they are. Only names that some root says have changed are looked at, and
those that are hidden otherwise; nothing is made when nothing visible differs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from .layered import LayeredMapping, differing_names, layered
from .layers import Hidden, RootLayer, found_problems, shadowed_pairs, taken_names
from .model import NONE_HIDDEN, Snapshot
from .problems import Problem
from .prompt import prompt_parts_differ

_V = TypeVar("_V")


class Resolver:
    """Builds the snapshots of one workspace. Owned by one thread."""

    def __init__(self) -> None:
        self._layers: tuple[RootLayer, ...] = ()
        self._hidden: tuple[Hidden, ...] = ()
        self._of_roots: tuple[tuple[Problem, ...], ...] = ()

    def next_snapshot(
        self,
        before: Snapshot | None,
        layers: tuple[RootLayer, ...],
        hidden: tuple[Hidden, ...],
        names: Collection[str],
        of_roots: tuple[tuple[Problem, ...], ...],
        version: Callable[[], int],
    ) -> Snapshot | None:
        """The snapshot after `before`, or None where nothing that a consumer can see differs.

        `layers` are the roots', always as many, and `hidden` is what is hidden in each; `names` are those whose skill
        may have changed in some of them. `of_roots` are the problems of the roots themselves. `version` is called only
        when one is needed.
        """
        if before is not None:
            names = {*names, *_differing(self._hidden, hidden)}
        skills = LayeredMapping(tuple(layer.skills for layer in layers), hidden)
        find_problems = self._find_problems(before, layers, hidden, names, of_roots)
        self._layers, self._hidden, self._of_roots = layers, hidden, of_roots
        files = _same_or_new(None if before is None else before.files, tuple(layer.files for layer in layers))
        all_hidden = NONE_HIDDEN if before is None or before.hidden else before.hidden
        if any(hidden):
            all_hidden = _same_or_new(None if before is None else before.hidden, hidden, taken_names(layers, hidden))
        if before is None:
            first = version()
            return Snapshot(first, first, skills, find_problems, files, all_hidden)
        pairs = [(before.skills.get(name), skills.get(name)) for name in names]
        pairs = [(was, now) for was, now in pairs if was is not now]
        same = find_problems is before.find_problems and files is before.files and all_hidden is before.hidden
        if same and not pairs:
            return None
        layered(before.skills).supersede(skills, same_names=all(was and now for was, now in pairs))
        new = version()
        prompt_version = new if any(prompt_parts_differ(was, now) for was, now in pairs) else before.prompt_version
        return Snapshot(new, prompt_version, skills, find_problems, files, all_hidden)

    def _find_problems(
        self,
        before: Snapshot | None,
        layers: tuple[RootLayer, ...],
        hidden: tuple[Hidden, ...],
        names: Collection[str],
        of_roots: tuple[tuple[Problem, ...], ...],
    ) -> Callable[[], tuple[Problem, ...]]:
        """What finds all problems: that of `before` where they are the same."""
        if before is None:
            return found_problems(layers, hidden, of_roots)
        if (
            of_roots == self._of_roots
            and [layer.problems for layer in layers] == [layer.problems for layer in self._layers]
            and all(_shadowed(name, self._layers, self._hidden) == _shadowed(name, layers, hidden) for name in names)
        ):
            return before.find_problems
        found = found_problems(layers, hidden, of_roots)
        return before.find_problems if found() == before.problems else found


def _shadowed(name: str, layers: Sequence[RootLayer], hidden: Sequence[Hidden]) -> list[tuple[Path, Path]]:
    """Where the skills called `name` lie that are not used, each with the one that took its name."""
    return [(loser.location, winner.location) for loser, winner in shadowed_pairs(name, layers, hidden)]


def _differing(before: tuple[Hidden, ...], after: tuple[Hidden, ...]) -> Iterator[str]:
    """The names that are hidden otherwise in one of the roots."""
    for was, now in zip(before, after, strict=True):
        if was is not now:
            yield from (name for name in was.keys() | now.keys() if was.get(name) != now.get(name))


def _same_or_new(
    before: Mapping[str, _V] | None,
    layers: tuple[dict[str, _V], ...],
    without: tuple[Collection[str], ...] | None = None,
) -> Mapping[str, _V]:
    """What `layers` hold, `without` some names in each; `before` where it is the same."""
    after = LayeredMapping(layers, without)
    return after if before is None or differing_names(before, after) else before
