"""What all measurements of `bench.py` share: a row of the table, and where trees are built."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from plain_tree import make_plain

# Written files must be older than the tick of any clock that stamps them, or reading them again is rightly cautious.
AGE_S = 1.1
# Before a measurement begins, and after it, nothing should be under way any more.
QUIET_S = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `passed` is None for what is told without a bar."""

    name: str
    what: str
    measured: float
    unit: str
    bar: float | None = None
    passed: bool | None = None
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where to build trees, and how often to measure."""

    directory: Path
    quick: bool

    def times(self, full: int, quick: int) -> range:
        """The repetitions: `full` of them, or `quick`."""
        return range(quick if self.quick else full)

    def plain(self, skills: int, *, prefix: str = "skill") -> Path:
        """A new tree of `skills` plain skills, old enough to be measured."""
        return self.tree(lambda root: make_plain(root, skills, prefix=prefix))

    def tree(self, make: Callable[[Path], None]) -> Path:
        """A new tree made by `make`, old enough to be measured."""
        root = Path(tempfile.mkdtemp(dir=self.directory))
        make(root)
        time.sleep(AGE_S)
        return root


def at_most(name: str, what: str, measured: float, unit: str, bar: float, **details: object) -> Row:
    """A row that passes where `measured` is not over `bar`."""
    return Row(name, what, measured, unit, bar, measured <= bar, details)


def exactly(name: str, what: str, measured: float, unit: str, bar: float, **details: object) -> Row:
    """A row that passes where `measured` is `bar`."""
    return Row(name, what, measured, unit, bar, measured == bar, details)


def rotated(sides: Sequence[str], turn: int) -> list[str]:
    """`sides` in another order each turn, so that none always follows the same one."""
    start = turn % len(sides)
    return [*sides[start:], *sides[:start]]
