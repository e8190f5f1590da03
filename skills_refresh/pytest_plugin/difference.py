"""What happened to the skills between two snapshots, in lines that the reader of a failed test understands."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from ..escaping import printable
from ..health import RootHealth
from ..model import Aspect, SkillsChanged
from ..problems import Problem


def difference(changed: SkillsChanged, roots: Collection[Path]) -> Iterator[str]:
    """All that `changed` says, a line for each skill and each problem. Paths below `roots` are shown from there."""
    if changed.before is changed.snapshot:
        names = ", ".join(repr(printable(name)) for name in changed.snapshot.skills)
        yield f"nothing changed: version {changed.version} holds {names or 'no skills'}"
        return
    yield f"version {changed.previous} became {changed.version}:"
    lines = [*_skill_lines(changed, roots), *_hidden_lines(changed), *_problem_lines(changed, roots)]
    yield from lines or ["  nothing differs any more: what was changed was changed back"]


def _skill_lines(changed: SkillsChanged, roots: Collection[Path]) -> Iterator[str]:
    for change in changed.changes:
        name = "files of no skill" if change.skill is None else repr(printable(change.skill))
        paths = ", ".join(_short(path, roots) for path in change.paths)
        yield f"  {change.kind} {name} in {aspects_text(change.aspects)}: {paths}"


def _hidden_lines(changed: SkillsChanged) -> Iterator[str]:
    before = {} if changed.before is None else changed.before.hidden
    for name, hidden in changed.snapshot.hidden.items():
        was = before.get(name)
        if was is None or was.reason != hidden.reason:
            yield f"  hidden {printable(name)!r}: {hidden.reason}"


def _problem_lines(changed: SkillsChanged, roots: Collection[Path]) -> Iterator[str]:
    before = () if changed.before is None else changed.before.problems
    for found in changed.snapshot.problems:
        if found not in before:
            yield f"  new problem {_problem_text(found, roots)}: {found.message}"
            yield f"    {found.cure}"
    for found in before:
        if found not in changed.snapshot.problems:
            yield f"  no longer a problem {_problem_text(found, roots)}"


def trouble(health: Collection[RootHealth]) -> Iterator[str]:
    """A line for each root that the kernel does not tell of."""
    for root in health:
        if root.mode != "native":
            yield f"{printable(str(root.path))} is {root.mode} ({root.reason}): {root.message}. {root.cure}".rstrip()


def aspects_text(aspects: Collection[Aspect]) -> str:
    """The aspects, in their order."""
    return ", ".join(aspects) or "no aspect"


def _problem_text(found: Problem, roots: Collection[Path]) -> str:
    return f"[{found.code}] {_short(found.path, roots)}"


def _short(path: Path, roots: Collection[Path]) -> str:
    below = [path.relative_to(root) for root in roots if path.is_relative_to(root)]
    return printable(str(min(below, key=lambda relative: len(relative.parts), default=path)))
