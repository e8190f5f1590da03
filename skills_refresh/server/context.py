"""`Context`: what all routes share: the workspaces, the counters, and looks at the disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from starlette.requests import Request

from ..errors import SkillsRefreshError
from ..model import Snapshot
from ..workspace import Workspace
from .events import PING_S, EventHub
from .metrics import Metrics
from .refusals import Refusal
from .served import ServedWorkspace
from .threads import in_thread

# How long to wait for the listener that brings a snapshot here, before looking whether the workspace was replaced.
LISTENER_S = 1.0
# The longest that a look at everything may take.
LOOK_S = 60.0


class Context:
    """What is served, and to how many at once. Belongs to one event loop.

    `workspaces` maps names to workspaces, "" to the one at the top; it may change.
    """

    def __init__(self, workspaces: Mapping[str, ServedWorkspace], max_followers: int) -> None:
        self.workspaces = workspaces
        self.metrics = Metrics(workspaces.values)
        self._max_followers = max_followers

    def served(self, name: str) -> ServedWorkspace:
        """The workspace called `name`. Raises `Refusal` where there is none."""
        found = self.workspaces.get(name)
        if found is None:
            raise Refusal(404, f"there is no workspace {name[:100]!r}", "The configuration names those that there are.")
        return found

    def ready(self, request: Request) -> tuple[ServedWorkspace, EventHub]:
        """The workspace that `request` names, and its events. Raises `Refusal` where there is none, or none yet."""
        served = self.served(request.path_params.get("workspace", ""))
        if served.hub is None:
            raise Refusal(503, "skills are being read for the first time", "Ask again in a second.", retry_after=1)
        return served, served.hub

    async def keep_alive(self) -> None:
        """Sends comments to whoever follows, for ever."""
        while True:
            await asyncio.sleep(PING_S)
            for served in self.workspaces.values():
                if served.hub is not None:
                    served.hub.ping()

    @contextmanager
    def following(self) -> Iterator[None]:
        """Counts one that waits for news. Raises `Refusal` where no more can."""
        if self.metrics.following >= self._max_followers:
            raise Refusal(
                503, "too many follow this server", "Try again later, or start it with --max-followers.", retry_after=5
            )
        self.metrics.following += 1
        try:
            yield
        finally:
            self.metrics.following -= 1

    async def refresh(self, served: ServedWorkspace, reason: Literal["manual", "remote"]) -> Snapshot:
        """Lists everything anew, and returns what is served then. Raises `Refusal` where that fails."""
        return await self._look(served, "refresh", lambda workspace: workspace.refresh(reason))

    async def sync(self, served: ServedWorkspace) -> Snapshot:
        """Compares everything with the disk by `stat`, and returns what is served then. Raises like `refresh`."""
        return await self._look(served, "sync", Workspace.sync)

    async def _look(self, served: ServedWorkspace, kind: str, look: Callable[[Workspace], Snapshot]) -> Snapshot:
        """Has `look` called on another thread, and returns what others get to see too when it is there. Those who ask
        for the same `kind` meanwhile share the next look."""
        arrived = time.monotonic()
        try:
            # Counted with those who wait for news: nobody who waits for the disk keeps others from what is in memory.
            with self.following():
                return await asyncio.wait_for(self._look_when_free(served, kind, look, arrived), LOOK_S)
        except asyncio.TimeoutError as error:
            raise Refusal(503, "the disk does not answer", "Look at /v1/health.", retry_after=5) from error

    async def _look_when_free(
        self, served: ServedWorkspace, kind: str, look: Callable[[Workspace], Snapshot], arrived: float
    ) -> Snapshot:
        async with served.looking:
            workspace, hub = served.current, served.hub
            assert hub is not None
            if served.looked_from.get(kind, 0.0) <= arrived:
                began = time.monotonic()
                try:
                    found = await in_thread(look, workspace)
                except SkillsRefreshError as error:
                    raise Refusal(503, str(error), "Try again.", retry_after=1) from error
                # A listener brings it here a moment later; who was told a version must be able to ask for it.
                while hub.snapshot.version < found.version and served.workspace is workspace and not hub.closed:
                    await hub.wait_for_newer(hub.snapshot.version, LISTENER_S)
                served.looked_from[kind] = began
            return hub.snapshot
