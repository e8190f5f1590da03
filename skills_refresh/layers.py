"""`RootLayer`: what one root gives to snapshots, and what is to be told where several roots lie over one another. Pure.

A layer never changes, so all workspaces and all versions share it, and what was once found out about two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

from .layered import Layer
from .model import HiddenSkill, Skill, SkillFile
from .problems import Problem, problem, problem_order

# The names that a workspace hides in one root, each with the skill and why.
Hidden = dict[str, HiddenSkill]


class _Shadows(NamedTuple):
    """The names of one layer that an earlier one takes, and the problem of each."""

    names: frozenset[str]
    problems: tuple[Problem, ...]


_NO_SHADOWS = _Shadows(frozenset(), ())


class RootLayer:
    """One root at one moment: its `skills` by name, sorted, its `problems`, and its relevant `files` of no loaded skill
    by absolute path. Immutable, and so are the dictionaries; safe from any thread."""

    __slots__ = ("__weakref__", "_shadows", "files", "problems", "skills")

    def __init__(
        self,
        skills: Layer[Skill] | None = None,
        problems: tuple[Problem, ...] = (),
        files: dict[str, SkillFile] | None = None,
    ) -> None:
        self.skills = Layer[Skill]({}) if skills is None else skills
        self.problems = problems
        self.files = {} if files is None else files
        self._shadows: WeakKeyDictionary[RootLayer, _Shadows] | None = None

    def shadows(self, earlier: RootLayer) -> _Shadows:
        """What of this layer `earlier` takes the names of. Found out once for two layers."""
        if earlier.skills.keys().isdisjoint(self.skills):
            return _NO_SHADOWS
        if self._shadows is None:
            self._shadows = WeakKeyDictionary()
        found = self._shadows.get(earlier)
        if found is None:
            names = frozenset(earlier.skills.keys() & self.skills.keys())
            pairs = [(self.skills[name], earlier.skills[name]) for name in names]
            # Roots may overlap: a skill does not shadow itself.
            told = tuple(shadowed(loser, winner) for loser, winner in pairs if loser.location != winner.location)
            found = self._shadows[earlier] = _Shadows(names, told)
        return found


NO_LAYER = RootLayer()


def shadowed(loser: Skill, winner: Skill) -> Problem:
    """The problem that `loser` is not used because `winner` has the same name and comes first."""
    return problem(
        "shadowed", loser.location, f"the name '{loser.name}' is taken by {winner.location}, which comes first"
    )


def shadowed_pairs(name: str, layers: Sequence[RootLayer], hidden: Sequence[Hidden]) -> list[tuple[Skill, Skill]]:
    """The skills called `name` that are not used because of another, each with that other one.

    What is hidden takes no name from a later skill, but from another one that is hidden, too: only the first is told
    as hidden.
    """
    first: Skill | None = None
    winner: Skill | None = None
    pairs: list[tuple[Skill, Skill]] = []
    for layer, without in zip(layers, hidden, strict=True):
        skill = layer.skills.get(name)
        if skill is None:
            continue
        if winner is not None:
            pairs.append((skill, winner))
        elif name not in without:
            winner = skill
        elif first is not None:
            pairs.append((skill, first))
        else:
            first = skill
    return [(loser, by) for loser, by in pairs if loser.location != by.location]


def taken_names(layers: Sequence[RootLayer], hidden: Sequence[Hidden]) -> tuple[frozenset[str], ...]:
    """The names that are hidden in each of `layers` and that an earlier one has, not hidden: nobody need be told."""
    return tuple(
        frozenset(
            name
            for earlier, without in zip(layers[:number], hidden[:number], strict=True)
            for name in layer.shadows(earlier).names
            if name in hidden[number] and name not in without
        )
        if hidden[number]
        else frozenset()
        for number, layer in enumerate(layers)
    )


class FoundProblems:
    """All problems of a workspace, sorted, made when they are first asked for. The same object for all workspaces and
    versions that have the same ones; see `found_problems`."""

    __slots__ = ("__weakref__", "_parts", "_sorted")

    def __init__(self, parts: tuple[tuple[Problem, ...], ...]) -> None:
        self._parts = parts
        self._sorted: tuple[Problem, ...] | None = None

    def __call__(self) -> tuple[Problem, ...]:
        if self._sorted is None:
            self._sorted = tuple(sorted({found for part in self._parts for found in part}, key=problem_order))
        return self._sorted


# By the identities of the parts, which live as long as the problems made of them.
_known: WeakValueDictionary[tuple[int, ...], FoundProblems] = WeakValueDictionary()


def found_problems(
    layers: Sequence[RootLayer], hidden: Sequence[Hidden], of_roots: Iterable[tuple[Problem, ...]]
) -> FoundProblems:
    """The problems of `layers`, of what they take from one another where a workspace hides `hidden` in each, and
    `of_roots`, those of the roots themselves."""
    parts = (*of_roots, *(layer.problems for layer in layers), *_shadow_parts(layers, hidden))
    parts = tuple(part for part in parts if part)
    key = tuple(map(id, parts))
    found = _known.get(key)
    if found is None:
        found = _known[key] = FoundProblems(parts)
    return found


def _shadow_parts(layers: Sequence[RootLayer], hidden: Sequence[Hidden]) -> Iterator[tuple[Problem, ...]]:
    apart = _shared_names(layers, hidden) if any(hidden) else set()
    for number, layer in enumerate(layers):
        for before, earlier in enumerate(layers[:number]):
            shadows = layer.shadows(earlier)
            # Usually two roots are all that have a name, and nobody else's problems are made.
            others = [other.skills for other in layers[:before] if not shadows.names.isdisjoint(other.skills)]
            if not others and apart.isdisjoint(shadows.names):
                yield shadows.problems
            else:
                yield tuple(
                    shadowed(layer.skills[name], earlier.skills[name])
                    for name in shadows.names
                    if name not in apart
                    and not any(name in other for other in others)
                    and layer.skills[name].location != earlier.skills[name].location
                )
    yield tuple(shadowed(*pair) for name in apart for pair in shadowed_pairs(name, layers, hidden))


def _shared_names(layers: Sequence[RootLayer], hidden: Sequence[Hidden]) -> set[str]:
    """The names that several of `layers` have, and that are hidden in one of them."""
    return {
        name
        for number, layer in enumerate(layers)
        for earlier in layers[:number]
        for name in layer.shadows(earlier).names
        if any(name in without for without in hidden)
    }
