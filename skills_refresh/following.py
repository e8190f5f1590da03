"""`Following`: the changes of a workspace for `async for` under asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .changes import merge
from .listeners import Listener
from .model import SkillsChanged


class Following:
    """An asynchronous iterator over changes, from the moment it was made. It belongs to one event loop.

    A consumer that falls behind gets changes merged. It ends when the workspace is closed, or by `close`.
    """

    def __init__(self, subscribe: Callable[[Listener], Callable[[], None]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._waiting: SkillsChanged | None = None
        self._ended = False
        self._unsubscribe = subscribe(self._on_change)

    def __aiter__(self) -> Following:
        return self

    async def __anext__(self) -> SkillsChanged:
        while self._waiting is None:
            if self._ended:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        change, self._waiting = self._waiting, None
        return change

    def close(self) -> None:
        """Ends the iteration, after what has arrived already. Safe from any thread."""
        self._unsubscribe()
        self._call(self._end)

    def _on_change(self, change: SkillsChanged) -> None:
        self._call(self._put, change)

    def _put(self, change: SkillsChanged) -> None:
        self._waiting = change if self._waiting is None else merge(self._waiting, change)
        self._arrived.set()

    def _end(self) -> None:
        self._ended = True
        self._arrived.set()

    def _call(self, function: Callable[..., None], *arguments: SkillsChanged) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            self._unsubscribe()  # the loop was closed; nobody waits there any more
