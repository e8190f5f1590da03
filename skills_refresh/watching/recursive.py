"""`RecursiveWatcher`: whole roots, recursively (macOS and Windows; it also works on Linux).

There the kernel's own interface is recursive: a list of directories would restart one stream for each (macOS) or take a
handle for each (Windows). What is excluded is watched too, and its events are dropped as hints.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from .base import Attach, Batch, Event
from .instance import Instance, InstanceDied


class RecursiveWatcher:
    """Watches the topmost of the directories that it is given, each with all that lies below it."""

    def __init__(self, attach: Attach) -> None:
        self.refused: set[str] = set()
        self._attach = attach
        self._tops: dict[str, Instance] = {}
        self._covered: dict[str, str] = {}

    @property
    def watched(self) -> int:
        return len(self._covered)

    def arm(self, directories: Iterable[str]) -> set[str]:
        wanted = sorted(path for path in directories if path not in self._covered)
        for path in wanted:
            self.refused.discard(path)
            top = self._top_of(path)
            if top is None:
                top = path if self._watch(path) else None
            if top is None:
                self.refused.add(path)
            else:
                self._covered[path] = top
        return set(wanted)

    def disarm(self, directories: Iterable[str]) -> None:
        for path in directories:
            self.refused.discard(path)
            self._covered.pop(path, None)
            if path in self._tops:
                self._tops.pop(path).close()
                orphans = [below for below, top in self._covered.items() if top == path]
                for orphan in orphans:
                    del self._covered[orphan]
                self.arm(orphans)

    def take(self) -> Batch:
        events: set[Event] = set()
        suspect: set[str] = set()
        for top, instance in tuple(self._tops.items()):
            try:
                events |= instance.take()
            except InstanceDied:
                suspect |= self._replace(top)
        return Batch(events, suspect)

    def tidy(self) -> set[str]:
        return set()

    def close(self) -> None:
        for instance in self._tops.values():
            instance.close()
        self._tops.clear()
        self._covered.clear()

    def _watch(self, path: str) -> bool:
        try:
            instance = Instance([path], recursive=True)
        except (OSError, InstanceDied, UnicodeEncodeError):
            return False
        self._attach(instance.descriptor)
        self._tops[path] = instance
        return True

    def _top_of(self, path: str) -> str | None:
        return next((top for top in self._tops if path == top or path.startswith(top.rstrip(os.sep) + os.sep)), None)

    def _replace(self, top: str) -> set[str]:
        below = {path for path, covering in self._covered.items() if covering == top}
        self._tops.pop(top).close()
        if not self._watch(top):
            self.refused |= below
            for path in below:
                del self._covered[path]
        return below
