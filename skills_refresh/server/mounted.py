"""`MountedRoutes`: the server's routes for an application that mounts them below a path of its own."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from ..workspace import Workspace
from .access import Access
from .app import create_app
from .context import Context
from .refusals import Refusal
from .served import ServedWorkspace

# How often to look whether the host's server is about to end. uvicorn itself looks ten times a second.
LOOK_S = 0.25


class MountedRoutes:
    """An ASGI application that answers those whom `access` lets in, while `serving`."""

    def __init__(self, access: Access, max_followers: int) -> None:
        self._access = access
        self._max_followers = max_followers
        self._app: ASGIApp | None = None
        self._served: ServedWorkspace | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if self._app is not None:
            await self._app(scope, receive, send)
            return
        refusal = Refusal(
            503, "the skills are not being followed", "Give the application the lifespan of its SkillsHost."
        )
        await refusal.response()(scope, receive, send)

    def close_followers(self) -> None:
        """Tells all followers that the server is going, and ends them."""
        if self._served is not None:
            self._served.close()

    @asynccontextmanager
    async def serving(self, workspace: Workspace) -> AsyncIterator[None]:
        """Serves `workspace`, which was started."""
        served = self._served = ServedWorkspace()
        served.follow(workspace)
        context = Context({"": served}, self._max_followers)
        self._app = create_app(context, self._access)
        tasks = [asyncio.create_task(context.keep_alive()), asyncio.create_task(_close_in_time(served))]
        try:
            yield
        finally:
            self._app = None
            self.close_followers()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _close_in_time(served: ServedWorkspace) -> None:
    """Tells followers that the server is going as soon as that is known: uvicorn waits for its connections first, and
    only then tells the lifespan; with followers, who never go, it would wait for ever."""
    server = _uvicorn_server()
    while server is not None and not getattr(server, "should_exit", True):  # noqa: ASYNC110 - it has no event to wait for
        await asyncio.sleep(LOOK_S)
    if server is not None:
        served.close()


def _uvicorn_server() -> object:
    """The server that runs this application, where it is uvicorn's: it leaves a method of itself as signal handler."""
    if threading.current_thread() is not threading.main_thread():
        return None
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if hasattr(server, "should_exit") else None
