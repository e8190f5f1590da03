"""`ListenerRegistry`: every listener is told of every change, and none can hurt another.

Each listener has a queue of its own. It is called by one call at a time, on one of the threads of `Callers`, so a
listener that blocks holds back nobody but itself. A queue that is full merges its newest two
changes: what falls behind still hears everything that differs.
"""

from __future__ import annotations

import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from .arguments import function, version
from .callers import Callers
from .changes import compare, merge, tells_anything
from .model import Reason, SkillsChanged, Snapshot

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Listener = Callable[[SkillsChanged], "Awaitable[None] | None"]

# Changes that one listener may have waiting before they are merged, and versions that a late listener can ask for: each
# takes 0.3 kB, and there may be 1,000 workspaces.
MAX_QUEUED = 16
MAX_HISTORY = 16
# How long closing waits for listeners that are being called.
PATIENCE_S = 0.4

_log = logging.getLogger("skills_refresh")


class ListenerRegistry:
    """The listeners of the workspace called `workspace`. All methods are safe from any thread, listeners included.
    `callers` are the threads that call them, shared with other workspaces."""

    def __init__(self, workspace: str = "", callers: Callers | None = None) -> None:
        self._workspace = workspace
        self._callers = callers or Callers()
        self._lock = threading.Lock()
        self._subscriptions: tuple[_Subscription, ...] = ()
        self._history: deque[Snapshot] = deque(maxlen=MAX_HISTORY)
        self._failures = 0

    def __bool__(self) -> bool:
        return bool(self._subscriptions)

    @property
    def failures(self) -> int:
        """How many calls of listeners ended with an exception."""
        return self._failures

    def _count_failure(self) -> None:
        with self._lock:
            self._failures += 1

    def subscribe(self, listener: Listener, *, since: int | None = None, name: str | None = None) -> Callable[[], None]:
        """Calls `listener` with each `SkillsChanged` from now on; returns a function that ends it.

        It is called on a thread that is neither the engine's nor the caller's. What a coroutine function returns is run
        on the event loop that is running now, or, without one, on a loop made for the call.
        With `since`, a version, it is first told all that differs since then; where that is too long ago, its first
        change is a fresh start (`previous` is None) that tells every skill as added. `name` stands in logs.

        The function returned is safe to call anywhere, inside of the listener too, and more than once. Raises
        `ConfigError` for a listener that is no function, or a `since` that is no version.
        """
        function("listener", listener)
        if since is not None:
            version("since", since)
        subscription = _Subscription(listener, name or _name_of(listener), self._callers, self._count_failure)
        with self._lock:
            missed = self._missed(since)
            self._subscriptions = (*self._subscriptions, subscription)
            if missed is not None and tells_anything(missed):
                subscription.deliver(missed)

        def unsubscribe() -> None:
            with self._lock:
                self._subscriptions = tuple(other for other in self._subscriptions if other is not subscription)
            subscription.end()

        return unsubscribe

    def publish(self, snapshot: Snapshot, reason: Reason) -> None:
        """Tells every listener what differs from the snapshot published before, if anything but the version does.
        Returns at once."""
        with self._lock:
            before = self._history[-1] if self._history else None
            self._history.append(snapshot)
            if self._subscriptions:
                change = compare(before, snapshot, workspace=self._workspace, reason=reason)
                if not tells_anything(change):
                    return
                for subscription in self._subscriptions:
                    subscription.deliver(change)

    def close(self, timeout: float = PATIENCE_S) -> None:
        """Ends all subscriptions; waits up to `timeout` seconds for the calls that are under way."""
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, ()
        deadline = time.monotonic() + timeout
        for subscription in subscriptions:
            subscription.end()
        for subscription in subscriptions:
            subscription.join(deadline - time.monotonic())

    def forget(self) -> None:
        """In the child of a fork, where no thread calls listeners any more: forgets them, whoever holds the lock."""
        self._lock = threading.Lock()
        self._subscriptions = ()

    def snapshot_at(self, version: int) -> Snapshot | None:
        """The snapshot that was published with `version`, where that is not too long ago."""
        with self._lock:
            return self._find(version)

    def _find(self, version: int) -> Snapshot | None:
        return next((snapshot for snapshot in self._history if snapshot.version == version), None)

    def _missed(self, since: int | None) -> SkillsChanged | None:
        if since is None or not self._history or since == self._history[-1].version:
            return None
        return compare(self._find(since), self._history[-1], workspace=self._workspace, reason="manual")


