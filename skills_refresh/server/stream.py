"""`EventStream`: the response that never ends. It sends what a subscriber is told until either side goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .events import EventHub, Subscriber
from .extensions import asks_for_head, drop, wait_for_disconnect
from .pieces import PIECE_BYTES

# The last is for proxies: nginx would hold events back.
_HEADERS = {"content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no"}


class EventStream(Response):
    """A response with the events of `hub`, from after `last_event_id` on. `following` counts it as long as it lasts,
    or raises `Refusal`."""

    def __init__(
        self, hub: EventHub, following: Callable[[], AbstractContextManager[None]], last_event_id: int | None
    ) -> None:
        super().__init__(headers=_HEADERS)
        self._hub = hub
        self._following = following
        self._last_event_id = last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until the reader goes, is cut off, or the server ends."""
        with self._following():
            await self._stream(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        del self.headers["content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if asks_for_head(scope):
            await send({"type": "http.response.body", "body": b""})
            return
        task = asyncio.current_task()
        assert task is not None, "an ASGI server runs each request in a task"
        subscriber = self._hub.subscribe(self._last_event_id, task.cancel)
        gone = asyncio.ensure_future(wait_for_disconnect(receive))
        gone.add_done_callback(lambda _: subscriber.leave())
        try:
            await _send_all(subscriber, send)
        except asyncio.CancelledError:
            if not subscriber.cut_off:
                raise
            drop(scope)
        finally:
            self._hub.unsubscribe(subscriber)
            gone.cancel()


async def _send_all(subscriber: Subscriber, send: Send) -> None:
    while (data := await subscriber.next()) is not None:
        for start in range(0, len(data), PIECE_BYTES):
            piece = data[start : start + PIECE_BYTES]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
