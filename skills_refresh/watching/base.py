"""What every source of hints promises: `Watcher`. A hint is a path; the tree is the truth."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from ..health import Cause

#: An event of watchfiles: its kind (1 added, 2 modified, 3 deleted) and an absolute path.
Event = tuple[int, str]
ADDED, MODIFIED, DELETED = 1, 2, 3
#: Told of each new inotify descriptor, or of None where it is not known.
Attach = Callable[[int | None], None]


class Batch(NamedTuple):
    """What was pending: events, and directories of which events may have been lost, which must be looked at again.
    `behind` says that so many more wait in the kernel that it may have dropped some."""

    events: set[Event]
    suspect: set[str]
    behind: bool = False


class Watcher(Protocol):
    """Watches directories. All methods belong to one thread.

    `refused` are directories that were asked for and are not watched, each with why: they must be polled. `replaced`
    counts the instances that died and were replaced.
    """

    refused: dict[str, Cause]
    replaced: int

    @property
    def watched(self) -> Collection[str]:
        """The directories that are watched."""
        ...

    def arm(self, directories: Iterable[str]) -> set[str]:
        """Watches `directories` (real paths) too, the first ones first where not all can be. Returns those that must be
        looked at again, because they may have changed while they were not watched."""
        ...

    def disarm(self, directories: Iterable[str]) -> None:
        """Forgets `directories`."""
        ...

    def take(self) -> Batch:
        """What is pending. Never blocks."""
        ...

    def tidy(self) -> set[str]:
        """Does what can wait until it is quiet. Returns directories that must be looked at again."""
        ...

    def give_back(self, cause: Cause) -> set[str]:
        """Gives all descriptors back; what was watched is refused, for `cause`, and returned."""
        ...

    def close(self) -> None:
        """Gives back threads and descriptors. Idempotent."""
        ...
