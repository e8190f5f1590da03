"""`Debounce`: how long a batch of changes may settle before it is published. It takes the time and never sleeps.

The first change after quiet is published as soon as its batch stood still for one step. While changes keep coming, the
window doubles up to a quarter of a second: an edit costs milliseconds, a checkout of 500 skills a handful of versions,
and constant writing never starves anybody, because a window always ends.
"""

from __future__ import annotations

# How long a batch must stand still to be taken for whole. The kernel hands over the events of one save within a
# fraction of a millisecond; two steps of watchfiles' own stepping are the same length.
STEP_S = 0.002
# The longest that the first batch after quiet may settle, and the unit of the doubling.
FIRST_WINDOW_S = 0.010
LONGEST_WINDOW_S = 0.250
# No event for this long, and for as long as the window, is quiet. Longer would punish a person who saves twice.
QUIET_S = 0.020


class Debounce:
    """Decides when a batch is ready. All times are seconds of one monotonic clock. Not thread-safe: one owner."""

    def __init__(self) -> None:
        self._window = 0.0
        self._began: float | None = None
        self._last_event = float("-inf")

    @property
    def pending(self) -> bool:
        """Whether a batch has begun and was not taken yet."""
        return self._began is not None

    def event(self, now: float) -> None:
        """Something changed at `now`."""
        if self._began is None:
            self._began = now
            if now - self._last_event >= max(QUIET_S, self._window):
                self._window = 0.0
            else:
                self._window = min(max(2 * self._window, FIRST_WINDOW_S), LONGEST_WINDOW_S)
        self._last_event = now

    def ready_at(self) -> float:
        """When the batch is ready, if no further event comes."""
        assert self._began is not None
        if self._window == 0.0:
            return min(self._last_event + STEP_S, self._began + FIRST_WINDOW_S)
        return self._began + self._window

    def take(self) -> None:
        """The batch is being published; the next event begins another."""
        self._began = None

    def looked_away(self, seconds: float) -> None:
        """Nobody looked for events for so long: that was no quiet."""
        self._last_event += seconds
