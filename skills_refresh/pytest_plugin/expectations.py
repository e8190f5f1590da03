"""What a block of a test does to the skills: `Expectation` compares the snapshot before it with the one after it.

Both are taken behind the barrier `sync()`: what happens does not depend on when events arrive, and that nothing happens
is certain without a sleep. A failure says what was expected and all that happened instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeVar

import pytest

from ..changes import compare
from ..model import ASPECTS, Aspect, Kind, SkillChange, SkillsChanged, Snapshot
from ..workspace import Workspace
from .difference import aspects_text, difference, trouble

# How long the engine may take to look. It takes milliseconds, and longer only where the machine is very busy.
_BARRIER_S = 30.0

_KINDS: dict[Kind | None, str] = {None: "change", "added": "addition", "changed": "edit", "removed": "removal"}
_T = TypeVar("_T")


class Wanted(NamedTuple):
    """Which change is meant; None stands for any. `aspects` are all that the change has, no more and no less."""

    skill: str | None
    kind: Kind | None
    aspects: frozenset[Aspect] | None

    def is_met_by(self, changed: SkillsChanged) -> bool:
        """Whether a skill changed in this way; where nothing is named, whether anything is different at all."""
        if self == (None, None, None):
            return changed.before is not changed.snapshot
        return any(self._matches(change) for change in changed.changes)

    def _matches(self, change: SkillChange) -> bool:
        return (
            self.skill in (None, change.skill)
            and self.kind in (None, change.kind)
            and self.aspects in (None, frozenset(change.aspects))
        )

    @classmethod
    def named(cls, skill: str | None, kind: Kind | None, aspects: Collection[Aspect] | None) -> Wanted:
        """Raises `ValueError` for a kind or an aspect that there is none of, and that would never come; `TypeError` for
        aspects that are one text."""
        if kind not in _KINDS:
            raise ValueError(f"kind {kind!r}: no change is of it; name added, changed or removed")
        if isinstance(aspects, str):
            raise TypeError(f"aspects {aspects!r}: one change may have several; give a set, such as {{{aspects!r}}}")
        unknown = set(aspects or ()).difference(ASPECTS)
        if unknown:
            raise ValueError(f"aspects {sorted(unknown)}: no change has them; name some of {', '.join(ASPECTS)}")
        return cls(skill, kind, None if aspects is None else frozenset(aspects))

    def __str__(self) -> str:
        whose = "" if self.skill is None else f" of the skill {self.skill!r}"
        ordered = [aspect for aspect in ASPECTS if aspect in (self.aspects or ())]
        return _KINDS[self.kind] + whose + ("" if self.aspects is None else f" in exactly {aspects_text(ordered)}")


class Expectation:
    """A context manager, for `with` and `async with`, that looks at the skills on entering and on leaving.

    What is `wanted` must have happened between the two, or within `timeout` seconds after; where it is `refused`, it
    must not have. Otherwise the test fails. An exception inside of the block wins.
    """

    def __init__(self, workspace: Workspace, wanted: Wanted, *, refused: bool, timeout: float = 0.0) -> None:
        self._workspace = workspace
        self._wanted = wanted
        self._refused = refused
        self._timeout = timeout
        self._before: Snapshot | None = None
        self._change: SkillsChanged | None = None

    @property
    def change(self) -> SkillsChanged:
        """All that differs between entering and leaving; `reason` is `audit`, for it is the expectation that looked.

        Raises `RuntimeError` before the block was left.
        """
        if self._change is None:
            raise RuntimeError("there is no change before the block was left: read it below the with statement")
        return self._change

    def __enter__(self) -> Expectation:
        self._before = self._workspace.sync(_BARRIER_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        failure = self._failure() if kind is None else None
        if failure is not None:
            pytest.fail(failure)

    async def __aenter__(self) -> Expectation:
        return await _in_a_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        failure = await _in_a_thread(self._failure) if kind is None else None
        if failure is not None:
            pytest.fail(failure)

    def _failure(self) -> str | None:
        """Why the test fails, or None."""
        met = self._wait_until_met()
        if met is not self._refused:
            return None
        expected = f"expected no {self._wanted}" if met else f"expected within {self._timeout:g} s: {self._wanted}"
        roots = [Path(root.path) for root in self._workspace.roots]
        return "\n".join([expected, *difference(self.change, roots), *trouble(self._workspace.health)])

    def _wait_until_met(self) -> bool:
        """Whether what is wanted has happened, behind the barrier or within the timeout after it."""
        deadline = time.monotonic() + self._timeout
        newer: Snapshot | None = self._workspace.sync(_BARRIER_S)
        while newer is not None:
            self._change = compare(self._before, newer, workspace=self._workspace.name, reason="audit")
            if self._wanted.is_met_by(self._change):
                return True
            left = deadline - time.monotonic()
            newer = self._workspace.wait(after=newer.version, timeout=left) if left > 0 else None
        return False


async def _in_a_thread(call: Callable[[], _T]) -> _T:
    """What `call` returns, without holding up the event loop, whether that is asyncio's or trio's."""
    from anyio import to_thread  # here, because tests that are not async need not pay for it

    return await to_thread.run_sync(call)
