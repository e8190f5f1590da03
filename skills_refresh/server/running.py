"""`Service`: one run of the server, from the sockets to the last goodbye. Owns the engine, the signals and the clock of
everything that repeats."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from ..config import Config
from ..engine import Engine
from ..errors import SkillsRefreshError
from ..roots import Root
from ..workspace import Workspace
from .access import Access
from .app import create_app
from .connections import Connection, allow_many_connections
from .context import Context
from .events import PING_S
from .served import ServedWorkspace
from .sockets import describe
from .systemd import notify, notify_reloading, watchdog_seconds

# Ending takes two seconds at most: so long for answers that are under way, and what is left for the engine.
GRACE_S = 1
PATIENCE_S = 1.3

_log = logging.getLogger("skills_refresh.server")


class Service:
    """Serves what `read_config` returns at `listeners`, to those whom `access` lets in.

    `read_config` is called again at each SIGHUP. Belongs to one event loop, which must be the main thread's.
    """

    def __init__(
        self,
        read_config: Callable[[], Config],
        listeners: list[socket.socket],
        access: Access,
        *,
        max_followers: int,
    ) -> None:
        self._read_config = read_config
        self._config = read_config()
        self._listeners = listeners
        self._engine = Engine(self._config.settings)
        self._served = {name: ServedWorkspace(name) for name in self._wanted()}
        self._context = Context(self._served, self._config.settings, max_followers)
        app = create_app(self._context, access)
        Connection.limit = allow_many_connections()
        self._server = _Server(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._ending = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Serves until SIGINT or SIGTERM. Raises what kept the skills from being read at all."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ending.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
        where = ", ".join(describe(listener) for listener in self._listeners)
        serving = asyncio.create_task(self._server.serve(sockets=self._listeners))
        repeating = [asyncio.create_task(self._ping()), asyncio.create_task(self._feed_watchdog())]
        try:
            opening = asyncio.create_task(self._open(where))
            ending = asyncio.create_task(self._ending.wait())
            done, _ = await asyncio.wait({opening, ending, serving}, return_when=asyncio.FIRST_COMPLETED)
            if opening in done:
                opening.result()
                await asyncio.wait({ending, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end(serving, [opening, ending, *repeating])

    async def _open(self, where: str) -> None:
        _log.info("listening at %s", where)
        for name, roots in self._wanted().items():
            self._served[name].follow(await self._start(self._engine, name, roots))
        skills = sum(served.hub is not None and len(served.hub.snapshot.skills) for served in self._served.values())
        _log.info("serving %d skills at %s; Ctrl-C ends it", skills, where)
        notify(READY=1, STATUS=f"serving {skills} skills")

    async def _start(self, engine: Engine, name: str, roots: tuple[Root, ...]) -> Workspace:
        return await asyncio.to_thread(engine.open, roots, name=name)

    def _wanted(self) -> Mapping[str, tuple[Root, ...]]:
        return {"": self._config.roots, **self._config.workspaces}

    # -- what repeats -------------------------------------------------------------------------------------------------

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_S)
            for served in self._served.values():
                if served.hub is not None:
                    served.hub.ping()

    async def _feed_watchdog(self) -> None:
        seconds = watchdog_seconds()
        while seconds is not None:
            notify(WATCHDOG=1)
            await asyncio.sleep(seconds)

    # -- SIGHUP -------------------------------------------------------------------------------------------------------

    def _reload_soon(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        """Reads the configuration again. Who follows a workspace sees one change; where something is wrong with the
        configuration, everything stays as it is."""
        notify_reloading()
        try:
            await self._follow_config(await asyncio.to_thread(self._read_config))
            _log.info("the configuration was read again")
        except SkillsRefreshError as error:
            _log.error("the configuration cannot be used, so nothing was changed: %s", error)
        except Exception:
            _log.exception("the configuration could not be taken over")
        notify(READY=1)

    async def _follow_config(self, config: Config) -> None:
        before, known = self._engine, self._wanted()
        other_settings = config.settings != self._config.settings
        engine = Engine(config.settings) if other_settings else before
        wanted = {"": config.roots, **config.workspaces}
        opened = {
            name: await self._start(engine, name, roots)
            for name, roots in wanted.items()
            if other_settings or roots != known.get(name)
        }
        self._engine, self._config, self._context.settings = engine, config, config.settings
        for name, workspace in opened.items():
            if name not in self._served:
                self._context.add(ServedWorkspace(name))
            replaced = self._served[name].follow(workspace)
            if replaced is not None:
                await asyncio.to_thread(replaced.close)
        for name in self._served.keys() - wanted.keys():
            gone = self._served.pop(name)
            gone.close()
            if gone.workspace is not None:
                await asyncio.to_thread(gone.workspace.close)
        if other_settings:
            await asyncio.to_thread(before.close)

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _end(self, serving: asyncio.Task[None], others: list[asyncio.Task[Any]]) -> None:
        notify(STOPPING=1)
        _log.info("ending")
        for served in self._served.values():
            served.close()
        self._server.should_exit = True
        for task in others:
            task.cancel()
        await asyncio.wait({serving}, timeout=PATIENCE_S)
        await asyncio.to_thread(self._engine.close)


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: the service has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


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
