"""`Clock`: where the engine learns what time it is. Another one is for tests, which turn it as they like."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Clock(NamedTuple):
    """Two functions without arguments, both returning seconds.

    `monotonic` never goes back, and stands still while the machine sleeps (Linux). `wall` is the time since the epoch:
    people and time servers set it, forward and back, and it goes on while the machine sleeps.
    """

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def wall_ms(self) -> int:
        """Whole milliseconds since the epoch."""
        return int(self.wall() * 1_000)
