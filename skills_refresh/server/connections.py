"""What the server's connections do beside speaking HTTP: there is a bound to them, and one can be dropped at once."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .stream import ABORT

# Descriptors that the engine and the process need beside those of connections.
SPARE_DESCRIPTORS = 64
# Where nothing limits them.
MANY_CONNECTIONS = 10_000
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-type: text/plain\r\ncontent-length: 21\r\n"
    b"connection: close\r\n\r\ntoo many connections\n"
)


class Connection(HttpToolsProtocol):
    """One connection of uvicorn's. Beyond `limit` it is told that there are too many, and closed."""

    limit = MANY_CONNECTIONS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn: narrower
        """Takes the connection, or refuses it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limit:
            transport.write(_FULL)
            transport.close()

    def on_message_begin(self) -> None:
        """Lets what answers the request drop the connection with all that waits in its buffer."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a TypedDict, which has no place for extensions of ours
        scope["extensions"] = {**(scope.get("extensions") or {}), ABORT: self.transport.abort}


def allow_many_connections() -> int:
    """Raises the soft limit on descriptors to the hard one; returns how many connections there is room for."""
    if sys.platform == "win32":
        return MANY_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return MANY_CONNECTIONS
    return max(min(hard - SPARE_DESCRIPTORS, MANY_CONNECTIONS), 1)
