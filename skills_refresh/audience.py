"""`Audience`: the workspaces of one engine that are awake, and which of them a root concerns.

A change in one root is the business of those who have it; the others, and there may be a thousand, are not looked at.
A workspace is not kept alive here: one that its user forgot is found, and let go of.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from weakref import ref

from .health import RootHealth
from .model import Reason
from .publisher import Publisher
from .watched_root import WatchedRoot
from .workspace import Workspace

_log = logging.getLogger("skills_refresh")


class Audience:
    """Tells workspaces what concerns them. Owned by the engine's thread."""

    def __init__(self) -> None:
        self._publishers: dict[ref[Workspace], Publisher] = {}
        self._by_root: dict[WatchedRoot, dict[Publisher, None]] = {}
        self._told: dict[WatchedRoot, tuple[str, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._publishers)

    def add(self, publisher: Publisher) -> None:
        """`publisher` has its roots."""
        self._publishers[publisher.reference] = publisher
        for watched in publisher.roots:
            self._by_root.setdefault(watched, {})[publisher] = None

    def remove(self, publisher: Publisher) -> None:
        """`publisher` is about to lose its roots."""
        self._publishers.pop(publisher.reference, None)
        for watched in publisher.roots:
            others = self._by_root.get(watched, {})
            others.pop(publisher, None)
            if not others:
                self._by_root.pop(watched, None)

    def publisher_of(self, workspace: Workspace) -> Publisher | None:
        """The publisher of `workspace`; None where it is closed or asleep."""
        return self._publishers.get(ref(workspace))

    def publishers(self) -> list[Publisher]:
        """Those of all workspaces that are awake."""
        return list(self._publishers.values())

    def forgotten(self) -> list[Publisher]:
        """The publishers of workspaces that nobody holds any more."""
        return [publisher for publisher in self._publishers.values() if publisher.reference() is None]

    def forget(self, watched: WatchedRoot) -> None:
        """Nobody holds this root any more."""
        self._told.pop(watched, None)

    def tell(self, names: dict[WatchedRoot, set[str]], reason: Reason, reasons: Mapping[WatchedRoot, Reason]) -> None:
        """Publishes for all whom `names` concern, the names of skills that may look different, by root: for `reason`,
        or, for those who have one of the roots in `reasons`, for that of the root."""
        for publisher in {publisher: None for watched in names for publisher in self._by_root.get(watched, ())}:
            own = (reasons[watched] for watched in publisher.roots if watched in reasons)
            publisher.publish(names, next(own, reason))

    def tell_everybody(self, reason: Reason) -> None:
        """The same for everybody, where it is not known which names may look different."""
        for publisher in self.publishers():
            publisher.publish_all(reason)

    def tell_health(self, roots: Iterable[WatchedRoot]) -> None:
        """Tells, and logs, which of `roots` fare otherwise than was told last."""
        for watched in roots:
            health = watched.health()
            now, before = (health.mode, health.reason), self._told.get(watched)
            if now == before or not watched.users:
                continue
            self._told[watched] = now
            if before is not None or health.mode not in ("native", "missing"):
                _log_health(health)
            if before is not None:
                for publisher in tuple(self._by_root.get(watched, ())):
                    publisher.tell_health(health)


def _log_health(health: RootHealth) -> None:
    if health.mode == "native":
        _log.info("%s is watched natively again", health.path)
    else:
        level = logging.INFO if health.reason == "configured" else logging.WARNING
        _log.log(level, "%s: %s (%s): %s. %s", health.path, health.mode, health.reason, health.message, health.cure)
