"""`Publisher`: makes the snapshots of one workspace from the roots that the engine holds, and gives them to it."""

from __future__ import annotations

from collections.abc import Collection
from weakref import ref

from .clock import Clock
from .health import RootHealth
from .hiding import Answers
from .layers import NO_LAYER
from .model import Reason
from .resolution import Resolver
from .versions import VersionCounter
from .watched_root import WatchedRoot
from .workspace import Workspace


class Publisher:
    """What `workspace` sees of its `roots`. Owned by the engine's thread, but for `health`.

    `reference` leads to the workspace, which is not kept alive here; it is None when its user forgot it. `answers` say
    which skills are hidden, and are shared with workspaces that have equal checks.
    """

    def __init__(self, workspace: Workspace, roots: tuple[WatchedRoot, ...], clock: Clock, answers: Answers) -> None:
        self.reference = ref(workspace)
        self.roots = roots
        self._resolver = Resolver()
        self._answers = answers
        self._versions = VersionCounter(clock.wall_ms, after=workspace._after)

    def health(self) -> tuple[RootHealth, ...]:
        """How each root is watched, in the order of the roots. Safe from any thread."""
        return tuple(watched.health() for watched in self.roots)

    def tell_health(self, health: RootHealth) -> None:
        """Tells who listens that one of the roots fares otherwise."""
        workspace = self.reference()
        if workspace is not None:
            workspace._tell_health(health)

    def ask_again(self) -> None:
        """Has the checks of eligibility asked again about every skill, by the next `publish`."""
        self._answers.forget(watched.catalog for watched in self.roots if watched.catalog is not None)

    def start(self) -> None:
        """Publishes the first snapshot, or, after a sleep, the next one, if a consumer can see a difference; the roots
        are open by then."""
        workspace = self.reference()
        if workspace is not None:
            workspace._follow_health(self.health)
            self.publish_all("roots")
            workspace._wake_up()

    def publish(self, names: dict[WatchedRoot, set[str]], reason: Reason) -> None:
        """Publishes the next snapshot, if a consumer can see a difference; `names` are those of skills that may look
        different, by root; those that are hidden now, or not any more, are found here."""
        self._publish({name for watched in self.roots for name in names.get(watched, ())}, reason)

    def publish_all(self, reason: Reason) -> None:
        """The same where it is not known which names may look different."""
        workspace = self.reference()
        before = None if workspace is None else workspace._snapshot
        found = {name for watched in self.roots if watched.catalog is not None for name in watched.catalog.skills}
        self._publish(found if before is None else found.union(before.skills), reason)

    def _publish(self, names: Collection[str], reason: Reason) -> None:
        workspace = self.reference()
        roots = self.roots
        if workspace is None or not roots:  # forgotten, or closed just now, by a check that was asked for another one
            return
        hidden = tuple(self._answers.hidden_in(watched.catalog) for watched in roots)
        after = self._resolver.next_snapshot(
            workspace._snapshot,
            tuple(NO_LAYER if watched.catalog is None else watched.catalog.layer for watched in roots),
            hidden,
            names,
            tuple(watched.problems for watched in roots),
            self._versions.next,
        )
        if after is not None:
            workspace._publish(after, reason)
