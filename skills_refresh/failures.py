"""`Failures`: the roots in which a bug of the engine was hit. Such a root is left alone until it is opened anew, and
holds up no other."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from .health import EngineHealth
from .watched_root import WatchedRoot

_log = logging.getLogger("skills_refresh")


class Failures:
    """Survives bugs, and remembers where. `roots` are those in which one was hit and that were not opened since; the
    bugs are counted in `health`. Owned by one thread."""

    def __init__(self, health: EngineHealth) -> None:
        self.roots: set[WatchedRoot] = set()
        self._health = health
        self._told: set[WatchedRoot] = set()

    @contextmanager
    def surviving(self, watched: WatchedRoot) -> Iterator[None]:
        """Whatever fails in the block is logged, and `watched` is opened as if it had never been seen, in its time."""
        try:
            yield
        except Exception:
            _log.exception("the engine hit a bug in %s; it is read again", watched.root.path)
            self._health.failures += 1
            self.roots.add(watched)
            watched.forget()

    def take(self, opened: Collection[WatchedRoot]) -> set[WatchedRoot]:
        """Those of `opened` in which a bug was hit, which are opened anew now."""
        taken = self.roots.intersection(opened)
        self.roots -= taken
        return taken

    def forget(self, watched: WatchedRoot) -> None:
        """Nobody holds this root any more."""
        self.roots.discard(watched)
        self._told.discard(watched)

    def tell(self) -> set[WatchedRoot]:
        """Has each root's health say whether a bug was hit in it; returns those where it may say so no longer, or now
        does."""
        concerned = self._told | self.roots
        for watched in concerned:
            watched.failing = watched in self.roots
        self._told = set(self.roots)
        return concerned
