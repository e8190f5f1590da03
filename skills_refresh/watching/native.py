"""`NativeWatcher`: exactly the planned directories, one kernel watch each (Linux).

watchfiles filters events, not registrations: a recursive watch of a skill with a `.venv` of 500 directories takes 503
watches. So the plan is passed as a list, without recursion. An instance takes no path later; hence generations: large
ones made at once, small ones for directories that come later, and the small ones are merged when they are too many.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from ..health import Cause
from .base import Attach, Batch, Event
from .instance import Instance, InstanceDied, InstanceRefused, why_refused

# A constructor holds the GIL for about 11 microseconds a directory: 22 ms for a whole chunk.
CHUNK = 2_000
# How often in a row an instance is made anew because it could not be verified; where it never can be, audits must do.
MAX_UNVERIFIED = 3
# Each instance costs three descriptors and a thread.
MAX_SMALL_INSTANCES = 6


class NativeWatcher:
    """Watches planned directories in generations. `attach` is told of each new inotify descriptor."""

    def __init__(self, attach: Attach) -> None:
        self.refused: dict[str, Cause] = {}
        self.replaced = 0
        self._attach = attach
        self._instances: list[Instance] = []
        self._by_path: dict[str, Instance] = {}
        self._untidy: set[Instance] = set()
        self._unverified = 0

    @property
    def watched(self) -> Collection[str]:
        return self._by_path.keys()

    def arm(self, directories: Iterable[str]) -> set[str]:
        wanted = [path for path in directories if path not in self._by_path]
        for path in wanted:
            self.refused.pop(path, None)
        undecodable = [path for path in wanted if not _is_utf8(path)]
        self.refused.update(dict.fromkeys(undecodable, "undecodable-name"))
        self._add([path for path in wanted if path not in self.refused])
        small = [instance for instance in self._instances if len(instance.paths) < CHUNK // 2]
        return set(wanted) | (self._remake(small) if len(small) > MAX_SMALL_INSTANCES else set())

    def disarm(self, directories: Iterable[str]) -> None:
        for path in directories:
            self.refused.pop(path, None)
            instance = self._by_path.pop(path, None)
            if instance is not None:
                instance.paths.discard(path)
                self._untidy.add(instance)

    def take(self) -> Batch:
        events: set[Event] = set()
        suspect: set[str] = set()
        behind = False
        for instance in tuple(self._instances):
            behind = behind or instance.is_behind()
            try:
                events |= instance.take()
            except InstanceDied:
                self.replaced += 1
                suspect |= self._remake([instance])
        return Batch(events, suspect, behind)

    def tidy(self) -> set[str]:
        """Remakes instances that still watch what nobody wants: a directory that was moved away, or is excluded now.
        The kernel itself drops the watch of a deleted one."""
        untidy, self._untidy = self._untidy, set()
        remake = []
        for instance in untidy.intersection(self._instances):
            inodes = instance.watched_inodes()
            if not instance.paths or inodes is None or len(inodes) != len(instance.paths):
                remake.append(instance)
        return self._remake(remake)

    def give_back(self, cause: Cause) -> set[str]:
        given = set(self._by_path)
        self.close()
        self.refused.update(dict.fromkeys(given, cause))
        return given

    def close(self) -> None:
        for instance in self._instances:
            instance.close()
        self._instances.clear()
        self._by_path.clear()
        self._untidy.clear()

    def _add(self, paths: list[str]) -> None:
        for start in range(0, len(paths), CHUNK):
            chunk = paths[start : start + CHUNK]
            try:
                instance = Instance(chunk, recursive=False)
            except InstanceRefused as refused:
                self.refused.update(dict.fromkeys(chunk, refused.cause))
                continue
            missing = _not_armed(instance)
            if missing is None:  # no descriptor was left to look with, or another thread opened one as well
                missing = set()
                if self._unverified < MAX_UNVERIFIED:
                    self._unverified += 1
                    self._untidy.add(instance)
            else:
                self._unverified = 0
            instance.paths -= missing
            self.refused.update(_causes(missing))
            if not instance.paths:
                instance.close()
                continue
            self._attach(instance.descriptor)
            self._instances.append(instance)
            self._by_path.update(dict.fromkeys(instance.paths, instance))

    def _remake(self, instances: list[Instance]) -> set[str]:
        """Replaces `instances` by as few new ones as possible. The new ones are armed before the old are closed, unless
        that would take more watches than there are; what is missed in between is found by looking again."""
        if not instances:
            return set()
        paths = [path for instance in instances for path in instance.paths]
        self._instances = [instance for instance in self._instances if instance not in instances]
        for path in paths:
            del self._by_path[path]
        scarce = "watch-limit" in self.refused.values()
        if scarce:
            for instance in instances:
                instance.close(wait=True)
        self._add(paths)
        if not scarce:
            for instance in instances:
                instance.close()
        return set(paths)


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _not_armed(instance: Instance) -> set[str] | None:
    """The paths of `instance` that the kernel does not watch: it swallows every error, so what it did is checked. None
    where that cannot be told."""
    complete = instance.is_complete()
    inodes = None if complete else instance.watched_inodes()
    if inodes is None:
        return set() if complete else None
    if len(inodes) >= len(instance.paths):
        return set()
    watched = set(inodes)
    return {path for path in instance.paths if _inode(path) not in watched}


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _causes(missing: Collection[str]) -> dict[str, Cause]:
    """Why the kernel does not watch `missing`. Permissions are each directory's own; a limit is the same for all, and
    one is asked for all."""
    causes: dict[str, Cause] = {}
    shared: Cause = ""
    for path in missing:
        if os.path.isdir(path) and not os.access(path, os.R_OK, effective_ids=True):
            causes[path] = "unreadable"
        else:
            shared = shared or why_refused(path)
            causes[path] = shared or "unwatchable"
    return causes
