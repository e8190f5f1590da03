"""`EventHub`: the events of one workspace, as server-sent events, for any number of subscribers.

An event is encoded once, whoever gets it. What was sent is kept for a while, so that a subscriber who comes back is
told what it missed; one who reads too slowly is cut off, and comes back. The hub and its subscribers belong to one
event loop.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from ..encoding import JsonObject, changed_json, health_line_json, ready_json
from ..health import RootHealth
from ..model import SkillsChanged, Snapshot

# What can be replayed: an afternoon of edits, or a checkout of thousands of skills.
MAX_EVENTS = 512
MAX_EVENTS_BYTES = 4_000_000
# Snapshots of which it can be said what differs since; they share all skills that are the same.
MAX_SNAPSHOTS = 64
# What may wait for one subscriber before it is cut off.
MAX_WAITING = 4_096
MAX_WAITING_BYTES = 8_000_000
# A comment this often keeps connections open that proxies would take for dead.
PING_S = 15.0
# A larger change is told as a `reset`: fetching what is there now is less than reading what became of it.
MAX_EVENT_BYTES = 1_000_000
# What is sent at once. A slow reader has no more than this of its own; what waits, it shares with all others.
MAX_JOINED_BYTES = 65_536
# How long a subscriber should wait before it comes back.
RETRY_MS = 1_000

_PING = b": still here\n\n"


class _Sent(NamedTuple):
    """A `changed` event: the versions that it leads from and to, and its bytes."""

    previous: int | None
    version: int
    data: bytes


class Subscriber:
    """One reader's queue. `next` waits for bytes to send; it returns None when nothing more will come."""

    def __init__(self, on_cut_off: Callable[[], object]) -> None:
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._ended = False
        self._on_cut_off = on_cut_off
        self.cut_off = False

    def put(self, data: bytes) -> bool:
        """Queues `data`; returns False where that is too much, and the subscriber is cut off."""
        self._waiting.append(data)
        self._size += len(data)
        self._wake.set()
        if len(self._waiting) <= MAX_WAITING and self._size <= MAX_WAITING_BYTES:
            return True
        self.cut_off = True
        self.leave()
        self._on_cut_off()
        return False

    def ping(self) -> None:
        """Queues a comment where nothing else waits."""
        if not self._waiting:
            self.put(_PING)

    def end(self) -> None:
        """Ends `next` after what waits already."""
        self._ended = True
        self._wake.set()

    def leave(self) -> None:
        """Ends `next` now: the reader has gone."""
        self._waiting.clear()
        self.end()

    async def next(self) -> bytes | None:
        """The bytes of what waits, or, when something comes, of that; small events together."""
        while not self._waiting:
            if self._ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        data = self._waiting.popleft()
        self._size -= len(data)
        if not self._waiting:
            return data
        joined, size = [data], len(data)
        while self._waiting and size + len(self._waiting[0]) <= MAX_JOINED_BYTES:
            joined.append(self._waiting.popleft())
            size += len(joined[-1])
            self._size -= len(joined[-1])
        return b"".join(joined)


