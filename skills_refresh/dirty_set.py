"""`DirtySet`: what must be read again. It only remembers: what makes something dirty, and when it is read, is the
reconciler's to decide."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .directory import Directory
from .model import Reason
from .watched_root import WatchedRoot
from .watching.hints import Dirty

# Roots and directories in them, with names in each; `os.curdir` stands for the directory itself, not listed yet.
Waiting = dict[tuple[WatchedRoot, str], set[str]]


class DirtySet:
    """Roots to open anew and directories to read again. Owned by one thread.

    `roots` says why each is to be opened, `directories` which names were touched in each. `put_off` are directories for
    which there was no time, the oldest first, each with names in it: see `TreeChange.unread`.
    """

    def __init__(self) -> None:
        self.roots: dict[WatchedRoot, Reason] = {}
        self.directories: dict[WatchedRoot, Dirty] = {}
        self.put_off: Waiting = {}

    def __bool__(self) -> bool:
        return bool(self.roots or self.directories or self.put_off)

    @property
    def waiting(self) -> Waiting:
        """The names for which there was no time."""
        found = {}
        for (watched, path), names in self.put_off.items():
            directory = _directory(watched, path)
            if directory is not None:
                found[watched, path] = names | directory.unread_directories
        return found

    def still_waiting(self, before: Waiting) -> Waiting:
        """What of `before` is still waiting, with all that was found in it meanwhile; but not what was read and must be
        read again: who writes all the time would make it endless."""
        found = {}
        for (watched, path), names in self.waiting.items():
            if not _was_found_in(before, watched, path):
                names &= before.get((watched, path), set())
            if names:
                found[watched, path] = names
        return found

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


def _was_found_in(before: Waiting, watched: WatchedRoot, path: str) -> bool:
    """Whether the directory at `path` was one of those that waited, or lies below one."""
    directory = _directory(watched, path)
    name = os.curdir
    while directory is not None:
        if not before.get((watched, directory.path), set()).isdisjoint((os.curdir, name)):
            return True
        # By the way that it was entered: a link's target may lie anywhere.
        name, directory = directory.name, _directory(watched, directory.parent or "")
    return False


def _directory(watched: WatchedRoot, path: str) -> Directory | None:
    return None if watched.tree is None else watched.tree.directories.get(path)
