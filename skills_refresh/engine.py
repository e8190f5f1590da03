"""`Engine`: the thread that owns all state, and when it does what.

It sleeps until it is woken, gathers hints, lets a batch settle, has it reconciled, and tells each workspace that sees a
difference. Everything else in the library reads immutable snapshots.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from os import PathLike
from typing import TypeVar

from .debounce import STEP_S, Debounce
from .errors import ClosedError, SkillsRefreshError
from .files_digest import files_digest
from .filters import check_settings
from .model import Reason
from .reconciler import Reconciler
from .roots import Root, Roots, resolve_roots
from .settings import Settings
from .watched_root import WatchedRoot
from .watching.base import Attach, Watcher
from .watching.strategy import make_watcher
from .watching.wake import Waker, make_waker
from .workspace import Workspace

# What only an audit can find must be right within 15 s. An audit of 1,000 skills takes 20 to 25 ms.
AUDIT_S = 14.3
# Directories that cannot be watched are looked at this often, and so are the roots' own paths: a missing root must be
# found within 2 s of its coming.
POLL_S = 1.5
# After a signal, the Rust thread may still be on its way to hand the events over: look again, ever more seldom.
FIRST_LOOK_S = 0.0005
LAST_LOOK_S = 0.064
# What was read within a tick of the file system's clock is read once more when that is over; see `reading.RACY_NS`.
LOOK_TWICE_S = 0.030
# A turn that fails for a reason that we do not know is followed by a rescan, after this pause.
AFTER_FAILURE_S = 1.0
CLOSE_S = 0.5

_CLOSED = "the engine was closed: make a new one"

_log = logging.getLogger("skills_refresh")
_T = TypeVar("_T")


class Engine:
    """Carries any number of workspaces. Roots are shared: each directory is read and watched once.

    Starts its thread with its first workspace. Safe from any thread; a context manager. `make_watcher` and `make_waker`
    choose how changes are heard of; the defaults are what this platform does best. Raises `ConfigError` for settings
    that make no sense.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        make_watcher: Callable[[Attach], Watcher] = make_watcher,
        make_waker: Callable[[], Waker] = make_waker,
    ) -> None:
        self._settings = settings or Settings()
        check_settings(self._settings)
        self._make_watcher = make_watcher
        self._make_waker = make_waker
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None
        self._requests: deque[Callable[[], None]] = deque()
        self._closing = False
        self._ended = False
        # Below this line, the thread's own.
        self._reconciler: Reconciler
        self._workspaces: dict[Workspace, tuple[WatchedRoot, ...]] = {}
        self._debounce = Debounce()
        self._look_s: float | None = None
        self._look_twice_at = 0.0
        self._next_poll = 0.0
        self._names_lost = False

    def open(self, roots: Roots = (), *, name: str = "") -> Workspace:
        """A started workspace on `roots` (a list, or one path), the earlier before the later; the default roots where
        none are given.

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
                _log.info("the engine's thread is still busy and ends later")

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
        return self._submit(lambda: files_digest([watched.tree for watched in self._roots_of(workspace)]))

    def _submit(self, call: Callable[[], _T]) -> Future[_T]:
        """Has `call` made on the engine's thread, which is started where there is none."""
        future: Future[_T] = Future()

        def run() -> None:
            if self._ended:
                future.set_exception(ClosedError(_CLOSED))
                return
            try:
                future.set_result(call())
            except SkillsRefreshError as error:
                future.set_exception(error)
            except BaseException as error:
                self._start_over()  # what was being reconciled is half done
                future.set_exception(error)

        with self._lock:
            if self._closing:
                future.set_exception(ClosedError(_CLOSED))
                return future
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="skills-refresh engine", daemon=True)
                thread.start()
                self._thread = thread
            self._requests.append(run)
            if self._waker is not None:
                self._waker.wake()
        return future

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        waker = self._make_waker()
        watcher = self._make_watcher(waker.attach)
        self._reconciler = Reconciler(watcher, self._settings)
        with self._lock:
            self._waker = waker
        try:
            while not self._closing:
                try:
                    self._turn(waker)
                except Exception:
                    _log.exception("the engine hit a bug; everything is scanned again")
                    self._start_over()
                    waker.wait(AFTER_FAILURE_S)
        finally:
            with self._lock:
                self._closing = self._ended = True
                waker.close()
            for workspace in tuple(self._workspaces):
                workspace.close()
            watcher.close()
            while self._requests:
                self._requests.popleft()()

    def _turn(self, waker: Waker) -> None:
        """One round: answer requests, sleep, gather, and reconcile what is due."""
        while self._requests:
            self._requests.popleft()()
        if waker.wait(self._until_due(waker)):
            self._look_s = FIRST_LOOK_S
        now = time.monotonic()
        if self._reconciler.gather():
            self._debounce.event(now)
            self._look_s = None
        elif self._look_s is not None:
            self._look_s = self._look_s * 2 if self._look_s < LAST_LOOK_S else None
        self._look_where_no_event_tells(now)
        if self._debounce.pending:
            if now >= self._debounce.ready_at():
                self._publish("watch")
        elif self._reconciler.pending:
            self._publish("audit")

    def _look_where_no_event_tells(self, now: float) -> None:
        """Does the looking that is due. What differs is marked, and published like everything else."""
        if now >= self._next_poll:
            self._next_poll = now + POLL_S
            was_native = self._reconciler.native
            self._reconciler.look_around(now, quiet=not self._debounce.pending)
            if not (was_native and self._reconciler.native):
                self._tell_health()
        for watched in self._reconciler.roots.values():
            if now >= watched.next_audit:
                watched.next_audit = now + AUDIT_S
                self._reconciler.audit(watched, rearm=True)
        if self._reconciler.racy and now >= self._look_twice_at:
            self._reconciler.look_twice()

    def _until_due(self, waker: Waker) -> float:
        """Seconds until something is to be done, if nothing happens before."""
        if self._requests or self._closing:
            return 0.0
        now = time.monotonic()
        due = [self._next_poll - now, *(watched.next_audit - now for watched in self._reconciler.roots.values())]
        if waker.step is not None:
            due.append(waker.step)
        if self._look_s is not None:
            due.append(self._look_s)
        if self._debounce.pending:
            due.append(min(self._debounce.ready_at() - now, STEP_S / 2))
        if self._reconciler.racy:
            due.append(self._look_twice_at - now)
        return max(min(due), 0.0)

    def _publish(self, reason: Reason) -> None:
        """Reconciles what is dirty now, and publishes where a consumer can see a difference."""
        began = time.monotonic()
        # What an event told, too, is not for an audit to claim.
        told = self._debounce.pending or self._reconciler.gather()
        self._debounce.take()
        names, reason = self._reconciler.reconcile("watch" if told and reason == "audit" else reason)
        names_lost, self._names_lost = self._names_lost, False
        for workspace, roots in tuple(self._workspaces.items()):
            if names_lost:
                workspace._advance(roots, _all_names(roots) | workspace.snapshot.skills.keys(), reason)
            elif any(watched in names for watched in roots):
                workspace._advance(roots, {name for watched in roots for name in names.get(watched, ())}, reason)
        if self._reconciler.racy:
            self._look_twice_at = time.monotonic() + LOOK_TWICE_S
        self._tell_health()
        self._debounce.looked_away(time.monotonic() - began)

    def _start_over(self) -> None:
        self._reconciler.start_over()
        self._names_lost = True

    def _roots_of(self, workspace: Workspace) -> tuple[WatchedRoot, ...]:
        roots = self._workspaces.get(workspace)
        if roots is None:
            raise ClosedError("this workspace is not open: start it first, or make a new one")
        return roots

    def _tell_health(self) -> None:
        for workspace in tuple(self._workspaces):  # a health listener may close its workspace
            workspace._tell_health()

    # -- what requests do ---------------------------------------------------------------------------------------------

    def _attach(self, workspace: Workspace) -> None:
        roots = tuple(self._reconciler.hold(root) for root in workspace.roots)
        self._publish("roots")
        for watched in roots:
            if watched.users == 1:  # it was opened just now
                watched.next_audit = time.monotonic() + AUDIT_S
        self._workspaces[workspace] = roots
        workspace._advance(roots, _all_names(roots), "roots")
        workspace._tell_health()

    def _detach(self, workspace: Workspace) -> None:
        for watched in self._workspaces.pop(workspace, ()):
            self._reconciler.release(watched)

    def _refresh(self, workspace: Workspace, reason: Reason, read_all: bool) -> None:
        for watched in self._roots_of(workspace):
            self._reconciler.audit(watched)
            if read_all:
                self._reconciler.rescan(watched)
        self._publish(reason)


def _all_names(roots: tuple[WatchedRoot, ...]) -> set[str]:
    return {name for watched in roots if watched.catalog is not None for name in watched.catalog.skills}


def watch(*roots: str | PathLike[str] | Root, settings: Settings | None = None, name: str = "") -> Workspace:
    """A workspace on `roots` with an engine of its own: the shortest way in.

    Earlier roots win; without any, the default ones are watched. It starts when it is entered::

        with skills_refresh.watch("skills", "~/.agents/skills") as skills:
            print(skills.snapshot.prompt())
    """
    engine = Engine(settings)
    return Workspace(engine, resolve_roots(roots), name=name, on_close=engine.close)
