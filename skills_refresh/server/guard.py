"""`Guard`: the first and the last to see each request. It asks `Access`, bounds how many are answered at once, counts
them, and adds the headers that keep browsers from taking an answer for anything else than it is."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import MutableMapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import OPEN_PATHS, Access, Headers
from .extensions import HEAD, drop
from .metrics import Metrics
from .refusals import Refusal

# Answering takes milliseconds; so many at once come from something that has gone wrong.
MAX_REQUESTS = 256
# What can be asked for takes a hundred bytes.
MAX_BODY_BYTES = 65_536
# How long each part of a body may take to come.
BODY_S = 5.0
# Nothing on the page comes from elsewhere, and nothing that a skill holds is ever run.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_CROSS_ORIGIN = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, if-none-match, last-event-id"),
    (b"access-control-expose-headers", b"etag, retry-after"),
    (b"access-control-max-age", b"600"),
]

_KEPT = re.compile("%(2[Ff]|25)")


class Guard:
    """Wraps `app`. `access` may be replaced while it runs. Belongs to one event loop."""

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics) -> None:
        self._app = app
        self.access = access
        self._metrics = metrics
        self._answering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        raw_path = scope.get("raw_path") or b""  # not every server tells it
        if b"%2" in raw_path:
            scope = {**scope, "path": keep_slashes(raw_path)}
        if scope["method"] == "HEAD":  # as GET; the server sends no body, and a stream has none
            scope = {**scope, "method": "GET", "extensions": {**(scope.get("extensions") or {}), HEAD: {}}}
        extra = _HEADERS
        origin = headers.get(b"origin", b"")
        if origin.decode("latin-1") in self.access.origins:
            extra = [*_HEADERS, *_CROSS_ORIGIN, (b"access-control-allow-origin", origin), (b"vary", b"origin")]
            extra.remove((b"cross-origin-resource-policy", b"same-origin"))
        elif self.access.origins:
            extra = [*_HEADERS, (b"vary", b"origin")]
        began = time.perf_counter()
        status, seconds = 500, 0.0

        async def send_with_headers(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - began
                if status != HTTPStatus.NOT_MODIFIED or extra is not _HEADERS:  # it has what came with the answer
                    message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        answering = 0
        try:
            if len(headers) != len(scope["headers"]):
                _check_host_is_one(scope)
            path = _path_here(scope)
            client = (scope.get("client") or (None,))[0]
            self.access.check(path, scope["method"], headers, client=client, is_at_file=_is_at_file(scope))
            _check_body(headers)
            if int(headers.get(b"content-length", b"0")) > 0:
                receive = await _receive_body(scope, receive)
            answering = 1
            self._answering += 1
            busy = self._answering - self._metrics.following > MAX_REQUESTS
            if busy and path not in OPEN_PATHS:  # who asks whether it lives must be answered
                raise Refusal(503, "too many requests at once", "Ask again in a second.", retry_after=1)
            if scope["method"] == "OPTIONS" and origin.decode("latin-1") in self.access.origins:
                await _send_empty(send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except Refusal as refusal:
            await refusal.response()(scope, receive, send_with_headers)
        finally:
            self._answering -= answering
            self._metrics.count(_route_of(scope), status, seconds)


def keep_slashes(raw_path: bytes) -> str:
    """A path decoded, but for its encoded slashes, which belong to a name and divide nothing, and percent signs, so
    that both can be told from what only looks like them."""
    return unquote(_KEPT.sub(lambda match: f"%25{match[1].upper()}", raw_path.decode("latin-1")))


def _path_here(scope: Scope) -> str:
    """The path below where the application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _is_at_file(scope: Scope) -> bool:
    """Whether the request came through a socket file."""
    server = scope.get("server")
    return server is not None and server[1] is None


def _check_host_is_one(scope: Scope) -> None:
    if sum(name == b"host" for name, _ in scope["headers"]) > 1:
        raise Refusal(400, "there is more than one Host header", "Send one.")


def _check_body(headers: Headers) -> None:
    """Raises `Refusal` where a request brings more than is read, or does not say how much."""
    if b"transfer-encoding" in headers:
        raise Refusal(411, "the body's length is not told", "Send it with Content-Length.")
    if int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
        raise Refusal(413, f"the body is over {MAX_BODY_BYTES:,} bytes", "Send what /openapi.json describes.")


async def _receive_body(scope: Scope, receive: Receive) -> Receive:
    """Waits for the body, which is small, so that nobody takes a place with one that never comes; returns what hands it
    on. Raises `Refusal` where it does not come."""
    messages: list[Message] = []
    try:
        while not messages or messages[-1].get("more_body", False):
            messages.append(await asyncio.wait_for(receive(), BODY_S))
    except asyncio.TimeoutError as error:
        asyncio.get_running_loop().call_later(1.0, drop, scope)
        raise Refusal(408, "the body did not come", "Send as much as Content-Length says.") from error

    async def receive_again() -> Message:
        return messages.pop(0) if messages else await receive()

    return receive_again


async def _send_empty(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _route_of(scope: MutableMapping[str, Any]) -> str:
    """The pattern of the route, not the path: that would make a metric of each skill's name."""
    return getattr(scope.get("route"), "path", "other")
