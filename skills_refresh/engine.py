"""`Engine` and `watch`: the ways in. Here are the thread's life and the requests to it; what it does is the loop's."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from os import PathLike
from typing import TypeVar
from weakref import WeakSet

from .callers import Callers
from .clock import Clock
from .eligibility import Eligible
from .engine_loop import EngineLoop
from .errors import ClosedError, EngineError, SkillsRefreshError
from .filters import check_settings
from .listeners import PATIENCE_S
from .model import Reason
from .reconciler import Reconciler
from .roots import Root, Roots, resolve_roots
from .settings import Settings
from .waiting import result_of
from .watching.base import Attach, Watcher
from .watching.strategy import make_watcher
from .watching.wake import Waker, make_waker
from .workspace import Workspace

CLOSE_S = 0.5

_CLOSED = "the engine was closed: make a new one"
_OWN_THREAD = "the engine's own thread cannot wait for itself: call this from another thread"
_FORKED = "this process was forked from the one in which the engine runs: make a new engine here"

_log = logging.getLogger("skills_refresh")
_T = TypeVar("_T")


class Engine:
    """Carries any number of workspaces. Roots are shared: each directory is read and watched once.

    Starts its thread with its first workspace. Safe from any thread; a context manager. `make_watcher` and `make_waker`
    choose how changes are heard of; the defaults are what this platform does best. `clock` is for tests. `settings` are
    for all of them. Raises
    `ConfigError` for settings that make no sense.

    After a `fork`, the child has no engine: its workspaces keep their last snapshots and say that they are closed, and
    the parent's go on.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        make_watcher: Callable[[Attach], Watcher] = make_watcher,
        make_waker: Callable[[], Waker] = make_waker,
        clock: Clock = Clock(),  # noqa: B008 - immutable
    ) -> None:
        self.clock = clock
        self.callers = Callers()
        self.settings = Settings() if settings is None else settings
        check_settings(self.settings)
        self._make_watcher = make_watcher
        self._make_waker = make_waker
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None
        self._loop: EngineLoop  # the thread's own
        self._requests: deque[Callable[[], None]] = deque()
        self._opened: WeakSet[Workspace] = WeakSet()
        self._kept: set[Workspace] = set()
        self._has_one_workspace = False
        self._closing = False
        self._ended = ""
        _engines.add(self)

    def open(
        self,
        roots: Roots = (),
        *,
        name: str = "",
        after: int = 0,
        eligible: Eligible | None = None,
        idle_s: float | None = None,
    ) -> Workspace:
        """A started workspace on `roots` (a list, or one path), the earlier before the later; the default roots where
        none are given.

        Returns when the first snapshot is there. `name` stands in changes and logs. Versions are greater than `after`:
        for a workspace that takes the place of another. `eligible` is a check, or several, that say which skills are
        hidden; see `watch`.

        With `idle_s`, a number of seconds, the workspace lets go of its roots when nobody has read its snapshot, waited
        or called it for so long (and up to 1.5 s more), and nobody listens. It keeps its last snapshot; its next use
        opens the roots again, waits until they are read, and sees what is right then.

        Raises `ConfigError` for an argument that makes no sense.
        """
        return Workspace(
            self, resolve_roots(roots), name=name, after=after, eligible=eligible, idle_s=idle_s, on_close=_do_nothing
        ).start()

    def bump(self, reason: Reason = "manual", timeout: float | None = None) -> None:
        """Does for every workspace what `Workspace.refresh` does for one: lists every directory of every root again
        now, each root once, asks the checks of eligibility again, and publishes for each workspace what differs there.
        Workspaces that sleep find out when they are used.

        Raises `TimeoutError` after `timeout` seconds, `ClosedError` on a closed engine.
        """
        result_of("bump()", self._submit(lambda: self._loop.bump(reason)), timeout)

    def close(self) -> None:
        """Closes every workspace and ends the thread. Idempotent; waits a second at most, for listeners that are being
        called and for what the thread is doing."""
        deadline = time.monotonic() + PATIENCE_S
        for workspace in self._stop_opening():
            workspace._close(deadline - time.monotonic())
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_S)
            if thread.is_alive():
                _log.info("the engine's thread is still busy and ends later")

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- requests: called by workspaces, on any thread ----------------------------------------------------------------

    def keep(self, workspace: Workspace, *, wanted: bool) -> None:
        """Holds `workspace` as long as that is `wanted`: somebody listens, and perhaps nobody else holds it."""
        if wanted:
            self._kept.add(workspace)
        else:
            self._kept.discard(workspace)

    def is_own_thread(self) -> bool:
        """Whether the engine's thread calls."""
        return threading.current_thread() is self._thread

    def attach(self, workspace: Workspace) -> Future[None]:
        """Opens the roots of `workspace` and publishes its first snapshot."""
        with self._lock:
            self._opened.add(workspace)
        return self._submit(lambda: self._loop.attachments.attach(workspace))

    def detach(self, workspace: Workspace) -> None:
        """Lets go of the roots of `workspace`."""
        with self._lock:
            self._opened.discard(workspace)
        self._kept.discard(workspace)
        if self.is_own_thread() and not self._closing:  # an engine that ends lets go of all at once
            self._loop.attachments.detach(workspace)
        else:
            self._submit(lambda: self._loop.attachments.detach(workspace), waits=False)

    def refresh(self, workspace: Workspace, reason: Reason, *, read_all: bool) -> Future[None]:
        """Compares the roots of `workspace` with the disk, by listing them anew or by `stat` alone."""
        return self._submit(lambda: self._loop.refresh(workspace, reason, read_all=read_all))

    def invalidate(self, workspace: Workspace) -> Future[None]:
        """Has the checks of eligibility of `workspace` asked again."""
        return self._submit(lambda: self._loop.invalidate(workspace))

    def files_digest(self, workspace: Workspace) -> Future[str]:
        """The digest over the files that the engine knows below the roots of `workspace`."""
        return self._submit(lambda: self._loop.files_digest(workspace))

    def _stop_opening(self) -> tuple[Workspace, ...]:
        """Refuses all requests from now on, which ends the thread. Returns the workspaces that are open, which the
        caller has to close: nobody else does."""
        with self._lock:
            opened = () if self._closing else tuple(self._opened)
            self._closing = True
            if self._waker is not None:
                self._waker.wake()
            return opened

    def _submit(self, call: Callable[[], _T], *, waits: bool = True) -> Future[_T]:
        """Has `call` made on the engine's thread, which is started where there is none. `waits` says that the caller
        waits for it, which that thread itself must not do."""
        future: Future[_T] = Future()

        def run() -> None:
            if self._ended:
                future.set_exception(ClosedError(self._ended))
                return
            try:
                future.set_result(call())
            except SkillsRefreshError as error:
                future.set_exception(error)
            except BaseException as error:
                self._survive()  # what was being reconciled is half done
                failure = EngineError(f"the engine hit a bug ({error!r}); it reads everything again: try once more")
                failure.__cause__ = error
                future.set_exception(failure)

        with self._lock:
            if self._closing:
                future.set_exception(ClosedError(self._ended or _CLOSED))
                return future
            if waits and self.is_own_thread():
                future.set_exception(EngineError(_OWN_THREAD))
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
        try:
            waker = self._make_waker()
            watcher = self._make_watcher(waker.attach)
        except Exception as error:
            self._end(f"the engine cannot start: {error!r}")
            return
        self._loop = EngineLoop(
            Reconciler(watcher, self.settings, self.clock), waker, self.clock, is_closing=lambda: self._closing
        )
        with self._lock:
            self._waker = waker
        why = _CLOSED
        try:
            while not self._closing:
                try:
                    while self._requests:
                        self._requests.popleft()()
                    self._loop.turn(sleep=not self._closing)
                    if self._has_one_workspace and self._loop.attachments.is_forgotten:
                        break
                except Exception:
                    self._survive()
                    self._loop.pause_after_failure()
        except BaseException as error:
            why = f"the engine was ended by {error!r}: make a new one"
            _log.critical("%s; its workspaces are closed", why, exc_info=True)
        finally:
            for workspace in self._stop_opening():
                workspace._close(0.0)
            self._loop.attachments.let_go_of_all()
            with self._lock:
                self._waker = None
                waker.close()
            watcher.close()
            self._end(why)

    def _end(self, why: str) -> None:
        """Answers all requests, those that still wait and those to come, with `why`."""
        with self._lock:
            self._closing, self._ended = True, why
        while self._requests:
            self._requests.popleft()()

    def _survive(self) -> None:
        """To be called while an exception is handled that nobody foresaw."""
        _log.exception("the engine hit a bug; everything is read again")
        self._loop.failed()

    def _forked(self) -> None:
        """In the child of a fork, where neither the thread nor its promises exist and any lock may be held for ever."""
        self._lock = threading.Lock()
        self._closing, self._ended = True, _FORKED
        self._thread = self._waker = None
        self._requests.clear()
        for workspace in tuple(self._opened):
            workspace._forked(_FORKED)


_engines: WeakSet[Engine] = WeakSet()


def _after_fork_in_child() -> None:
    for engine in tuple(_engines):
        engine._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def watch(
    *roots: str | PathLike[str] | Root,
    settings: Settings | None = None,
    name: str = "",
    eligible: Eligible | None = None,
) -> Workspace:
    """A workspace on `roots` with an engine of its own: the shortest way in.

    Earlier roots win; without any, the default ones are watched. It starts when it is entered::

        with skills_refresh.watch("skills", "~/.agents/skills") as skills:
            print(skills.snapshot.prompt())

    `eligible` takes a skill and returns None, or why it must be hidden; or it is a list of such functions, of which the
    first reason counts. Each is asked once about each skill, on the engine's thread, and again by `invalidate()` and
    `refresh()`: it must not ask anything of the engine. One that raises hides the skill.
    """
    engine = Engine(settings)
    engine._has_one_workspace = True
    return Workspace(engine, resolve_roots(roots), name=name, eligible=eligible, on_close=engine.close)


def _do_nothing() -> None:
    """Closing a workspace leaves an engine that has others as it is."""
