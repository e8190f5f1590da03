"""An engine whose time a test turns, and what the kernel watches for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from skills_refresh import Engine, Workspace
from skills_refresh.clock import Clock
from skills_refresh.watching.limits import kernel_watches

from .conftest import wait_for

# Longer than the engine waits between two looks at what is idle, forgotten, or watched without need.
A_ROUND_S = 2.0


class TurnedEngine(Engine):
    """Its monotonic clock goes forward when a test says so."""

    def __init__(self) -> None:
        self._turned_s = 0.0
        super().__init__(clock=Clock(monotonic=lambda: time.monotonic() + self._turned_s))

    def __enter__(self) -> TurnedEngine:
        return self

    def turn_clock(self, seconds: float = A_ROUND_S) -> None:
        """Goes forward, and has the engine notice."""
        self._turned_s += seconds
        self.bump()

    def let_pass(self, seconds: float) -> None:
        """Goes forward, and only wakes the engine, which asks for nothing."""
        self._turned_s += seconds
        assert self._waker is not None
        self._waker.wake()

    def put_asleep(self, workspace: Workspace) -> None:
        """Returns when `workspace`, which nobody uses, has fallen asleep."""

        def sleeps() -> bool:
            self.turn_clock((workspace.idle_s or 0) + A_ROUND_S)
            return workspace.health[0].reason == "idle"

        wait_for(sleeps, "falling asleep")

    def wait_for_watches(self, roots: Iterable[Path]) -> None:
        """Returns when the kernel watches exactly the directories below `roots`, each once."""
        expected = len(directories(roots))

        def are_right() -> bool:
            self.turn_clock()
            return kernel_watches() == expected

        wait_for(are_right, f"watching exactly the {expected} directories")


def directories(roots: Iterable[Path]) -> set[str]:
    """The real paths of all directories below `roots`, and of themselves, counted by a plain walk."""
    return {path for root in roots for path, _, _ in os.walk(os.path.realpath(root))}
