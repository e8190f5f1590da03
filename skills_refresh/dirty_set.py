"""`DirtySet`: what must be read again. It only remembers: what makes something dirty, and when it is read, is the
reconciler's to decide."""

from __future__ import annotations

from collections.abc import Mapping

from .model import Reason
from .watched_root import WatchedRoot
from .watching.hints import Dirty


class DirtySet:
    """Roots to open anew and directories to read again. Owned by one thread.

    `roots` says why each is to be opened, `directories` which names were touched in each. `put_off` are directories for
    which there was no time, the oldest first.
    """

    def __init__(self) -> None:
        self.roots: dict[WatchedRoot, Reason] = {}
        self.directories: dict[WatchedRoot, Dirty] = {}
        self.put_off: dict[tuple[WatchedRoot, str], set[str]] = {}

    def __bool__(self) -> bool:
        return bool(self.roots or self.directories or self.put_off)

    @property
    def waiting(self) -> set[tuple[WatchedRoot, str]]:
        """All of it: directories, and "" for a whole root."""
        dirty = {(watched, path) for watched, marks in self.directories.items() for path in marks}
        return dirty | self.put_off.keys() | {(watched, "") for watched in self.roots}

    def mark(self, watched: WatchedRoot, dirty: Dirty) -> None:
        """Adds directories of `watched`."""
        if dirty:
            known = self.directories.setdefault(watched, {})
            for path, names in dirty.items():
                known.setdefault(path, set()).update(names)

    def take(self) -> dict[WatchedRoot, Dirty]:
        """The directories, which are no longer dirty then."""
        taken, self.directories = self.directories, {}
        return taken

    def put(self, watched: WatchedRoot, unread: Mapping[str, set[str]]) -> None:
        """Puts directories off, behind those that wait already."""
        for path, names in unread.items():
            self.put_off.setdefault((watched, path), set()).update(names)

    def forget(self, watched: WatchedRoot) -> None:
        """Forgets all of a root."""
        self.roots.pop(watched, None)
        self.directories.pop(watched, None)
        self.put_off = {key: names for key, names in self.put_off.items() if key[0] is not watched}
