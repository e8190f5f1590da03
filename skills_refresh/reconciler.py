"""`Reconciler`: the state of all roots, and what brings it back in line with the disk.

The way of one change: hints make directories dirty; the dirty directories are read again; what is new is armed and then
looked at once more, until nothing differs; the catalogs follow. When that happens is the engine's business: here is no
thread, no sleep, and no workspace.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from .clock import Clock
from .coverage import Coverage
from .directory_index import DirectoryIndex
from .dirty_set import DirtySet, Waiting
from .failures import Failures
from .health import Cause, EngineHealth
from .kept_skills import KeptRoots
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


class Reconciler:
    """Holds roots and follows them with `watcher`. Owned by one thread.

    `roots` are those held, `racy` the directories that were read so soon after a change that they must be looked at
    once more a moment later. `events` counts what was heard so far; `behind` says that more may have been lost,
    `vanished` that a root was there and is gone; whoever reads these two resets them. `untold` are the roots that may
    fare otherwise than was last told; whoever tells takes them. `kept` is what sleeping workspaces know of roots that
    nobody holds, `health` what is true of all roots.
    """

    def __init__(self, watcher: Watcher, settings: Settings, clock: Clock) -> None:
        self.roots: dict[Root, WatchedRoot] = {}
        self.racy: set[str] = set()
        self.events = 0
        self.behind = False
        self.vanished = False
        self.untold: set[WatchedRoot] = set()
        self.kept = KeptRoots()
        self.health = EngineHealth()
        self._failures = Failures(self.health)
        self._index = DirectoryIndex()
        self._coverage = Coverage(watcher, clock, self.health, self._index)
        self._settings = settings
        self._clock = clock
        self._dirty = DirtySet()
        self._polled: dict[str, Cause] = {}

    @property
    def failed(self) -> Collection[WatchedRoot]:
        """The roots in which a bug was hit: they are left alone until they are opened anew."""
        return self._failures.roots

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
        return bool(self._polled)

    def hold(self, root: Root) -> WatchedRoot:
        """`root`, shared with whoever holds it already; it is opened by the next `reconcile`."""
        watched = self.roots.get(root)
        if watched is None:
            watched = self.roots[root] = WatchedRoot(root, self._settings, self.health)
            watched.kept = self.kept.take(root)
            self._dirty.roots[watched] = "roots"
            self.untold.add(watched)
        watched.users += 1
        return watched

    def release(self, watched: WatchedRoot) -> None:
        """Lets go of a root that was held; the last to do so frees its watches."""
        watched.users -= 1
        if watched.users == 0:
            del self.roots[watched.root]
            self.kept.put(watched.root, watched.catalog)
            self._dirty.forget(watched)
            self._failures.forget(watched)
            self.untold.discard(watched)
            if watched.tree is not None:
                self._index.forget(watched, watched.tree.directories)
                self._uncover(watched.tree.directories)
                if watched.poll:
                    self._cover_shared(watched.tree.directories)
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
            for watched, told in self._index.concerned(events).items():
                if watched.replaced(told):
                    self._dirty.roots[watched] = "roots"
                elif watched.rules_changed(told):
                    self._dirty.roots.setdefault(watched, "config")
                suspect |= watched.below_changed(told)
                dirty = watched.dirty(told)
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
        self._mark_differing(set(self._polled))

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
        self.untold.update(self.roots.values())
        for watched in self.roots.values():
            watched.forget()
            self._index.forget(watched)
        self._dirty.roots.update(dict.fromkeys(self.roots.values(), "audit"))

    def all_is_well(self) -> None:
        """Everything was read after a failure that nobody foresaw."""
        if self.health.failing:
            self.health.failing = False
            self.untold.update(self.roots.values())

    # -- reading it -------------------------------------------------------------------------------------------------

    def reconcile(self) -> tuple[dict[WatchedRoot, set[str]], dict[WatchedRoot, Reason]]:
        """Reads again what is dirty, to a fix point, or for as long as a slice lasts: then the rest is `pending`. A bug
        that is hit in one root is logged, and holds up no other.

        Returns the roots that may look different now, each with the names of the skills that do; and why, for those
        that were opened anew.
        """
        began = time.monotonic()
        until = began + SLICE_S
        names: dict[WatchedRoot, set[str]] = {}
        reasons: dict[WatchedRoot, Reason] = {}
        changes: dict[WatchedRoot, TreeChange] = {}
        for watched in self._failures.take(self._dirty.roots):
            self._index.forget(watched)  # its tree may hold other directories by now than it told of
        while self._dirty.roots or self._dirty.directories:
            while self._dirty.roots:
                watched, reasons[watched] = self._dirty.roots.popitem()
                with self._failures.surviving(watched):
                    self._open(watched, began + OPENING_SLICE_S, names)
            for watched, marks in self._dirty.take().items():
                self._read(watched, marks, until, changes)
            if time.monotonic() >= until:
                break
        self._read_what_was_put_off(changes)
        for watched, change in changes.items():
            if watched.catalog is not None and watched not in self.failed:
                with self._failures.surviving(watched):
                    names.setdefault(watched, set()).update(watched.catalog.update(change))
        self.untold |= self._failures.tell()
        return names, reasons

    def reopen_failed(self) -> None:
        """Has the roots in which a bug was hit opened anew."""
        self._dirty.roots.update(dict.fromkeys(self.failed, "audit"))

    def _open(self, watched: WatchedRoot, until: float, names: dict[WatchedRoot, set[str]]) -> None:
        was_there = watched.tree is not None
        self.untold.add(watched)
        change, differing = watched.open(_seconds_until(until))
        self._dirty.put(watched, change.unread)
        self.vanished = self.vanished or (was_there and watched.tree is None)
        names.setdefault(watched, set()).update(differing)
        self._arm(watched, change)

    def _read(self, watched: WatchedRoot, marks: Dirty, until: float, changes: dict[WatchedRoot, TreeChange]) -> None:
        if watched.tree is None or watched in self.failed:
            return
        with self._failures.surviving(watched):
            change = watched.tree.read_again(marks, _seconds_until(until))
            self.untold.add(watched)
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

    def _arm(self, watched: WatchedRoot, change: TreeChange) -> None:
        """Follows `change` with the watches; what changed before it was armed becomes dirty again."""
        self._index.follow(watched, change.removed | change.added)
        # A directory that is both removed and added was replaced: its watch went with the old one.
        self._uncover(change.removed - change.added)
        self._coverage.uncover(change.removed & change.added)
        self._mark_differing(self._coverage.cover(watched, change.added), look_twice=False)
        known = self._index.known(change.added).get(watched, ())
        self.racy.update(directory.path for directory in known if directory.racy)
        self._note_polled(watched)

    def _uncover(self, paths: Collection[str]) -> None:
        """Frees the watches of `paths`, but for those that another root needs."""
        self._coverage.uncover([path for path in paths if not self._index.roots_of(path)])

    def _cover_shared(self, paths: Collection[str]) -> None:
        """Covers those of `paths` anew that other roots know, too: the root that wanted them polled is gone."""
        for watched in {other for path in paths for other in self._index.roots_of(path)}:
            shared = [path for path in paths if watched in self._index.roots_of(path)]
            self._mark_differing(self._coverage.cover(watched, shared))

    def _note_polled(self, changed: WatchedRoot | None = None) -> None:
        """Notes for each root what of it is polled; `changed` may know other directories than before."""
        polled = self._coverage.polled
        before, self._polled = self._polled, polled
        differing = {path for path, _ in before.items() ^ polled.items()} if before != polled else ()
        roots = {watched for path in differing for watched in self._index.roots_of(path)}
        for watched in roots if changed is None else roots | {changed}:
            known = watched.tree.directories if watched.tree is not None else {}
            watched.polled = {path: polled[path] for path in known.keys() & polled.keys()}
            self.untold.add(watched)

    def _mark_differing(self, paths: set[str], *, look_twice: bool = True) -> None:
        """Makes those of `paths` dirty that differ from what is known of them."""
        for watched, known in self._index.known(paths).items():
            if watched.rules_changed():
                self._dirty.roots.setdefault(watched, "config")
            found = audit(known)
            self._dirty.mark(watched, found.differing)
            if look_twice:
                self._dirty.mark(watched, found.racy)


def _seconds_until(moment: float) -> float:
    return max(moment - time.monotonic(), 0.0)
