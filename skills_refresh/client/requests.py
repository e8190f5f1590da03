"""`Requests`: what is asked of a server, and what goes wrong on the way, in words. The only place that knows httpx.

An answer is read up to a bound. The token is in a header and nowhere else: no error repeats what was sent.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from http import HTTPStatus

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from .._version import __version__
from ..encoding import JsonObject
from ..errors import ConnectError, ServerError
from ..escaping import printable
from .address import Address

# Three of the server's pings: a connection that is silent for longer is dead, whatever the kernel believes.
SILENCE_S = 45.0
CONNECT_S = 5.0
# What takes the server longest to encode, ten thousand skills, takes a second.
ANSWER_S = 15.0
# Listing everything anew takes seconds where there are tens of thousands of directories.
REFRESH_S = 120.0
# A thousand skills of the largest size that is read by default have 350 MB in base64; an event tells paths alone.
MAX_ANSWER_BYTES = 512_000_000
MAX_EVENT_BYTES = 64_000_000
# uvicorn ends a connection that was idle for 5 s: a request must not meet that end.
IDLE_S = 2.0
# The longest that a server can make us wait.
LONGEST_WAIT_S = 60.0


class BusyError(ServerError):
    """A server that can answer later: `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Requests:
    """Asks the server at `address`. An asynchronous context manager; belongs to one event loop."""

    def __init__(self, address: Address, token: str | None) -> None:
        self._address = address
        headers = {"user-agent": f"skills-refresh/{__version__}"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        transport = httpx.AsyncHTTPTransport(
            uds=address.socket_file,
            verify=address.base.startswith("https:"),  # loading certificates takes 20 ms
            limits=httpx.Limits(keepalive_expiry=IDLE_S),
        )
        # With a transport of ours, httpx asks no proxy that the environment names: most servers are on this machine,
        # and the token is for nobody else.
        self._client = httpx.AsyncClient(headers=headers, transport=transport)

    async def __aenter__(self) -> Requests:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, **parameters: str | int) -> JsonObject:
        """The object at `path`. Raises `ConnectError`, `ServerError`, or its child `BusyError`; so do the others."""
        return await self._ask("GET", path, ANSWER_S, parameters, None)

    async def post(self, path: str, body: JsonObject) -> JsonObject:
        """What the server answers when it has done what is asked."""
        return await self._ask("POST", path, REFRESH_S, {}, body)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
        """The events of the server, until it ends the connection or is silent for `SILENCE_S` seconds."""
        url = f"{self._address.base}/v1/events"
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        with self._explained():
            async with self._client.stream("GET", url, headers=headers, timeout=_timeout(SILENCE_S)) as response:
                if response.status_code != HTTPStatus.OK:
                    raise self._refusal(response, await self._read(response))
                response.stream = bounded = _Bounded(response.stream, self._address)
                async with aclosing(EventSource(response).aiter_sse()) as events:
                    yield _each(events, bounded)

    async def _ask(
        self, method: str, path: str, seconds: float, parameters: dict[str, str | int], body: JsonObject | None
    ) -> JsonObject:
        url = f"{self._address.base}{path}"
        with self._explained():
            async with self._client.stream(
                method, url, params=parameters, json=body, timeout=_timeout(seconds)
            ) as response:
                data = await self._read(response)
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response, data)
        answer = _parsed(data)
        if answer is None:
            raise ServerError(
                f"{self._address.text}: answers with what is no JSON object; is it a skills-refresh server?"
            )
        return answer

    async def _read(self, response: httpx.Response) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_bytes():
            size += len(piece)
            if size > MAX_ANSWER_BYTES:
                raise ServerError(f"{self._address.text}: its answer has over {MAX_ANSWER_BYTES:,} bytes; serve less")
            pieces.append(piece)
        return b"".join(pieces)

    def _refusal(self, response: httpx.Response, data: bytes) -> ServerError:
        told = _parsed(data) or {}
        phrase = f"{response.status_code} {response.reason_phrase}".strip()
        detail, cure = printable(str(told.get("detail") or phrase)), printable(str(told.get("cure") or ""))
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            sent = "authorization" in self._client.headers
            detail = "refuses the token" if sent else "asks for a token"
            cure = "Give the server's token to connect, or set SKILLS_REFRESH_TOKEN."
        if not told:
            cure = "Is it a skills-refresh server, and has the URL no more than /w/NAME behind the port?"
        message = f"{self._address.text}: {detail}. {cure}" if cure else f"{self._address.text}: {detail}"
        if response.status_code in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
            return BusyError(message, _retry_after(response))
        return ServerError(message)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Says in our words what httpx raises."""
        try:
            yield
        except (SSEError, httpx.DecodingError) as error:
            raise ServerError(
                f"{self._address.text}: answers with something else; is it a skills-refresh server?"
            ) from error
        except httpx.HTTPError as error:
            where = self._address.text
            raise ConnectError(f"{where}: {_reason(error)}; start the server there, or name another URL") from error


class _Bounded(httpx.AsyncByteStream):
    """The bytes of a response, up to `MAX_EVENT_BYTES` since `size` was set to zero."""

    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream, address: Address) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)
        self._stream = stream
        self._address = address
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self.size += len(piece)
            if self.size > MAX_EVENT_BYTES:
                raise ServerError(f"{self._address.text}: an event has over {MAX_EVENT_BYTES:,} bytes; serve less")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _each(events: AsyncIterator[ServerSentEvent], bounded: _Bounded) -> AsyncIterator[ServerSentEvent]:
    async for event in events:
        bounded.size = 0
        yield event


def _timeout(seconds: float) -> httpx.Timeout:
    return httpx.Timeout(seconds, connect=CONNECT_S, pool=None)


def _parsed(data: bytes) -> JsonObject | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _retry_after(response: httpx.Response) -> float:
    told = response.headers.get("retry-after", "")
    return min(float(told), LONGEST_WAIT_S) if told.isascii() and told.isdigit() else 1.0


def _reason(error: httpx.HTTPError) -> str:
    """Why the server was not reached; the reason that the system gives lies below those of the libraries."""
    if isinstance(error, httpx.TimeoutException):
        return "it does not answer"
    cause: BaseException | None = error
    while cause is not None:
        for inner in (cause, *getattr(cause, "exceptions", ())):  # one for each address of a name
            if isinstance(inner, OSError) and inner.errno is not None:
                return (inner.strerror or "") if isinstance(inner, socket.gaierror) else os.strerror(inner.errno)
        cause = cause.__cause__ or cause.__context__
    return "the connection was lost"
