"""`Coverage`: which directories are watched, which are polled instead, and why.

Some are polled by choice: those with names that watchfiles cannot tell, those on file systems that do not tell what
others write, those of roots that were configured so. Others because the machine refuses: then watching is tried again,
with growing pauses, and what matters most is watched first: roots, the directories of skills, then what lies below.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from .clock import Clock
from .directory import Directory
from .directory_index import DirectoryIndex
from .health import Cause, EngineHealth
from .watched_root import WatchedRoot
from .watching.base import Batch, Watcher
from .watching.limits import free_descriptors
from .watching.mounts import MountTable, is_polled

# What the machine refused is asked for again after this pause, and twice as long each time that it refuses again, until
# all was well for as long as the longest. What was lacking must be taken up within 40 s of being there.
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 30.0
# With fewer free descriptors than this, those of the engine are given back: a gateway needs them for its connections.
# They are taken again when twice as many are free.
FEW_DESCRIPTORS = 16
# An instance that dies is replaced; it does at each name that is not UTF-8, until its directory is polled. When so many
# died in so many seconds for no such reason, something is wrong that replacing does not mend.
MANY_DEATHS = 10
DEATHS_WITHIN_S = 10.0


class Coverage:
    """Decides how each directory of the roots is covered, and has `watcher` do it. `index` says which roots know it.
    Owned by one thread."""

    def __init__(self, watcher: Watcher, clock: Clock, health: EngineHealth, index: DirectoryIndex) -> None:
        self._watcher = watcher
        self._clock = clock
        self._health = health
        self._index = index
        self._mounts = MountTable(clock=clock.monotonic)
        self._chosen: dict[str, Cause] = {}
        self._deaths: deque[float] = deque(maxlen=MANY_DEATHS)
        self._pause = FIRST_RETRY_S
        self._retry_at = float("inf")
        self._whole_since = float("inf")

    # -- hearing ----------------------------------------------------------------------------------------------------

    def take(self) -> Batch:
        """What is pending."""
        batch = self._watcher.take()
        died = self._watcher.replaced - self._health.instances_replaced
        if died:
            now = self._clock.monotonic()
            self._health.instances_replaced += died
            self._deaths.extend([now] * died)
            if len(self._deaths) == MANY_DEATHS and now - self._deaths[0] < DEATHS_WITHIN_S:
                self._give_back("instance-died")
        return batch

    # -- following the plan -----------------------------------------------------------------------------------------

    def cover(self, watched: WatchedRoot, added: Iterable[str]) -> set[str]:
        """Covers the directories `added` to the plan of `watched`, and those where the choice is another one now.
        Returns those that must be looked at again, because they may have changed before they were watched."""
        tree = watched.tree
        if tree is None:
            return set()
        known = tree.directories
        odd = {path for path, cause in self._chosen.items() if cause == "undecodable-name" and path in known}
        wanted = [known[path] for path in {*added, *(odd ^ tree.undecodable)} if path in known]
        chosen = self._choose(watched, wanted)
        if chosen or self._chosen:
            self._watcher.disarm(chosen)
            for directory in wanted:
                self._chosen.pop(directory.path, None)
            self._chosen.update(chosen)
            if "undecodable-name" in chosen.values():
                self._deaths.clear()  # that was why
        # Roots, what may hold new skills, and what holds a SKILL.md, from above to below; then the rest.
        first = [directory.path for directory in wanted if directory.above is None and directory.path not in chosen]
        rest = [directory.path for directory in wanted if directory.above is not None and directory.path not in chosen]
        again = self._watcher.arm(sorted(first, key=len) + rest)
        self._plan_retry()
        return again

    def uncover(self, directories: Collection[str]) -> None:
        """Forgets `directories`."""
        for path in directories:
            self._chosen.pop(path, None)
        self._watcher.disarm(directories)

    def rearm(self, directories: Collection[str]) -> set[str]:
        """Watches anew those of `directories` that are to be watched. Returns those that must be looked at again."""
        wanted = [path for path in directories if path not in self._chosen]
        self._watcher.disarm(wanted)
        again = self._watcher.arm(wanted)
        self._plan_retry()
        return again

    @property
    def polled(self) -> dict[str, Cause]:
        """The directories that are polled, each with why."""
        return {**self._watcher.refused, **self._chosen}

    # -- in quiet moments -------------------------------------------------------------------------------------------

    def tidy(self) -> set[str]:
        """Frees watches that nobody needs any more. Returns the directories that must be looked at again."""
        return self._watcher.tidy()

    def spare_descriptors(self) -> None:
        """Gives the engine's descriptors back where the process has few left."""
        if self._watcher.watched:
            free = free_descriptors()
            if free is not None and free < FEW_DESCRIPTORS:
                self._give_back("descriptor-limit")

    def retry(self, roots: Iterable[WatchedRoot]) -> set[str]:
        """Asks again for what was refused, if it is time to. Returns the directories that must be looked at again."""
        if self._clock.monotonic() < self._retry_at:
            return set()
        self._retry_at = float("inf")
        self._pause = min(2 * self._pause, LONGEST_RETRY_S)
        free = free_descriptors()
        again: set[str] = set()
        if free is None or free >= 2 * FEW_DESCRIPTORS:
            important = {
                found.path
                for watched in roots
                if watched.tree is not None
                for found in watched.tree.directories.values()
                if found.above is None
            }
            refused = self._refused()
            again = self._watcher.arm([*(refused & important), *(refused - important)])
            again |= self._prefer(important)
        self._plan_retry()
        return again

    def _prefer(self, important: set[str]) -> set[str]:
        """Gives `important` directories that lack a watch those of others."""
        lacking = [path for path in important if self._watcher.refused.get(path) == "watch-limit"]
        spare = [path for path in self._watcher.watched if path not in important][: len(lacking)]
        if not spare:
            return set()
        self._watcher.disarm(spare)
        again = self._watcher.tidy() | self._watcher.arm([*lacking, *spare])
        return again | set(spare)

    def _choose(self, watched: WatchedRoot, directories: Collection[Directory]) -> dict[str, Cause]:
        """Which of `directories` are polled whatever the machine would allow, and why."""
        undecodable = watched.tree.undecodable if watched.tree is not None else set()
        devices = {directory.device for directory in directories}
        by_device = {device: self._choose_for_device(watched, device) for device in devices}
        causes: dict[str, Cause] = {}
        for directory in directories:
            path = directory.path
            # What is shared with a root that is always polled is polled.
            shared = any(other.poll for other in self._index.roots_of(path))
            cause = "undecodable-name" if path in undecodable else by_device[directory.device]
            causes[path] = cause or ("configured" if shared else "")
        return {path: cause for path, cause in causes.items() if cause}

    def _choose_for_device(self, watched: WatchedRoot, device: int) -> Cause:
        if watched.poll is not None:
            return "configured" if watched.poll else ""
        file_system = self._mounts.file_system(device)
        if file_system is None or not is_polled(file_system):
            return ""
        watched.file_system = file_system
        return "mount"

    def _give_back(self, cause: Cause) -> None:
        self._watcher.give_back(cause)
        self._plan_retry()

    def _refused(self) -> set[str]:
        return {path for path, cause in self._watcher.refused.items() if cause != "undecodable-name"}

    def _plan_retry(self) -> None:
        now = self._clock.monotonic()
        if not self._refused():
            self._whole_since = min(self._whole_since, now)
            self._retry_at = float("inf")
        elif self._retry_at == float("inf"):
            if now - self._whole_since > LONGEST_RETRY_S:
                self._pause = FIRST_RETRY_S
            self._whole_since = float("inf")
            self._retry_at = now + self._pause