class _Subscription:
    """One listener, its queue, and the thread that calls it just now, if one does."""

    def __init__(self, listener: Listener, name: str, callers: Callers, on_failure: Callable[[], None]) -> None:
        self._listener = listener
        self._callers = callers
        self._on_failure = on_failure
        self._name = name
        self._loop = _running_loop()
        self._lock = threading.Lock()
        self._queue: deque[SkillsChanged] = deque()
        self._is_due = False
        self._thread: threading.Thread | None = None
        self._over: threading.Event | None = None
        self._call: Future[None] | None = None
        self._ended = False
        self._cancels = False

    def deliver(self, change: SkillsChanged) -> None:
        with self._lock:
            if self._ended:
                return
            if len(self._queue) >= MAX_QUEUED:
                self._queue[-1] = merge(self._queue[-1], change)
            else:
                self._queue.append(change)
            if not self._is_due:
                try:
                    self._callers.call(self._run, self._name)
                    self._is_due = True
                except RuntimeError:  # the process has as many threads as it may; the next change tries again
                    _log.exception("listener %s cannot be called now", self._name)

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._queue.clear()
            # A listener that ends itself is not cancelled.
            if self._thread is not threading.current_thread() and not _is_on(self._loop):
                self._cancels = True
            call, cancels = self._call, self._cancels
        if call is not None and cancels:
            call.cancel()

    def join(self, timeout: float) -> None:
        with self._lock:
            if self._thread in (None, threading.current_thread()) or _is_on(self._loop):
                return
            over = self._over = self._over or threading.Event()
        if not over.wait(max(timeout, 0.0)):
            _log.warning("listener %s is still running after its workspace was closed", self._name)

    def _run(self) -> None:
        with self._lock:
            self._thread = threading.current_thread()
        while True:
            with self._lock:
                if not self._queue:
                    self._thread, self._is_due = None, False
                    if self._over is not None:
                        self._over.set()
                    return
                change = self._queue.popleft()
            try:
                self._tell(change)
            except BaseException:  # even SystemExit: this thread is ours, and the next change must be told
                if self._ended:
                    continue
                self._on_failure()
                _log.exception("listener %s failed on version %d", self._name, change.version)

    def _tell(self, change: SkillsChanged) -> None:
        answer = self._listener(change)
        if answer is None or not inspect.isawaitable(answer):
            return
        import asyncio

        if self._loop is None:
            asyncio.run(_wait_for(answer))
            return
        waiting = _wait_for(answer)
        try:
            call = asyncio.run_coroutine_threadsafe(waiting, self._loop)
        except RuntimeError:  # the loop was closed, and nobody will run it again
            waiting.close()
            raise
        with self._lock:
            self._call, cancels = call, self._cancels
        if cancels:  # it was ended after its coroutine had begun, and before it could be known here
            call.cancel()
        try:
            call.result()
        finally:
            with self._lock:
                self._call = None


async def _wait_for(answer: Awaitable[None]) -> None:
    await answer


def _running_loop() -> AbstractEventLoop | None:
    import asyncio  # here, because a gateway without it need not pay for it until it subscribes

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_on(loop: AbstractEventLoop | None) -> bool:
    """Whether the caller runs on `loop`: then waiting for it would be waiting for ourselves."""
    return loop is not None and loop is _running_loop()


def _name_of(listener: Listener) -> str:
    return str(getattr(listener, "__qualname__", None) or repr(listener))