class EventHub:
    """What happened to one workspace, from `first` on."""

    def __init__(self, first: Snapshot, health: Callable[[], tuple[RootHealth, ...]]) -> None:
        self.snapshot = first
        self.health = health
        self.subscribers: set[Subscriber] = set()
        self.closed = False
        self.sent = 0
        self.cut_off = 0
        self._events: deque[_Sent] = deque()
        self._events_bytes = 0
        self._snapshots: deque[Snapshot] = deque([first], maxlen=MAX_SNAPSHOTS)
        self._newer = asyncio.Event()
        self._ready_of: tuple[int, tuple[RootHealth, ...]] | None = None
        self._ready_data = b""

    def subscribe(self, last_event_id: int | None, on_cut_off: Callable[[], object]) -> Subscriber:
        """A subscriber who is told `ready` first, and then, where it comes back after `last_event_id`, what it missed,
        or `reset` where that is no longer known. `on_cut_off` is called when it is cut off."""
        subscriber = Subscriber(on_cut_off)
        # The first id is where the subscriber stands: if it is lost before the rest has come, it starts there again.
        stands_at = self.snapshot.version if last_event_id is None else last_event_id
        retry = f"retry: {RETRY_MS}\n".encode()
        subscriber.put(retry + b"id: %d\n" % stands_at + self._ready())
        if last_event_id is not None and last_event_id != self.snapshot.version:
            subscriber.put(self._missed(last_event_id))
        self.subscribers.add(subscriber)
        if self.closed:
            self._say_goodbye(subscriber)
        return subscriber

    def _ready(self) -> bytes:
        """The `ready` event without its id, encoded once as long as it is true. Where thousands of problems would make
        it large, they are left out: the snapshot has them."""
        told = (self.snapshot.version, self.health())
        if told != self._ready_of:
            ready = ready_json(self.snapshot, told[1]) | {"prompt_version": self.snapshot.prompt_version}
            data = encode_event("ready", ready, None)
            if len(data) > MAX_EVENT_BYTES:
                data = encode_event("ready", {key: ready[key] for key in ready if key != "problems"}, None)
            self._ready_of, self._ready_data = told, data
        return self._ready_data

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forgets `subscriber`."""
        self.subscribers.discard(subscriber)

    def change(self, change: SkillsChanged, data: bytes) -> None:
        """Tells every subscriber of `change`, which `encode_change` made `data` of."""
        if len(data) > MAX_EVENT_BYTES:
            data = _encode_reset(change.snapshot)
        self.snapshot = change.snapshot
        self._snapshots.append(change.snapshot)
        self._events.append(_Sent(change.previous, change.version, data))
        self._events_bytes += len(data)
        while len(self._events) > MAX_EVENTS or (self._events_bytes > MAX_EVENTS_BYTES and len(self._events) > 1):
            self._events_bytes -= len(self._events.popleft().data)
        self.tell(data)
        newer, self._newer = self._newer, asyncio.Event()
        newer.set()

    def tell(self, data: bytes) -> None:
        """Sends `data` to every subscriber."""
        self.sent += 1
        for subscriber in tuple(self.subscribers):
            if not subscriber.put(data):
                self.cut_off += 1
                self.subscribers.discard(subscriber)

    def ping(self) -> None:
        """Sends a comment to every subscriber who has nothing else to read. To be called every `PING_S`."""
        for subscriber in tuple(self.subscribers):
            subscriber.ping()

    def close(self) -> None:
        """Tells every subscriber that the server is going, and ends them. Idempotent."""
        if self.closed:
            return
        self.closed = True
        for subscriber in tuple(self.subscribers):
            self._say_goodbye(subscriber)
        self._newer.set()

    def snapshot_at(self, version: int) -> Snapshot | None:
        """The snapshot of `version`, where it is still known."""
        return next((snapshot for snapshot in self._snapshots if snapshot.version == version), None)

    async def wait_for_newer(self, version: int, timeout: float) -> None:
        """Waits until there is a snapshot newer than `version` or the hub is closed, for at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.snapshot.version <= version and not self.closed:
            try:
                await asyncio.wait_for(self._newer.wait(), deadline - time.monotonic())
            except asyncio.TimeoutError:
                return

    def _say_goodbye(self, subscriber: Subscriber) -> None:
        subscriber.put(encode_event("closing", {"type": "closing", "version": self.snapshot.version}, None))
        subscriber.end()

    def _missed(self, version: int) -> bytes:
        events = list(self._events)
        for index, event in enumerate(events):
            if event.previous == version:
                return b"".join([later.data for later in events[index:]])
        return _encode_reset(self.snapshot)


def encode_event(name: str, data: JsonObject, version: int | None) -> bytes:
    """One event as the specification of server-sent events wants it: `id` is a version, `data` one line of JSON."""
    lines = f"id: {version}\n" if version is not None else ""
    return f"{lines}event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _encode_reset(snapshot: Snapshot) -> bytes:
    data: JsonObject = {"type": "reset", "version": snapshot.version, "digest": snapshot.digest}
    return encode_event("reset", data, snapshot.version)


def encode_change(change: SkillsChanged) -> bytes:
    """The `changed` event of `change`. Takes milliseconds where thousands of skills changed."""
    data = changed_json(change) | {"prompt_version": change.snapshot.prompt_version}
    return encode_event("changed", data, change.version)


def encode_health(health: RootHealth) -> bytes:
    """The `health` event of a root."""
    return encode_event("health", health_line_json(health), None)
