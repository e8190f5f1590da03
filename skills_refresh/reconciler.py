"""`Reconciler`: the state of all roots, and what brings it back in line with the disk.

The way of one change: hints make directories dirty; the dirty directories are read again; what is new is armed and then
looked at once more, until nothing differs; the catalogs follow. When that happens is the engine's business: here is no
thread, no sleep, and no workspace.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from .clock import Clock
from .coverage import Coverage
from .directory import Directory
from .dirty_set import DirtySet, Waiting
from .health import Cause, EngineHealth
from .model import Reason
from .roots import Root
from .settings import Settings
from .tree_change import TreeChange
from .watched_root import WatchedRoot
from .watching.audit import audit
from .watching.base import Watcher
from .watching.hints import Dirty

# Reading a large skill takes seconds. After each slice of so many, other skills have their turn: beside twelve skills
# of 9,900 files, written all the time, it took 0.7 s at most until an edit was seen. What is left of a large directory
# costs another listing, which is why slices are not shorter.
SLICE_S = 0.1
# Opening 1,000 skills takes one slice of this length.
OPENING_SLICE_S = 0.25

_log = logging.getLogger("skills_refresh")


class Reconciler:
    """Holds roots and follows them with `watcher`. Owned by one thread.

    `roots` are those held, `racy` the directories that were read so soon after a change that they must be looked at
    once more a moment later. `events` counts what was heard so far; `behind` says that more may have been lost,
    `vanished` that a root was there and is gone; whoever reads these two resets them. `failed` are the roots in which a
    bug was hit: they are left alone until they are opened anew. `health` is what is true of all
    roots.
    """

    def __init__(self, watcher: Watcher, settings: Settings, clock: Clock) -> None:
        self.roots: dict[Root, WatchedRoot] = {}
        self.racy: set[str] = set()
        self.events = 0
        self.behind = False
        self.vanished = False
        self.failed: set[WatchedRoot] = set()
        self.health = EngineHealth()
        self._coverage = Coverage(watcher, clock, self.health)
        self._settings = settings
        self._clock = clock
        self._dirty = DirtySet()
        self._polled: dict[str, Cause] = {}

    @property
    def pending(self) -> bool:
        """Whether anything must be read again."""
        return bool(self._dirty)

    @property
    def waiting(self) -> Waiting:
        """What must be read again because there was no time."""
        return self._dirty.waiting

    def still_waiting(self, before: Waiting) -> Waiting:
        """What of `before`, which was `waiting`, was not read since."""
        return self._dirty.still_waiting(before)

    @property
    def polls(self) -> bool:
        """Whether any directory is not watched by the kernel."""
        return any(watched.polled for watched in self.roots.values())

    def hold(self, root: Root) -> WatchedRoot:
        """`root`, shared with whoever holds it already; it is opened by the next `reconcile`."""
        watched = self.roots.get(root)
        if watched is None:
            watched = self.roots[root] = WatchedRoot(root, self._settings, self.health)
            self._dirty.roots[watched] = "roots"
            self._note_overlaps()
        watched.users += 1
        return watched

    def release(self, watched: WatchedRoot) -> None:
        """Lets go of a root that was held; the last to do so frees its watches."""
        watched.users -= 1
        if watched.users == 0:
            del self.roots[watched.root]
            self._dirty.forget(watched)
            self.failed.discard(watched)
            if watched.tree is not None:
                self._uncover(watched, watched.tree.directories)
            self._note_overlaps()
            self._note_polled()

    # -- learning what differs --------------------------------------------------------------------------------------

    def gather(self) -> bool:
        """Takes what the watcher has heard; returns whether any of it may matter."""
        events, suspect, behind = self._coverage.take()
        self._note_polled()
        self.behind = self.behind or behind
        found = bool(suspect)
        if events:
            self.events += len(events)
            for watched in self.roots.values():
                if watched.replaced(events):
                    self._dirty.roots[watched] = "roots"
                elif watched.rules_changed(events):
                    self._dirty.roots.setdefault(watched, "config")
                suspect |= watched.below_changed(events)
                dirty = watched.dirty(events)
                if dirty:
                    watched.last_event = self._clock.wall()
                    self._dirty.mark(watched, dirty)
                found = found or bool(dirty) or watched in self._dirty.roots
        self._mark_differing(suspect)
        return found

    def look_at_roots(self) -> None:
        """Looks whether each root's path leads where it led: no event tells of a root that comes."""
        for watched in self.roots.values():
            if watched not in self.failed and watched.moved():
                self._dirty.roots[watched] = "roots"

    def look_at_polled(self) -> None:
        """Looks at the directories that are not watched."""
        self._mark_differing({path for watched in self.roots.values() for path in watched.polled})

    def mend_coverage(self, *, quiet: bool) -> None:
        """Gives back descriptors that others need, asks again for what was refused, and, when it is `quiet`, frees
        watches that nobody needs."""
        self._coverage.spare_descriptors()
        again = self._coverage.retry(self.roots.values())
        if quiet:
            again |= self._coverage.tidy()
        self._mark_differing(again)
        self._note_polled()

    def look_twice(self) -> None:
        """Looks once more at what was read too soon after a change."""
        racy, self.racy = self.racy, set()
        self._mark_differing(racy)

    def audit(self, watched: WatchedRoot, *, rearm: bool = False) -> None:
        """Compares all that is known of a root with the disk, by `stat` alone.

        With `rearm`, directories that differ without an event having told are watched anew: perhaps theirs is another
        directory's watch, and an inode that is the same proves nothing, since inodes are used again.
        """
        if watched not in self.failed and watched.moved():
            self._dirty.roots[watched] = "roots"
        elif watched in self.failed or watched.unreachable:
            pass  # it is opened anew when its time comes, or when it can be reached
        elif watched.rules_unread or watched.rules_changed():
            self._dirty.roots.setdefault(watched, "config")
        elif watched.tree is not None:
            found = audit(watched.tree.directories.values())
            if found.differing:
                self.gather()  # what events tell just now was not found by the audit alone
                told = self._dirty.directories.get(watched, {})
                put_off = {path for other, path in self._dirty.put_off if other is watched}
                untold = found.differing.keys() - told.keys() - watched.polled.keys() - put_off
                if rearm:
                    watched.found_by_audit += len(untold)
                    self._mark_differing(self._coverage.rearm(untold))
                self._dirty.mark(watched, found.differing)
            self._dirty.mark(watched, found.racy)
        watched.last_audit = self._clock.wall()

    def rescan(self, watched: WatchedRoot) -> None:
        """Makes every directory of a root dirty."""
        if watched.tree is not None:
            self._dirty.mark(watched, {path: set() for path in watched.tree.directories})

    def start_over(self) -> None:
        """Makes every root be opened anew: for after a failure that nobody foresaw."""
        self.health.failures += 1
        self.health.failing = True
        for watched in self.roots.values():
            watched.forget()
        self._dirty.roots.update(dict.fromkeys(self.roots.values(), "audit"))

    # -- reading it -------------------------------------------------------------------------------------------------

    def reconcile(self, reason: Reason) -> tuple[dict[WatchedRoot, set[str]], Reason]:
        """Reads again what is dirty, to a fix point, or for as long as a slice lasts: then the rest is `pending`. A bug
        that is hit in one root is logged, and holds up no other.

        Returns the roots that may look different now, each with the names of the skills that do, and why.
        """
        began = time.monotonic()
        until = began + SLICE_S
        names: dict[WatchedRoot, set[str]] = {}
        changes: dict[WatchedRoot, TreeChange] = {}
        self.failed -= self._dirty.roots.keys()
        while self._dirty.roots or self._dirty.directories:
            while self._dirty.roots:
                watched, reason = self._dirty.roots.popitem()
                with self._surviving(watched):
                    self._open(watched, began + OPENING_SLICE_S, names)
            for watched, marks in self._dirty.take().items():
                self._read(watched, marks, until, changes)
            if time.monotonic() >= until:
                break
        self._read_what_was_put_off(changes)
        for watched, change in changes.items():
            if watched.catalog is not None and watched not in self.failed:
                with self._surviving(watched):
                    names.setdefault(watched, set()).update(watched.catalog.update(change))
        for watched in self.roots.values():
            watched.failing = watched in self.failed
        return names, reason

    def reopen_failed(self) -> None:
        """Has the roots in which a bug was hit opened anew."""
        self._dirty.roots.update(dict.fromkeys(self.failed, "audit"))

    def _open(self, watched: WatchedRoot, until: float, names: dict[WatchedRoot, set[str]]) -> None:
        was_there = watched.tree is not None
        change, differing = watched.open(_seconds_until(until))
        self._dirty.put(watched, change.unread)
        self.vanished = self.vanished or (was_there and watched.tree is None)
        names.setdefault(watched, set()).update(differing)
        self._arm(watched, change)

    def _read(self, watched: WatchedRoot, marks: Dirty, until: float, changes: dict[WatchedRoot, TreeChange]) -> None:
        if watched.tree is None or watched in self.failed:
            return
        with self._surviving(watched):
            change = watched.tree.read_again(marks, _seconds_until(until))
            self._dirty.put(watched, change.unread)
            changes.setdefault(watched, TreeChange()).extend(change)
            self._arm(watched, change)

    def _read_what_was_put_off(self, changes: dict[WatchedRoot, TreeChange]) -> None:
        """What waits has its turn after what is new, the oldest first, however much is new."""
        until = time.monotonic() + SLICE_S / 2
        for watched, path in tuple(self._dirty.put_off):
            names = self._dirty.put_off.pop((watched, path))
            self._read(watched, {path: names}, until, changes)
            if time.monotonic() >= until:
                break

    @contextmanager
    def _surviving(self, watched: WatchedRoot) -> Iterator[None]:
        try:
            yield
        except Exception:
            _log.exception("the engine hit a bug in %s; it is read again", watched.root.path)
            self.health.failures += 1
            self.failed.add(watched)
            watched.forget()

    def _arm(self, watched: WatchedRoot, change: TreeChange) -> None:
        """Follows `change` with the watches; what changed before it was armed becomes dirty again."""
        # A directory that is both removed and added was replaced: its watch went with the old one.
        self._uncover(watched, change.removed - change.added)
        self._coverage.uncover(change.removed & change.added)
        self._mark_differing(self._coverage.cover(watched, change.added), look_twice=False)
        self.racy.update(directory.path for directory in _known(watched, change.added) if directory.racy)
        self._note_polled(watched)

    def _uncover(self, watched: WatchedRoot, paths: Collection[str]) -> None:
        """Frees the watches of `paths`, but for those that another root needs."""
        others = [other.tree.directories for other in self.roots.values() if other is not watched and other.tree]
        self._coverage.uncover([path for path in paths if not any(path in known for known in others)])

    def _note_polled(self, changed: WatchedRoot | None = None) -> None:
        """Notes for each root what of it is polled; for `changed` alone where nothing else can have changed."""
        polled = self._coverage.polled
        same, self._polled = polled == self._polled, polled
        for watched in self.roots.values():
            if watched is changed or not same:
                known = watched.tree.directories if watched.tree is not None else {}
                watched.polled = {path: polled[path] for path in known.keys() & polled.keys()}

    def _note_overlaps(self) -> None:
        """What is shared with a root that is always polled is polled, and watched again when that root is gone."""
        for watched in self.roots.values():
            below = tuple(
                os.path.realpath(other.root.path)
                for other in self.roots.values()
                if other is not watched and other.poll and not watched.poll
            )
            if below != watched.polled_below:
                watched.polled_below = below
                self._mark_differing(self._coverage.reconsider(watched))

    def _mark_differing(self, paths: set[str], *, look_twice: bool = True) -> None:
        """Makes those of `paths` dirty that differ from what is known of them."""
        if not paths:
            return
        for watched in self.roots.values():
            known = _known(watched, paths)
            if known and watched.rules_changed():
                self._dirty.roots.setdefault(watched, "config")
            found = audit(known)
            self._dirty.mark(watched, found.differing)
            if look_twice:
                self._dirty.mark(watched, found.racy)


def _seconds_until(moment: float) -> float:
    return max(moment - time.monotonic(), 0.0)


def _known(watched: WatchedRoot, paths: Iterable[str]) -> list[Directory]:
    if watched.tree is None or watched.unreachable:
        return []
    directories = watched.tree.directories
    return [directories[path] for path in paths if path in directories]
