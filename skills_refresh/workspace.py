"""`Workspace`: an ordered list of roots with its own snapshot, version and listeners. What a gateway holds.

Reading is an attribute: the engine's thread swaps one reference, and whoever reads sees one consistent snapshot. That
reference is missing while the workspace sleeps, because nobody used it for a while; whoever reads then waits until its
roots were opened again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from .arguments import function, time_to_live, version
from .callers import Callers
from .eligibility import Eligible, checks_of
from .errors import ClosedError
from .health import RootHealth, unwatched
from .health_listeners import HealthListener, HealthListeners
from .listeners import PATIENCE_S, Listener, ListenerRegistry
from .model import Reason, Snapshot
from .roots import Root
from .settings import Settings
from .waiting import result_of

if TYPE_CHECKING:
    from .following import Following
    from .session import SavedSession, Session

_NOT_STARTED = "this workspace was not started: use it in a `with` statement, or call start() first"
_CLOSED = "this workspace was closed: make a new one"
_IDLE = "nobody has used this workspace for {:g} s: its roots are opened again when somebody does"


class Host(Protocol):
    """What a workspace asks of whoever carries it: an engine, or the client of a server.

    It gives the workspace what to say of its health and its first snapshot before `attach` is done, and each later one
    when it is there. `keep` says whether it is to hold a workspace that nobody else may hold, because somebody listens;
    `is_own_thread` whether it is the host's thread that calls, which must not wait for itself. `callers` call the
    listeners.
    """

    callers: Callers

    @property
    def settings(self) -> Settings: ...
    def keep(self, workspace: Workspace, *, wanted: bool) -> None: ...
    def is_own_thread(self) -> bool: ...
    def attach(self, workspace: Workspace) -> Future[None]: ...
    def detach(self, workspace: Workspace) -> None: ...
    def refresh(self, workspace: Workspace, reason: Reason, *, read_all: bool) -> Future[None]: ...
    def invalidate(self, workspace: Workspace) -> Future[None]: ...
    def files_digest(self, workspace: Workspace) -> Future[str]: ...


class Workspace:
    """The skills of some roots, always current. Made by `watch`, `connect` or `Engine.open`; safe from any
    thread.

    A context manager, for `with` and `async with`: it starts on entering and closes on leaving. One that is forgotten
    while it is open is closed a moment later, with a `ResourceWarning`, unless somebody listens.
    """

    def __init__(
        self,
        host: Host,
        roots: Sequence[Root],
        *,
        name: str = "",
        after: int = 0,
        eligible: Eligible | None = None,
        idle_s: float | None = None,
        on_close: Callable[[], None],
    ) -> None:
        self.roots = tuple(roots)
        self.name = name
        self.idle_s = time_to_live("idle_s", idle_s)
        self._after = version("after", after)
        self._checks = checks_of(eligible)
        self._host = host
        self._on_close = on_close
        self._listeners = ListenerRegistry(name, host.callers)
        self._health_listeners = HealthListeners()
        self._health: Callable[[], tuple[RootHealth, ...]] = tuple
        # The last snapshot, and the same one while the workspace is awake, None while it sleeps.
        self._snapshot: Snapshot | None = None
        self._current: Snapshot | None = None
        self._used = False
        self._waiting = 0
        self._newer = threading.Condition()
        self._closed = ""
        self._starting = threading.Lock()
        self._followings: WeakSet[Following] = WeakSet()

    # -- what it holds ----------------------------------------------------------------------------------------------

    @property
    def snapshot(self) -> Snapshot:
        """The current snapshot: an attribute read, no lock, no disk. After closing, the last one. Where the workspace
        fell asleep, this returns when its roots were read again.

        Raises `ClosedError` before the workspace was started.
        """
        self._used = True
        current = self._current
        return self._awaken() if current is None else current

    @property
    def version(self) -> int:
        """The version of the current snapshot."""
        return self.snapshot.version

    @property
    def health(self) -> tuple[RootHealth, ...]:
        """How each root is watched, in the order of the roots. After closing, and while the workspace sleeps:
        `degraded`, since nothing is."""
        health = self._health()
        return unwatched(health, "closed", self._closed) if self._closed else health

    def files_digest(self) -> str:
        """A digest over all relevant files as the engine knows them (path, size, mtime): for checking, not for
        production, since it takes a full pass. The disk is not looked at."""
        return self._host.files_digest(self).result()

    @property
    def settings(self) -> Settings:
        """By which rules skills are found; the defaults where a server, which has its own, carries this workspace."""
        return self._host.settings

    # -- what it tells ----------------------------------------------------------------------------------------------

    def subscribe(self, listener: Listener, *, since: int | None = None, name: str | None = None) -> Callable[[], None]:
        """Calls `listener` with every change; see `ListenerRegistry.subscribe`. Returns a function that ends it. Raises
        `ClosedError` on a closed workspace."""
        self._check_open()
        if self._snapshot is not None:
            self.snapshot  # noqa: B018 - wakes it: what it missed while it slept is no change from now on
        return self._listening(self._listeners.subscribe(listener, since=since, name=name))

    def subscribe_health(self, listener: HealthListener) -> Callable[[], None]:
        """Calls `listener` with a root's health whenever its mode or reason changes. It is called on the host's
        thread and must return at once. Returns a function that ends it."""
        function("listener", listener)
        return self._listening(self._health_listeners.subscribe(listener))

    def wait(self, *, after: int, timeout: float | None = None) -> Snapshot | None:
        """Blocks until there is a snapshot newer than the version `after`, and returns it; None when `timeout`
        (seconds) has passed or the workspace is closed first. Raises `ClosedError` where it was closed before."""
        self._check_open()
        version("after", after)
        with self._newer:
            self._waiting += 1
        try:
            first = self.snapshot
            with self._newer:
                self._newer.wait_for(lambda: bool(self._closed) or (self._snapshot or first).version > after, timeout)
                last = self._snapshot or first
                return last if last.version > after else None
        finally:
            with self._newer:
                self._waiting -= 1

    def changes(self) -> Following:
        """Every change from now on, for `async for` under asyncio; ends when the workspace is closed. A consumer that
        falls behind gets changes merged. Raises `ClosedError` on a closed workspace."""
        self._check_open()
        from .following import Following  # here, because a gateway without asyncio need not pay for it

        following = Following(lambda listener: self.subscribe(listener, name="changes()"))
        self._followings.add(following)
        return following

    # -- what it does -----------------------------------------------------------------------------------------------

    def sync(self, timeout: float | None = None) -> Snapshot:
        """A barrier: everything written before this call is in the snapshot that it returns.

        Raises `TimeoutError` after `timeout` seconds, `ClosedError` on a closed workspace.
        """
        result_of("sync()", self._refresh("audit", read_all=False), timeout)
        return self.snapshot

    def refresh(self, reason: Reason = "manual", timeout: float | None = None) -> Snapshot:
        """Lists every directory again now, publishes if anything differs, and returns the snapshot. Raises like
        `sync`."""
        result_of("refresh()", self._refresh(reason, read_all=True), timeout)
        return self.snapshot

    def invalidate(self, timeout: float | None = None) -> Snapshot:
        """Asks the checks of eligibility again about every skill, publishes if an answer differs, and returns the
        snapshot. The disk is not looked at. Raises like `sync`."""
        self._check_open()
        self.snapshot  # noqa: B018 - raises where it was not started
        result_of("invalidate()", self._host.invalidate(self), timeout)
        return self.snapshot

    def session(self, saved: SavedSession | Sequence[object] | None = None) -> Session:
        """A session of an agent, which asks at each turn what differs since its last one; `saved` is what
        `Session.saved` was before a restart, or what JSON made of it. Raises `ClosedError` before the workspace was
        started. See `Session`."""
        from .session import Session

        return Session(lambda: self.snapshot, self._listeners.snapshot_at, saved)

    def start(self) -> Workspace:
        """Opens the roots and returns when the first snapshot is there. Does nothing when it has started already."""
        with self._starting:
            if self._snapshot is None:
                if self._closed:
                    raise ClosedError(self._closed)
                try:
                    self._host.attach(self).result()
                except BaseException:
                    self.close()
                    raise
        return self

    def close(self) -> None:
        """Ends listeners and watching; the last snapshot stays readable. Idempotent, prompt, safe in a listener."""
        self._close(PATIENCE_S)

    def _close(self, patience: float) -> None:
        """Closes; waits up to `patience` seconds for listeners that are being called."""
        with self._newer:
            if self._closed:
                return
            self._closed = _CLOSED
            self._newer.notify_all()
        try:
            self._host.detach(self)
        finally:
            for following in tuple(self._followings):
                following.close()
            self._listeners.close(max(patience, 0.0))
            self._on_close()

    def _refresh(self, reason: Reason, *, read_all: bool) -> Future[None]:
        self._check_open()
        if self._snapshot is None:
            raise ClosedError(_NOT_STARTED)
        return self._host.refresh(self, reason, read_all=read_all)

    def _awaken(self) -> Snapshot:
        """The snapshot where there is no current one: once the roots were opened again, or, after closing, the last."""
        last = self._snapshot
        if last is None:
            raise ClosedError(_NOT_STARTED)
        if self._closed or self._host.is_own_thread():
            return last
        with self._starting:
            if self._current is None and not self._closed:
                try:
                    self._host.attach(self).result()
                except ClosedError:
                    pass  # closed meanwhile: then, too, the last one is read
        return self._current or self._snapshot or last

    def _listening(self, unsubscribe: Callable[[], None]) -> Callable[[], None]:
        """Has the host hold this workspace, and stay awake, until the last listener is gone; returns what ends one."""
        self._keep()
        if self._snapshot is not None:
            self.snapshot  # noqa: B018 - it may have fallen asleep just before there was a listener

        def end() -> None:
            unsubscribe()
            self._keep()

        return end

    def _keep(self) -> None:
        with self._newer:
            listened_to = bool(self._listeners) or bool(self._health_listeners)
            self._host.keep(self, wanted=listened_to and not self._closed)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(self._closed)

    def __enter__(self) -> Workspace:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Workspace:
        import asyncio

        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import asyncio

        await asyncio.to_thread(self.close)

    def __repr__(self) -> str:
        state = "closed" if self._closed else repr(self._snapshot) if self._snapshot else "not started"
        return f"<Workspace {[root.path for root in self.roots]} {state}>"

    def _forked(self, why: str) -> None:
        """In the child of a fork: the last snapshot is all there is, and locks that others held are held for ever."""
        self._newer = threading.Condition()
        self._starting = threading.Lock()
        self._listeners.forget()
        self._health_listeners.forget()
        self._closed = why

    # -- what the host's thread calls --------------------------------------------------------------------------------

    def _follow_health(self, health: Callable[[], tuple[RootHealth, ...]]) -> None:
        """Makes `health`, which is safe from any thread, what this workspace says of its roots."""
        self._health = health

    def _publish(self, snapshot: Snapshot, reason: Reason) -> None:
        """Makes `snapshot` the current one, and tells listeners. For the host's thread alone."""
        with self._newer:
            self._snapshot = self._current = snapshot
            self._newer.notify_all()
        self._listeners.publish(snapshot, reason)

    def _tell_health(self, health: RootHealth) -> None:
        """Tells health listeners of a root whose mode or reason changed. For the host's thread alone."""
        self._health_listeners.tell(health)

    def _take_use(self) -> bool:
        """Whether anybody used this workspace since this was asked last, or waits, or listens. For the host's thread
        alone."""
        used, self._used = self._used, False
        return used or self._waiting > 0 or bool(self._listeners) or bool(self._health_listeners)

    def _fall_asleep(self) -> bool:
        """Has the next reader wait until the roots were opened again; returns whether it did, which it does not where
        somebody used it just now. For the host's thread alone."""
        health = unwatched(self._health(), "idle", _IDLE.format(self.idle_s))
        with self._newer:
            if self._closed or self._take_use():
                return False
            self._current = None
        self._health = lambda: health
        return True

    def _wake_up(self) -> None:
        """The last snapshot is the current one (again). For the host's thread alone."""
        with self._newer:
            self._current = self._snapshot
