"""`Publisher`: makes the snapshots of one workspace from the roots that the engine holds, and gives them to it."""

from __future__ import annotations

from collections.abc import Collection

from .clock import Clock
from .health import RootHealth
from .model import Reason
from .resolution import Resolver
from .versions import VersionCounter
from .watched_root import WatchedRoot
from .workspace import Workspace


class Publisher:
    """What `workspace` sees of its `roots`. Owned by the engine's thread, but for `health`."""

    def __init__(self, workspace: Workspace, roots: tuple[WatchedRoot, ...], clock: Clock) -> None:
        self.workspace = workspace
        self.roots = roots
        self._resolver = Resolver()
        self._versions = VersionCounter(clock.wall_ms, after=workspace._after)

    def health(self) -> tuple[RootHealth, ...]:
        """How each root is watched, in the order of the roots. Safe from any thread."""
        return tuple(watched.health() for watched in self.roots)

    def start(self) -> None:
        """Publishes the first snapshot; the roots are open by then."""
        names = {name for watched in self.roots if watched.catalog is not None for name in watched.catalog.skills}
        self.workspace._follow_health(self.health)
        self._publish(names, "roots")

    def publish(self, names: dict[WatchedRoot, set[str]], reason: Reason) -> None:
        """Publishes the next snapshot, if a consumer can see a difference; `names` are those of skills that may look
        different, by root."""
        if any(watched in names for watched in self.roots):
            self._publish({name for watched in self.roots for name in names.get(watched, ())}, reason)

    def publish_all(self, reason: Reason) -> None:
        """The same where it is not known which names may look different."""
        found = {name for watched in self.roots if watched.catalog is not None for name in watched.catalog.skills}
        self._publish(found | self.workspace.snapshot.skills.keys(), reason)

    def _publish(self, names: Collection[str], reason: Reason) -> None:
        catalogs = [watched.catalog for watched in self.roots if watched.catalog is not None]
        problems = tuple(found for watched in self.roots for found in watched.problems)
        before = self.workspace._snapshot
        after = self._resolver.next_snapshot(before, catalogs, names, problems, self._versions.next)
        if after is not None:
            self.workspace._publish(after, reason)
