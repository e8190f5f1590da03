"""What the server's connections do beside speaking HTTP: there is a bound to them, and one can be dropped at once."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .extensions import ABORT

# Descriptors that the engine and the process need beside those of connections.
SPARE_DESCRIPTORS = 64
# Where nothing limits them.
MANY_CONNECTIONS = 10_000
# A request's line and headers; the parser itself would take any number.
MAX_HEAD_BYTES = 65_536
# How long the first of them may take to come.
HEAD_S = 10.0
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-type: text/plain\r\ncontent-length: 21\r\n"
    b"connection: close\r\n\r\ntoo many connections\n"
)
_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain\r\ncontent-length: 18\r\n"
    b"connection: close\r\n\r\ntoo large headers\n"
)
# What `SO_LINGER` takes: on, zero seconds.
_FORGET = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)


class Connection(HttpToolsProtocol):
    """One connection of uvicorn's. Beyond `limit` it is told that there are too many, and closed."""

    limit = MANY_CONNECTIONS
    # What has come of a request whose headers are not complete; None while none is on its way.
    _head: int | None = 0
    # What drops a connection from which no request comes.
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn: narrower
        """Takes the connection, or refuses it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limit:
            transport.write(_FULL)
            transport.close()
        else:
            self._patience = self.loop.call_later(HEAD_S, self.drop)

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits for nothing more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on, unless a request's headers come without end."""
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and self._head > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        """Counts no more: what comes now is the body."""
        self._head = None
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Counts what comes next."""
        super().on_message_complete()
        self._head = 0

    def on_message_begin(self) -> None:
        """Lets what answers the request drop the connection with all that waits in its buffer."""
        super().on_message_begin()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a TypedDict, which has no place for extensions of ours
        scope["extensions"] = {**(scope.get("extensions") or {}), ABORT: self.drop}

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def drop(self) -> None:
        """Closes the connection at once, and has the kernel forget what the other side did not read either."""
        if self.cycle is not None:
            self.cycle.disconnected = True  # there is no response to complete
        transport_socket = self.transport.get_extra_info("socket")
        if transport_socket is not None:
            transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _FORGET)
        self.transport.abort()


def allow_many_connections() -> int:
    """Raises the soft limit on descriptors as far as is needed and allowed; returns how many connections have room."""
    if sys.platform == "win32":
        return MANY_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_CONNECTIONS + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted - SPARE_DESCRIPTORS, 1)
