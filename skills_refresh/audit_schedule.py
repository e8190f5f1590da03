"""`AuditSchedule`: when each root is audited. It takes the time and never sleeps.

Each has a time of its own, so that 1,000 roots which were opened one after another are not audited in one turn. But
those that are due soon after one another are taken together: an idle engine should not wake up for each.
"""

from __future__ import annotations

from collections import OrderedDict

from .watched_root import WatchedRoot

# What is due within so much of the time between two audits goes together: with 14 s between them, 1,000 roots that were
# opened within three seconds are audited in four wakes, and no root is audited much oftener.
TOGETHER = 0.07


class AuditSchedule:
    """The roots in the order in which they are due, `every_s` seconds after they were read or audited. Not thread-safe:
    one owner. All other times are monotonic seconds."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._due: OrderedDict[WatchedRoot, float] = OrderedDict()
        self._until = float("-inf")

    def add(self, watched: WatchedRoot, now: float) -> None:
        """`watched` was read at `now`."""
        self._due[watched] = now + self._every_s
        self._due.move_to_end(watched)

    def discard(self, watched: WatchedRoot) -> None:
        """Forgets a root."""
        self._due.pop(watched, None)

    def hurry(self, now: float) -> None:
        """Makes every root due."""
        for watched in self._due:
            self._due[watched] = now

    @property
    def next_at(self) -> float:
        """When the next root is due; never where there is none."""
        return next(iter(self._due.values()), float("inf"))

    def is_due(self, now: float) -> bool:
        """Whether a root is due, or goes together with one that was."""
        return self.next_at <= max(now, self._until)

    def take(self, now: float) -> WatchedRoot | None:
        """A root to audit now; None where none is due any more."""
        if not self.is_due(now):
            return None
        if self.next_at > self._until:
            self._until = now + TOGETHER * self._every_s
        watched = next(iter(self._due))
        self.add(watched, now)
        return watched
