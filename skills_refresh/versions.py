"""`VersionCounter`: the integers that identify snapshots."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class VersionCounter:
    """Strictly increasing integers, seeded from the millisecond clock.

    The seed makes versions increase over restarts too: a session that was persisted with a version of the last run
    must never take a snapshot of this run for an older one. Where the clock stands still or jumps back, the counter
    goes on by one. Safe from any thread.

    `clock_ms` returns milliseconds since the epoch; another one is for tests. All are greater than `after`.
    """

    def __init__(self, clock_ms: Callable[[], int] = _wall_clock_ms, *, after: int = 0) -> None:
        self._clock_ms = clock_ms
        self._lock = threading.Lock()
        self._current = after

    @property
    def current(self) -> int:
        """The version given out last; `after` before the first."""
        return self._current

    def next(self) -> int:
        """A new version: `max(now in ms, current + 1)`."""
        with self._lock:
            self._current = max(self._clock_ms(), self._current + 1)
            return self._current

    def __repr__(self) -> str:
        return f"<VersionCounter current={self._current}>"
