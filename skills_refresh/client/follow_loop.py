"""`FollowLoop`: follows a server for one workspace. The thread that it runs on is the follower's.

An event is a hint: it says that there is something to ask for. What is asked for is the difference from what is known,
and it is believed when it adds up to the server's digest. So nothing depends on having heard every event: when a
connection is made, its first event says where the server stands, and that is compared with what is known here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

from httpx_sse import ServerSentEvent

from ..errors import ConnectError, ServerError
from ..escaping import printable
from ..health import RootHealth
from ..model import Reason, Snapshot
from ..roots import Root
from ..workspace import Workspace
from .address import Address
from .rebuilding import later_than, rebuild, rebuild_health, tells_the_same
from .requests import LONGEST_WAIT_S, BusyError, Requests

# Between two attempts to reach a server that is away; doubled each time.
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
# How long starting waits for a server that is still reading, or that has no room.
START_S = 60.0

_log = logging.getLogger("skills_refresh")


class _Stand(NamedTuple):
    """Which snapshot the server said last that it has."""

    version: int
    digest: str


class _Away(NamedTuple):
    """Since when (seconds since the epoch) the server is away, and what came of the last attempt."""

    since: float
    error: str


class FollowLoop:
    """Follows the server at `address` for `workspace`, and calls `on_start` when its first snapshot is there. Belongs
    to one event loop, but for `health`."""

    def __init__(self, workspace: Workspace, address: Address, token: str | None, on_start: Callable[[], None]) -> None:
        self._workspace = workspace
        self._address = address
        self._on_start = on_start
        self._requests = Requests(address, token)
        self._fetching = asyncio.Lock()
        self._stand: _Stand | None = None
        self._roots: tuple[RootHealth, ...] = ()
        self._health: tuple[RootHealth, ...] = ()
        self._told: dict[Path, tuple[str, str]] = {}
        self._failures = 0
        self._retry_s = 0.0
        self._away: _Away | None = None
        self._is_told_away = False

    async def run(self) -> None:
        """Follows until it is cancelled. Raises `ConnectError` or `ServerError` where it cannot start."""
        deadline = time.monotonic() + START_S
        async with self._requests:
            while True:
                error = await self._follow_once()
                busy = error if isinstance(error, BusyError) else None
                if self._stand is None and (busy is None or time.monotonic() > deadline):
                    raise error
                self._go_away(error)
                await asyncio.sleep(pause(self._failures, self._retry_s if busy is None else busy.retry_after))
                self._failures += 1

    async def ask(self, path: str, body: Mapping[str, object], reason: Reason) -> None:
        """Has the server do what `path` means, and returns when the workspace has what came of it. Raises
        `ConnectError` and `ServerError`."""
        with self._understood():
            answer: Mapping[str, Any] = await self._requests.post(path, dict(body))
            if self._stand != (answer["version"], answer["digest"]):
                await self._fetch(reason)

    # -- one connection -----------------------------------------------------------------------------------------------

    async def _follow_once(self) -> ConnectError | ServerError:
        """Follows until something ends it, and returns what."""
        try:
            async with self._requests.events() as events:
                async for event in events:
                    if event.event == "closing":
                        break
                    with self._understood():
                        await self._on_event(event)
            return ConnectError(f"{self._address.text}: the server ended the connection; start it again")
        except (ConnectError, ServerError) as error:
            return error
        except Exception as error:
            _log.exception("the client hit a bug; it connects again")
            return ServerError(f"{self._address.text}: the client hit a bug ({error!r}); report it, with the log")

    async def _on_event(self, event: ServerSentEvent) -> None:
        if event.retry is not None:
            self._retry_s = min(event.retry / 1_000, LONGEST_WAIT_S)
        if not event.data:
            return  # httpx-sse makes an event of the empty line after a comment, and each ping is a comment
        told = json.loads(event.data)
        if event.event == "ready":
            await self._on_ready(told)
        elif event.event in ("changed", "reset"):
            await self._on_change(told)
        elif event.event == "health":
            health = rebuild_health({field: told[field] for field in RootHealth._fields})
            self._say(tuple(health if health.path == root.path else root for root in self._roots))

    async def _on_ready(self, told: Mapping[str, Any]) -> None:
        roots = tuple(rebuild_health(root) for root in told["roots"])
        is_first = self._stand is None
        if self._stand != (told["version"], told["digest"]):
            await self._fetch("roots" if is_first else "remote")
        self._failures = 0
        self._come_back()
        self._say(roots)
        if is_first:
            self._on_start()

    async def _on_change(self, told: Mapping[str, Any]) -> None:
        before = self._stand
        assert before is not None
        previous = told.get("previous")
        if told["type"] == "reset":  # it stands elsewhere, be it before us
            if before != (told["version"], told["digest"]):
                await self._fetch("remote")
            return
        # A version that is not later was overtaken by what was fetched, unless it follows on just that.
        if told["version"] > before.version or previous == before.version:
            await self._fetch("remote", _Step(previous, told["version"], told.get("reason")))
        if told.get("reason") == "config":  # there may be other roots
            answer: Mapping[str, Any] = await self._requests.get("/v1/health")
            self._say(tuple(rebuild_health(root) for root in answer["roots"]))

    # -- snapshots ----------------------------------------------------------------------------------------------------

    async def _fetch(self, reason: Reason, step: _Step | None = None) -> None:
        """Asks for what differs, and publishes the server's snapshot; `step` is the change that was told of, and gives
        its reason where nothing else happened."""
        async with self._fetching:
            known, before = self._stand, self._workspace._snapshot
            after, stand = await self._ask_for(before, known)
            if stand.digest != after.digest and before is not None:
                after, stand = await self._ask_for(before, None)
            if stand.digest != after.digest:
                raise ServerError(
                    f"{self._address.text}: its snapshot {stand.version} has another digest than it says; report it"
                )
            if step is not None and known is not None:
                reason = step.reason_for(known.version, stand.version)
            self._publish(before, after, reason)
            self._stand = stand

    async def _ask_for(self, before: Snapshot | None, known: _Stand | None) -> tuple[Snapshot, _Stand]:
        since = {} if known is None else {"since": known.version}
        answer = await self._requests.get("/v1/snapshot", view="complete", **since)
        after = rebuild(answer, before)
        return after, _Stand(after.version, str(answer["digest"]))

    def _publish(self, before: Snapshot | None, after: Snapshot, reason: Reason) -> None:
        if before is not None and tells_the_same(before, after) and after.version <= before.version:
            return
        self._workspace._publish(after if before is None else later_than(before, after), reason)

    # -- health -------------------------------------------------------------------------------------------------------

    def health(self) -> tuple[RootHealth, ...]:
        """What the server said last of its roots, or that it is away. Safe from any thread."""
        return self._health

    def _say(self, roots: tuple[RootHealth, ...]) -> None:
        """Makes `roots` what the workspace says, and tells who listens."""
        self._roots = roots
        self._workspace.roots = tuple(Root(str(root.path)) for root in roots)
        away = self._away if self._is_told_away else None
        self._health = roots if away is None else tuple(self._stale(root, away) for root in roots)
        self._workspace._follow_health(self.health)
        for root in self._health:
            told, now = self._told.get(root.path), (root.mode, root.reason)
            self._told[root.path] = now
            if told not in (None, now):
                self._workspace._tell_health(root)

    def _stale(self, root: RootHealth, away: _Away) -> RootHealth:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(away.since))
        return root._replace(
            mode="degraded",
            reason="stale",
            message=f"not followed since {since}: {away.error}",
            cure=f"Mend or start the server at {self._address.text}; it is asked again and again.",
        )

    def _go_away(self, error: ConnectError | ServerError) -> None:
        if self._stand is None:
            return
        self._away = _Away(time.time() if self._away is None else self._away.since, str(error))
        # A connection that breaks and is made again at once is nothing to tell.
        if self._failures == 0 and isinstance(error, ConnectError):
            return
        if not self._is_told_away:
            _log.warning("the last snapshot stays in use: %s", error)
        self._is_told_away = True
        self._say(self._roots)

    def _come_back(self) -> None:
        if self._away is not None and self._is_told_away:
            _log.info("%s is followed again", self._address.text)
        self._away, self._is_told_away = None, False

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Says in our words that an answer is not as it should be."""
        try:
            yield
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            reason = printable(repr(error))[:200]
            raise ServerError(
                f"{self._address.text}: its answer cannot be understood ({reason}); is it of another version?"
            ) from error


class _Step(NamedTuple):
    """The change that an event tells of."""

    previous: object
    version: int
    reason: object

    def reason_for(self, before: int, after: int) -> Reason:
        """The reason of a change between two versions: that of this one, if there is no other."""
        known: dict[object, Reason] = {reason: reason for reason in get_args(Reason)}
        return known.get(self.reason, "remote") if (self.previous, self.version) == (before, after) else "remote"


def pause(failures: int, at_least: float) -> float:
    """Seconds to wait after so many attempts that failed: growing, and different for each of a thousand clients that
    lost the same server."""
    growing = min(FIRST_PAUSE_S * 2.0 ** min(failures, 16), LONGEST_PAUSE_S)
    return max(growing * random.uniform(0.5, 1.0), at_least * random.uniform(1.0, 1.5))
