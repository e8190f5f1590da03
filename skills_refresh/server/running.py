"""`Service`: one run of the server, from the sockets to the last goodbye. Owns the engine, the signals and the clock of
everything that repeats."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from ..config import Config
from ..errors import ConfigError, SkillsRefreshError
from .access import Access
from .app import create_app
from .configured import ConfiguredWorkspaces
from .connections import Connection, allow_many_connections
from .context import Context
from .sockets import BACKLOG, describe
from .systemd import notify, notify_reloading, watchdog_seconds
from .threads import in_thread
from .told import tell_served

# Ending takes two seconds at most: so long for answers that are under way, and for the engine and all else.
GRACE_S = 0.8
PATIENCE_S = 0.5
TICK_S = 1.0

_log = logging.getLogger("skills_refresh.server")


class Service:
    """Serves what `read_config` returns at `listeners`, to those whom the answer of `read_access` lets in.

    Both are called again at each SIGHUP. Belongs to one event loop, which must be the main thread's.
    """

    def __init__(
        self,
        read_config: Callable[[], Config],
        listeners: list[socket.socket],
        read_access: Callable[[], Access],
        *,
        max_followers: int,
    ) -> None:
        self._read_config = read_config
        self._read_access = read_access
        self._listeners = listeners
        self._where = ", ".join(describe(listener) for listener in listeners)
        self._workspaces = ConfiguredWorkspaces(read_config())
        self._context = Context(self._workspaces.served, max_followers)
        self._app = create_app(self._context, read_access())
        Connection.limit = allow_many_connections()
        self._server = _Server(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                http=Connection,
                ws="none",
                backlog=BACKLOG,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )
        self._ending = asyncio.Event()
        # One after another: the first reading, and each that a SIGHUP asks for.
        self._opening = asyncio.Lock()
        self._reload_wanted = False
        self._reloading: asyncio.Task[None] | None = None

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            pass  # the server ends, and has dropped the connection; a task of uvicorn's has nobody who waits for it

    async def run(self) -> None:
        """Serves until SIGINT or SIGTERM. Raises what kept the skills from being read at all."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ending.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        serving = asyncio.create_task(self._server.serve(sockets=self._listeners))
        repeating = [asyncio.create_task(self._context.keep_alive()), asyncio.create_task(self._feed_watchdog())]
        try:
            opening = asyncio.create_task(self._open())
            ending = asyncio.create_task(self._ending.wait())
            done, _ = await asyncio.wait({opening, ending, serving}, return_when=asyncio.FIRST_COMPLETED)
            if opening in done:
                opening.result()
                await asyncio.wait({ending, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(serving, [opening, ending, *repeating])
        if serving.done():
            serving.result()

    async def _open(self) -> None:
        _log.info("listening at %s", self._where)
        async with self._opening:
            await self._workspaces.open()
        skills = self._tell_all()
        _log.info("ready; Ctrl-C ends it")
        notify(READY=1, STATUS=f"serving {skills} skills")

    def _tell_all(self) -> int:
        """Logs what is served; returns how many skills."""
        served = self._workspaces.served.values()
        for each in served:
            tell_served(each.name, each.snapshot, self._where)
        return sum(len(each.snapshot.skills) for each in served)

    # -- what repeats -------------------------------------------------------------------------------------------------

    async def _feed_watchdog(self) -> None:
        seconds = watchdog_seconds()
        while seconds is not None:
            notify(WATCHDOG=1)
            await asyncio.sleep(seconds)

    # -- SIGHUP -------------------------------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        self._reload_wanted = True
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_while_wanted())

    async def _reload_while_wanted(self) -> None:
        """What was written while the configuration was being read comes with a signal of its own, and is read too."""
        async with self._opening:
            while self._reload_wanted:
                self._reload_wanted = False
                await self._reload()

    async def _reload(self) -> None:
        """Reads the configuration again. Who follows a workspace sees one change; where something is wrong with the
        configuration, everything stays as it is."""
        notify_reloading()
        try:
            config, access = await in_thread(self._read_all_again)
            await self._workspaces.follow(config)
            self._app.access = access
            _log.info("the configuration was read again, from %s", ", ".join(config.sources) or "defaults")
            self._tell_all()
        except SkillsRefreshError as error:
            _log.error("the configuration cannot be used, so nothing was changed: %s", error)
        except Exception:
            _log.exception("the configuration could not be taken over")
        notify(READY=1)

    def _read_all_again(self) -> tuple[Config, Access]:
        """Raises `ConfigError` also where a file is gone: to serve other skills for that would surprise everybody."""
        config, access = self._read_config(), self._read_access()
        gone = next((source for source in self._workspaces.config.sources if source not in config.sources), None)
        if gone is not None:
            raise ConfigError(f"{gone}: is not there any more; bring it back, or start the server again")
        return config, access

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _end(self, serving: asyncio.Task[None], others: list[asyncio.Task[Any]]) -> None:
        notify(STOPPING=1)
        _log.info("ending")
        self._workspaces.close()
        self._server.stop()
        if self._reloading is not None:
            others.append(self._reloading)
        for task in others:
            task.cancel()
        closing = asyncio.create_task(in_thread(self._workspaces.engine.close))
        await asyncio.wait({serving}, timeout=GRACE_S)
        self._server.drop_all()
        await asyncio.wait({serving, closing}, timeout=PATIENCE_S)


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the service has its own.

    Nor does it wait for answers by its own clock: it would log each that it cancels as a failure.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        """Ticks once a second, which is how often the date in headers moves; uvicorn's own loop wakes ten times."""
        while not await self.on_tick(0):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_S)

    def stop(self) -> None:
        """Ends the loop at once."""
        self.should_exit = True
        self._stopping.set()

    def drop_all(self) -> None:
        """Drops what is still connected, and ends what is still being answered."""
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.drop()
        for task in tuple(self.server_state.tasks):
            task.cancel()


def run(make_service: Callable[[], Service]) -> None:
    """Runs a service on an event loop of its own; on uvloop where that is installed."""
    loop = _new_loop()
    asyncio.set_event_loop(loop)

    async def serve() -> None:
        await make_service().run()

    try:
        loop.run_until_complete(serve())
    finally:
        with suppress(RuntimeError):
            loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform != "win32":
        with suppress(ImportError):
            import uvloop

            return uvloop.new_event_loop()
    return asyncio.new_event_loop()
