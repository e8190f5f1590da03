"""What runs in a process of its own when `bench_serve.py` measures: followers, an empty server, somebody who asks.

Followers and askers speak HTTP over bare sockets: what they cost themselves must not hide what the server costs.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable

# How many requests are under way on each connection: enough that the server never waits for one.
PIPELINED = 32
CONNECTIONS = 4
_CHANGED = b"event: changed\n"


class _Follower(asyncio.Protocol):
    """One subscriber, which notes when each change has come."""

    def __init__(self, arrivals: dict[int, list[int]], on_ready: Callable[[], None]) -> None:
        self._arrivals = arrivals
        self._on_ready = on_ready
        self._ready = False
        self._known = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        lines = (self._known + data).split(b"\n\n")
        self._known = lines.pop()
        for event in lines:
            if _CHANGED in event:
                version = int(event.partition(b"id: ")[2].partition(b"\n")[0])
                self._arrivals.setdefault(version, []).append(now_ns)
            elif not self._ready and b"event: ready" in event:
                self._ready = True
                self._on_ready()


async def _follow(port: str, count: str) -> None:
    """Follows with `count` subscribers; answers `ready`, and `arrivals`: by version, when it came to each of them."""
    arrivals: dict[int, list[int]] = {}
    ready = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    for _ in range(int(count)):
        await loop.create_connection(lambda: _Follower(arrivals, ready.release), "127.0.0.1", int(port))
    for _ in range(int(count)):
        await ready.acquire()
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "arrivals":
            answer: object = sorted(arrivals.items())
            arrivals.clear()
        else:
            answer = int(count)
        print(json.dumps(answer), flush=True)


def _ask(port: str, path: str, etag: str, seconds: str) -> None:
    """Asks for `path` on a few connections for so many seconds; prints how often each second it was answered."""
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nif-none-match: {etag}\r\n\r\n".encode() * PIPELINED
    askers = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(CONNECTIONS)]
    answered = 0
    began = time.monotonic()
    while time.monotonic() - began < float(seconds):
        for asker in askers:
            asker.sendall(request)
        for asker in askers:
            answered += _read_answers(asker)
    print(json.dumps({"per_second": answered / (time.monotonic() - began)}))


def _read_answers(asker: socket.socket) -> int:
    """Reads the answers to what was pipelined, none of which has a body."""
    data = b""
    while data.count(b"\r\n\r\n") < PIPELINED:
        data += asker.recv(65_536)
    if b" 304 " not in data and b" 204 " not in data:
        raise RuntimeError(f"an answer has a body: {data[:200]!r}")
    return PIPELINED


def _empty() -> None:
    """A server of the same framework with a route that does nothing; prints its port."""
    import uvicorn
    from fastapi import FastAPI, Response

    app = FastAPI()

    @app.get("/")
    async def nothing() -> Response:
        return Response(status_code=204)

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    side, *arguments = sys.argv[1:]
    if side == "follow":
        asyncio.run(_follow(*arguments))
    elif side == "ask":
        _ask(*arguments)
    else:
        _empty()
