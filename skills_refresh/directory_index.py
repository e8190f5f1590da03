"""`DirectoryIndex`: which roots know a directory, so that an event is judged by those that it may concern alone.

It follows the trees: whoever reads one says which of its directories came and went. Roots may overlap, and one
directory may be reached by two paths, so a directory may be known to several. With 1,000 roots, asking each of them
about each batch of events would take longer than reading what changed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from .directory import Directory
from .watched_root import WatchedRoot
from .watching.base import Event


class DirectoryIndex:
    """Maps the real paths of directories to the roots in whose plan they are. Owned by one thread."""

    def __init__(self) -> None:
        self._roots: dict[str, tuple[WatchedRoot, ...]] = {}
        # What links lead to, by root and by path: an event that concerns a link need not name a directory of its root.
        self._targets: dict[WatchedRoot, frozenset[str]] = {}
        self._linking: dict[str, set[WatchedRoot]] = {}

    def follow(self, watched: WatchedRoot, paths: Iterable[str]) -> None:
        """Looks again which of `paths` the tree of `watched` holds."""
        known = watched.tree.directories if watched.tree is not None else {}
        alone = (watched,)  # one object for most directories of a root
        for path in paths:
            before = self._roots.get(path, ())
            if path not in known:
                self._drop(path, before, watched)
            elif watched not in before:
                self._roots[path] = (*before, watched) if before else alone
        self._follow_links(watched, watched.tree.link_targets.keys() if watched.tree is not None else ())

    def forget(self, watched: WatchedRoot, paths: Iterable[str] | None = None) -> None:
        """Forgets that `watched` knows `paths`, all that it knows; they are looked for where that is not known."""
        self._follow_links(watched, ())
        if paths is None:
            paths = [path for path, roots in self._roots.items() if watched in roots]
        for path in paths:
            self._drop(path, self._roots.get(path, ()), watched)

    def roots_of(self, path: str) -> Collection[WatchedRoot]:
        """The roots that know the directory `path`."""
        return self._roots.get(path, ())

    def concerned(self, events: Iterable[Event]) -> dict[WatchedRoot, set[Event]]:
        """The roots that `events` may concern, each with those events: they name a directory that it knows, something
        in one, or what a link in it leads to."""
        found: dict[WatchedRoot, set[Event]] = {}
        for event in events:
            path = event[1]
            for watched in self._roots.get(path, ()):
                found.setdefault(watched, set()).add(event)
            for watched in self._roots.get(os.path.dirname(path), ()):
                found.setdefault(watched, set()).add(event)
            for watched in self._linking.get(path, ()):
                found.setdefault(watched, set()).add(event)
        return found

    def known(self, paths: Iterable[str]) -> dict[WatchedRoot, list[Directory]]:
        """What is known of `paths`, by root; but not of roots that cannot be reached."""
        found: dict[WatchedRoot, list[Directory]] = {}
        for path in paths:
            for watched in self._roots.get(path, ()):
                directory = watched.tree.directories.get(path) if watched.tree is not None else None
                if directory is not None and not watched.unreachable:
                    found.setdefault(watched, []).append(directory)
        return found

    def _follow_links(self, watched: WatchedRoot, targets: Collection[str]) -> None:
        before = self._targets.pop(watched, frozenset())
        now = frozenset(targets)
        for path in before - now:
            self._linking[path].discard(watched)
            if not self._linking[path]:
                del self._linking[path]
        for path in now - before:
            self._linking.setdefault(path, set()).add(watched)
        if now:
            self._targets[watched] = now

    def _drop(self, path: str, before: tuple[WatchedRoot, ...], watched: WatchedRoot) -> None:
        left = tuple(other for other in before if other is not watched)
        if left:
            self._roots[path] = left
        else:
            self._roots.pop(path, None)
