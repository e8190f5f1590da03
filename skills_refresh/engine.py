"""`Engine`: the reconciler. One thread owns all state; it sleeps, gathers hints, reads again, compares, publishes.

The way of one change: hints make directories dirty; when the batch has settled, the dirty directories are read again;
what is new is armed and then looked at once more, until nothing differs; the catalogs follow; each workspace that sees
a difference publishes. Everything else in the library reads immutable snapshots.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from os import PathLike
from typing import TypeVar

from .debounce import STEP_S, Debounce
from .errors import ClosedError
from .files_digest import files_digest
from .listing import Directory
from .model import Reason
from .roots import Root, resolve_roots
from .settings import Settings
from .tree import TreeChange
from .watched_root import WatchedRoot
from .watching.audit import audit
from .watching.base import Attach, Watcher
from .watching.hints import Dirty
from .watching.strategy import make_watcher
from .watching.wake import Waker, make_waker
from .workspace import Workspace

# What only an audit can find must be right within 15 s. An audit of 1,000 skills takes 20 ms: 0.17 % of a core.
AUDIT_S = 12.0
# Directories that cannot be watched are looked at this often, and so are the roots' own paths: a missing root must be
# found within 2 s of its coming.
POLL_S = 1.0
# After a signal, the Rust thread may still be on its way to hand the events over: look again, ever more seldom.
FIRST_LOOK_S = 0.0005
LAST_LOOK_S = 0.064
# What was read within a tick of the file system's clock is read once more when that is over; see `reading.RACY_NS`.
LOOK_TWICE_S = 0.030
# A turn that fails for a reason that we do not know is followed by a rescan, after this pause.
AFTER_FAILURE_S = 1.0
CLOSE_S = 0.5

_log = logging.getLogger("skills_refresh")
_T = TypeVar("_T")


class Engine:
    """Carries any number of workspaces. Roots are shared: each directory is read and watched once.

    Starts its thread with its first workspace. Safe from any thread; a context manager. `make_watcher` and `make_waker`
    choose how changes are heard of; the defaults are what this platform does best.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        make_watcher: Callable[[Attach], Watcher] = make_watcher,
        make_waker: Callable[[], Waker] = make_waker,
    ) -> None:
        self._settings = settings or Settings()
        self._make_watcher = make_watcher
        self._make_waker = make_waker
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None
        self._requests: deque[Callable[[], None]] = deque()
        self._closing = False
        # Below this line, the thread's own.
        self._watcher: Watcher
        self._roots: dict[Root, WatchedRoot] = {}
        self._workspaces: dict[Workspace, tuple[WatchedRoot, ...]] = {}
        self._debounce = Debounce()
        self._dirty: dict[WatchedRoot, Dirty] = {}
        self._reopen: dict[WatchedRoot, Reason] = {}
        self._look_s: float | None = None
        self._look_twice: set[str] = set()
        self._look_twice_at = 0.0
        self._next_poll = 0.0
        self._next_audit = 0.0

    def open(self, roots: Iterable[str | PathLike[str] | Root] = (), *, name: str = "") -> Workspace:
        """A started workspace on `roots`, the earlier before the later; the default roots where none are given.

        Returns when the first snapshot is there. `name` stands in changes and logs.
        """
        return Workspace(self, resolve_roots(roots), name=name, on_close=lambda: None).start()

    def close(self) -> None:
        """Closes every workspace and ends the thread. Idempotent; waits half a second at most."""
        for workspace in tuple(self._workspaces):
            workspace.close()
        with self._lock:
            self._closing = True
            thread = self._thread
            if self._waker is not None:
                self._waker.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_S)
            if thread.is_alive():
                _log.warning("the engine's thread is still busy and ends later")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- requests: called by workspaces, on any thread ----------------------------------------------------------------

    def attach(self, workspace: Workspace) -> Future[None]:
        """Opens the roots of `workspace` and publishes its first snapshot."""
        return self._submit(lambda: self._attach(workspace))

    def detach(self, workspace: Workspace) -> None:
        """Lets go of the roots of `workspace`."""
        if threading.current_thread() is self._thread:
            self._detach(workspace)
        else:
            self._submit(lambda: self._detach(workspace))

    def refresh(self, workspace: Workspace, reason: Reason, *, read_all: bool) -> Future[None]:
        """Compares the roots of `workspace` with the disk, by listing them anew or by `stat` alone."""
        return self._submit(lambda: self._refresh(workspace, reason, read_all))

    def files_digest(self, workspace: Workspace) -> Future[str]:
        """The digest over the files that the engine knows below the roots of `workspace`."""
        return self._submit(lambda: files_digest([watched.tree for watched in self._workspaces[workspace]]))

    def _submit(self, call: Callable[[], _T]) -> Future[_T]:
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)

        with self._lock:
            if self._closing:
                future.set_exception(ClosedError("the engine was closed: make a new one"))
                return future
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="skills-refresh engine", daemon=True)
                self._thread.start()
            self._requests.append(run)
            if self._waker is not None:
                self._waker.wake()
        return future

    # -- the thread -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        waker = self._make_waker()
        with self._lock:
            self._waker = waker
        self._watcher = self._make_watcher(waker.attach)
        try:
            while not self._closing:
                try:
                    self._turn(waker)
                except Exception:
                    _log.exception("the engine hit a bug; everything is scanned again")
                    time.sleep(AFTER_FAILURE_S)
                    self._reopen.update(dict.fromkeys(self._roots.values(), "audit"))
        finally:
            with self._lock:
                self._closing = True
                waker.close()
            self._watcher.close()
            while self._requests:
                self._requests.popleft()()

    def _turn(self, waker: Waker) -> None:
        """One round: sleep, gather, answer requests, and reconcile what is due."""
        while self._requests:
            self._requests.popleft()()
        woken = waker.wait(self._until_due(waker))
        now = time.monotonic()
        if woken:
            self._look_s = FIRST_LOOK_S
        if self._gather():
            self._debounce.event(now)
            self._look_s = None
        elif self._look_s is not None:
            self._look_s = self._look_s * 2 if self._look_s < LAST_LOOK_S else None
        if self._debounce.pending and now >= self._debounce.ready_at():
            self._debounce.take()
            self._reconcile("watch")
        if now >= self._next_poll:
            self._next_poll = now + POLL_S
            self._poll(now)
        if self._look_twice and now >= self._look_twice_at:
            suspects, self._look_twice = self._look_twice, set()
            self._mark_differing(suspects)
            self._reconcile_now("audit")

    def _until_due(self, waker: Waker) -> float:
        """Seconds until something is to be done, if nothing happens before."""
        if self._requests or self._closing:
            return 0.0
        now = time.monotonic()
        due = [self._next_poll - now]
        if waker.step is not None:
            due.append(waker.step)
        if self._look_s is not None:
            due.append(self._look_s)
        if self._debounce.pending:
            due.append(min(self._debounce.ready_at() - now, STEP_S / 2))
        if self._look_twice:
            due.append(self._look_twice_at - now)
        return max(min(due), 0.0)

    def _gather(self) -> bool:
        """Takes what is pending and marks it; returns whether anything became dirty."""
        events, suspect = self._watcher.take()
        found = bool(suspect)
        if events:
            for watched in self._roots.values():
                if watched.replaced(events):
                    self._reopen[watched] = "roots"
                elif watched.rules_changed(events):
                    self._reopen.setdefault(watched, "config")
                dirty = watched.dirty(events)
                if dirty:
                    watched.last_event = time.time()
                    self._mark(watched, dirty)
                found = found or bool(dirty) or watched in self._reopen
        if suspect:
            self._mark_differing(suspect)
        return found

    def _poll(self, now: float) -> None:
        """Looks at what no event tells of: the roots' own paths, polled directories, and, now and then, everything."""
        for watched in self._roots.values():
            if watched.moved():
                self._reopen[watched] = "roots"
        self._mark_differing({path for watched in self._roots.values() for path in watched.polled})
        if not self._debounce.pending:
            self._mark_differing(self._watcher.tidy())
        if now >= self._next_audit:
            began = time.monotonic()
            for watched in self._roots.values():
                self._audit(watched)
            self._next_audit = began + AUDIT_S
        self._reconcile_now("audit")
        self._tell_health()

    def _audit(self, watched: WatchedRoot) -> None:
        """Compares all that is known of a root with the disk, by `stat` alone."""
        if watched.moved():
            self._reopen[watched] = "roots"
        elif watched.rules_changed():
            self._reopen.setdefault(watched, "config")
        elif watched.tree is not None:
            differing = audit(watched.tree.directories.values())
            if differing:
                self._gather()  # what events tell just now was not found by the audit alone
                watched.found_by_audit += len(differing.keys() - self._dirty.get(watched, {}).keys())
                self._mark(watched, differing)
        watched.last_audit = time.time()

    # -- reconciling ----------------------------------------------------------------------------------------------------

    def _mark(self, watched: WatchedRoot, dirty: Dirty) -> None:
        marks = self._dirty.setdefault(watched, {})
        for path, names in dirty.items():
            marks.setdefault(path, set()).update(names)

    def _mark_differing(self, paths: set[str], *, look_twice: bool = True) -> None:
        """Marks those of `paths` that differ from what is known of them."""
        if paths:
            for watched in self._roots.values():
                known = _known(watched, paths)
                if known and watched.rules_changed():
                    self._reopen.setdefault(watched, "config")
                if known and (dirty := audit(known, look_twice=look_twice)):
                    self._mark(watched, dirty)

    def _reconcile_now(self, reason: Reason) -> None:
        """Reconciles what is dirty without waiting until it has settled. What an event told, too, is not for an audit
        to claim."""
        if self._dirty or self._reopen:
            told = self._gather() or self._debounce.pending
            self._debounce.take()
            self._reconcile("watch" if told and reason == "audit" else reason)

    def _reconcile(self, reason: Reason) -> None:
        """Reads again all that is dirty, to a fix point, and publishes where a consumer can see a difference."""
        names: dict[WatchedRoot, set[str]] = {}
        changes: dict[WatchedRoot, TreeChange] = {}
        while self._reopen or self._dirty:
            while self._reopen:
                watched, reason = self._reopen.popitem()
                change, differing = watched.open()
                names.setdefault(watched, set()).update(differing)
                self._arm(watched, change)
            dirty, self._dirty = self._dirty, {}
            for watched, marks in dirty.items():
                if watched.tree is not None:
                    change = watched.tree.read_again(marks)
                    changes.setdefault(watched, TreeChange()).extend(change)
                    self._arm(watched, change)
        for watched, change in changes.items():
            if watched.catalog is not None:
                names.setdefault(watched, set()).update(watched.catalog.update(change))
        for workspace, roots in self._workspaces.items():
            if any(watched in names for watched in roots):
                differing = {name for watched in roots for name in names.get(watched, ())}
                workspace._advance(roots, differing, reason)

    def _arm(self, watched: WatchedRoot, change: TreeChange) -> None:
        """Follows `change` with the watches; what changed before it was armed is marked dirty again."""
        others = [other.tree.directories for other in self._roots.values() if other is not watched and other.tree]
        moved = {path for path in change.removed if path in change.added or not any(path in known for known in others)}
        self._watcher.disarm(moved)
        suspects = self._watcher.arm(change.added)
        self._mark_differing(suspects, look_twice=False)
        racy = {directory.path for directory in _known(watched, change.added) if _is_racy(directory)}
        if racy:
            self._look_twice |= racy
            self._look_twice_at = time.monotonic() + LOOK_TWICE_S
        self._note_polled()

    def _note_polled(self) -> None:
        refused = self._watcher.refused
        for watched in self._roots.values():
            if watched.tree is not None:
                watched.polled = {path for path in refused if path in watched.tree.directories}
            else:
                watched.polled = set()

    def _tell_health(self) -> None:
        for workspace in self._workspaces:
            workspace._tell_health()

    # -- what requests do -----------------------------------------------------------------------------------------------

    def _attach(self, workspace: Workspace) -> None:
        roots = []
        for root in workspace.roots:
            watched = self._roots.get(root)
            if watched is None:
                watched = self._roots[root] = WatchedRoot(root, self._settings)
                self._reopen[watched] = "roots"
            watched.users += 1
            roots.append(watched)
        self._workspaces[workspace] = tuple(roots)
        self._reconcile("roots")
        names = {name for watched in roots if watched.catalog is not None for name in watched.catalog.skills}
        workspace._advance(roots, names, "roots")
        workspace._tell_health()
        self._next_audit = max(self._next_audit, time.monotonic() + AUDIT_S)

    def _detach(self, workspace: Workspace) -> None:
        for watched in self._workspaces.pop(workspace, ()):
            watched.users -= 1
            if watched.users == 0:
                del self._roots[watched.root]
                self._dirty.pop(watched, None)
                self._reopen.pop(watched, None)
                if watched.tree is not None:
                    self._arm(watched, TreeChange(removed=set(watched.tree.directories)))

    def _refresh(self, workspace: Workspace, reason: Reason, read_all: bool) -> None:
        for watched in self._workspaces.get(workspace, ()):
            self._audit(watched)
            if watched.tree is not None and read_all:
                self._mark(watched, {path: set() for path in watched.tree.directories})
        self._reconcile_now(reason)


def _known(watched: WatchedRoot, paths: Iterable[str]) -> list[Directory]:
    if watched.tree is None:
        return []
    directories = watched.tree.directories
    return [directories[path] for path in paths if path in directories]


def _is_racy(directory: Directory) -> bool:
    return directory.racy or any(entry.racy for entry in directory.files.values())


def watch(*roots: str | PathLike[str] | Root, settings: Settings | None = None, name: str = "") -> Workspace:
    """A workspace on `roots` with an engine of its own: the shortest way in.

    Earlier roots win; without any, the default ones are watched. It starts when it is entered::

        with skills_refresh.watch("skills", "~/.agents/skills") as skills:
            print(skills.snapshot.prompt())
    """
    engine = Engine(settings)
    return Workspace(engine, resolve_roots(roots), name=name, on_close=engine.close)
