"""`Follower`: carries a workspace that a server has, as an engine carries its own. Here are the thread's life and the
requests to it; what it does is the loop's.

Everything happens in tasks on one event loop, so closing cancels whatever waits, be it for a connection, an answer, an
event, or the next attempt.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from weakref import WeakSet

from ..callers import Callers
from ..errors import ClosedError, EngineError, ServerError, SkillsRefreshError
from ..model import Reason
from ..settings import Settings
from ..workspace import Workspace
from .address import Address
from .follow_loop import FollowLoop

CLOSE_S = 0.4

_CLOSED = "this workspace was closed: connect again"
_FORKED = "this process was forked from the one that follows the server: connect again here"

_log = logging.getLogger("skills_refresh")


class Follower:
    """Carries one workspace, which the server at `address` has. `token` is secret. Safe from any thread.

    Starts its thread with the workspace. After a `fork`, the child has no follower: its workspace keeps its last
    snapshot and says that it is closed, and the parent's goes on.
    """

    def __init__(self, address: Address, token: str | None) -> None:
        self.settings = Settings()
        self.callers = Callers()
        self._address = address
        self._token = token
        self._lock = threading.Lock()
        self._started: Future[None] = Future()
        self._workspace: Workspace | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._following: FollowLoop
        self._task: asyncio.Task[None]
        self._thread: threading.Thread | None = None
        self._ended = ""
        _followers.add(self)

    # -- requests: called by the workspace, on any thread -------------------------------------------------------------

    def keep(self, workspace: Workspace, *, wanted: bool) -> None:
        """Does nothing: the workspace is held until it is closed."""

    def is_own_thread(self) -> bool:
        """Whether the thread that follows calls."""
        return threading.current_thread() is self._thread

    def attach(self, workspace: Workspace) -> Future[None]:
        """Follows the server for `workspace`. Fails where it cannot be reached, or refuses."""
        with self._lock:
            if self._ended:
                self._started.set_exception(ClosedError(self._ended))
                return self._started
            self._workspace = workspace
            self._loop = asyncio.new_event_loop()
            self._task = self._loop.create_task(self._follow(workspace))
            thread = threading.Thread(target=self._run, args=[self._loop], name="skills-refresh client", daemon=True)
            thread.start()
            self._thread = thread
        return self._started

    def detach(self, workspace: Workspace) -> None:
        """Ends following, whatever it waits for."""
        with self._lock:
            if self._loop is not None and not self._ended:
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._ended = self._ended or _CLOSED

    def refresh(self, workspace: Workspace, reason: Reason, *, read_all: bool) -> Future[None]:
        """Has the server compare its roots with the disk, by listing them anew or by `stat` alone."""
        if not read_all:
            return self._submit("/v1/sync", {}, reason)
        return self._submit("/v1/refresh", {"reason": "manual" if reason == "manual" else "remote"}, reason)

    def invalidate(self, workspace: Workspace) -> Future[None]:
        """Has the server ask its checks of eligibility again, which it does when it lists everything anew."""
        return self.refresh(workspace, "manual", read_all=True)

    def files_digest(self, workspace: Workspace) -> Future[str]:
        """Fails: only whoever reads the files knows what it is made of."""
        future: Future[str] = Future()
        future.set_exception(
            ServerError("files_digest: a server does not tell it; compare snapshot.digest, or use watch() beside it")
        )
        return future

    def join(self) -> None:
        """Waits a moment for the thread to end, once it was told to."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(CLOSE_S)
            if thread.is_alive():
                _log.info("the client's thread is still busy and ends later")

    def __repr__(self) -> str:
        return f"<Follower {self._address.text}>"

    def _submit(self, path: str, body: dict[str, object], reason: Reason) -> Future[None]:
        with self._lock:
            if self._loop is None or self._ended:
                future: Future[None] = Future()
                future.set_exception(ClosedError(self._ended or _CLOSED))
                return future
            return asyncio.run_coroutine_threadsafe(self._ask(path, body, reason), self._loop)

    # -- the thread ---------------------------------------------------------------------------------------------------

    async def _ask(self, path: str, body: dict[str, object], reason: Reason) -> None:
        try:
            await self._following.ask(path, body, reason)
        except (asyncio.CancelledError, SkillsRefreshError):
            if self._ended:  # whatever this came of, it is because the connection was closed
                raise ClosedError(self._ended) from None
            raise

    async def _follow(self, workspace: Workspace) -> None:
        self._following = FollowLoop(workspace, self._address, self._token, lambda: self._started.set_result(None))
        await self._following.run()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        error: SkillsRefreshError = ClosedError(_CLOSED)
        try:
            loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except SkillsRefreshError as refused:
            error = refused
        except Exception as bug:
            _log.exception("the client cannot go on")
            error = EngineError(f"the client hit a bug ({bug!r}); report it, with the traceback from the log")
        finally:
            with self._lock:
                self._ended = self._ended or _CLOSED
            loop.run_until_complete(_cancel_all())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            if not self._started.done():
                self._started.set_exception(error)

    def _forked(self) -> None:
        """In the child of a fork, where the thread does not exist and any lock may be held for ever."""
        self._lock = threading.Lock()
        self._thread = None
        self._ended = _FORKED
        if self._workspace is not None:
            self._workspace._forked(_FORKED)


async def _cancel_all() -> None:
    """Ends every task that is left, and those that were submitted in the last moment."""
    await asyncio.sleep(0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*others, return_exceptions=True)


_followers: WeakSet[Follower] = WeakSet()


def _after_fork_in_child() -> None:
    for follower in tuple(_followers):
        follower._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
