"""`Doubt`: when events may have been lost, so that an audit must come at once instead of in its time.

The kernel drops events when 16,384 of them wait, and watchfiles does not pass on what it says of that. It happens when
nobody takes them: the process was suspended, the machine slept, a storm was faster than its reader. These can be
noticed: by the time, by how much is heard at once, and by how much still waits. It takes the times and never sleeps.
"""

from __future__ import annotations

# A thread that is this much later than it wanted to be was kept from running. 16,384 events are made in a fifth of a
# second by a program that does nothing else.
LATE_S = 0.5
# More events at once than a person or an editor makes, far fewer than the kernel keeps.
LARGE_BATCH = 1_000
# While a storm lasts, the audit waits for its end, but no longer than this; and this is the least between two.
PATIENCE_S = 3.0


class Doubt:
    """Decides when all roots are to be audited out of turn. Not thread-safe: one owner.

    Monotonic and wall times are in seconds.
    """

    def __init__(self, now: float, wall: float) -> None:
        self._looked = now
        self._wall = wall
        self._since: float | None = None
        self._last_audit = float("-inf")

    def looked(self, now: float, wall: float, *, meant_after: float) -> None:
        """Events were looked for at `now`; it was meant to be at most `meant_after` seconds after the look before.

        A wall clock that went further than the other, or less far, was set, or the machine slept.
        """
        passed = now - self._looked
        if passed > meant_after + LATE_S or abs(wall - self._wall - passed) > LATE_S:
            self._arise(now)
        self._looked, self._wall = now, wall

    def heard(self, now: float, events: int, *, behind: bool) -> None:
        """So many events came at once; `behind` says that many more wait in the kernel."""
        if behind or events >= LARGE_BATCH:
            self._arise(now)

    def _arise(self, now: float) -> None:
        if self._since is None:
            self._since = now

    def audit_at(self, *, storm: bool) -> float | None:
        """When to audit, or None where there is nothing to doubt. `storm` says that events still come."""
        if self._since is None:
            return None
        if storm:
            return self._since + PATIENCE_S
        return max(self._since, self._last_audit + PATIENCE_S)

    def dispelled(self, now: float) -> None:
        """Everything was audited."""
        self._since = None
        self._last_audit = now
