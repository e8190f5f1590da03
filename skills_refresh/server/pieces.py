"""`PiecewiseResponse`: a large body, sent no faster than it is read. In one piece it would wait in memory for a reader
who never reads, once for each who asks."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .extensions import asks_for_head, drop

# A body may be large and its reader slow: in pieces, no more than one of them waits in the connection's buffer.
PIECE_BYTES = 65_536
# Who has not read a piece for so many seconds does not read any more.
PATIENCE_S = 30.0


class PiecewiseResponse(Response):
    """A response whose reader is dropped when it does not read."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends all of it."""
        if len(self.body) <= PIECE_BYTES or asks_for_head(scope):
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), PIECE_BYTES):
            piece = bytes(self.body[start : start + PIECE_BYTES])
            more = start + PIECE_BYTES < len(self.body)
            try:
                await asyncio.wait_for(
                    send({"type": "http.response.body", "body": piece, "more_body": more}), PATIENCE_S
                )
            except asyncio.TimeoutError:
                drop(scope)
                return
