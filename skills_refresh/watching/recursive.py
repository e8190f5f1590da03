"""`RecursiveWatcher`: whole roots, recursively (macOS and Windows; it also works on Linux).

There the kernel's own interface is recursive: a list of directories would restart one stream for each (macOS) or take a
handle for each (Windows). What is excluded is watched too, and its events are dropped as hints.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from ..health import Cause
from .base import Attach, Batch, Event
from .instance import Instance, InstanceDied, InstanceRefused


class RecursiveWatcher:
    """Watches the topmost of the directories that it is given, each with all that lies below it."""

    def __init__(self, attach: Attach) -> None:
        self.refused: dict[str, Cause] = {}
        self.replaced = 0
        self._attach = attach
        self._tops: dict[str, Instance] = {}
        self._covered: dict[str, str] = {}

    @property
    def watched(self) -> Collection[str]:
        return self._covered.keys()

    def arm(self, directories: Iterable[str]) -> set[str]:
        wanted = sorted(path for path in directories if path not in self._covered)
        for path in wanted:
            self.refused.pop(path, None)
            top = self._top_of(path)
            cause = self._watch(path) if top is None else ""
            if cause:
                self.refused[path] = cause
            else:
                self._covered[path] = top or path
        return set(wanted)

    def disarm(self, directories: Iterable[str]) -> None:
        for path in directories:
            self.refused.pop(path, None)
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
        behind = False
        for top, instance in tuple(self._tops.items()):
            behind = behind or instance.is_behind()
            try:
                events |= instance.take()
            except InstanceDied:
                self.replaced += 1
                suspect |= self._replace(top)
        return Batch(events, suspect, behind)

    def tidy(self) -> set[str]:
        return set()

    def give_back(self, cause: Cause) -> set[str]:
        given = set(self._covered)
        self.close()
        self.refused.update(dict.fromkeys(given, cause))
        return given

    def close(self) -> None:
        for instance in self._tops.values():
            instance.close()
        self._tops.clear()
        self._covered.clear()

    def _watch(self, path: str) -> Cause:
        """Watches `path` and all below it; returns why that cannot be, or the empty word."""
        try:
            instance = Instance([path], recursive=True)
        except InstanceRefused as refused:
            return refused.cause
        except UnicodeEncodeError:
            return "undecodable-name"
        self._attach(instance.descriptor)
        self._tops[path] = instance
        return ""

    def _top_of(self, path: str) -> str | None:
        return next((top for top in self._tops if path == top or path.startswith(top.rstrip(os.sep) + os.sep)), None)

    def _replace(self, top: str) -> set[str]:
        below = {path for path, covering in self._covered.items() if covering == top}
        self._tops.pop(top).close()
        cause = self._watch(top)
        if cause:
            self.refused.update(dict.fromkeys(below, cause))
            for path in below:
                del self._covered[path]
        return below
