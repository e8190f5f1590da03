"""`Bodies`: the encoded answers to what everybody asks. Each is made once for each version, whoever asks for it.

Encoding thousands of skills takes tens of milliseconds, and compressing them more: that happens on a thread of its own,
not on the event loop.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from .threads import in_thread

# The newest few, each a megabyte for thousands of skills: a view, plain and compressed, of the version now and before.
MAX_BODIES = 8
# Smaller ones are not worth compressing.
MIN_COMPRESSED = 1_000
# Fast: the reader is mostly on the same machine.
COMPRESSION_LEVEL = 1
_NOT_AT_ALL = re.compile("q=0(\\.0*)?")


class Body(NamedTuple):
    """An encoded answer, and its compressed form where that was asked for."""

    data: bytes
    compressed: bool


class Bodies:
    """The answers that were encoded last, by what was asked. Belongs to one event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[object, ...], asyncio.Task[Body]] = OrderedDict()

    async def get(self, key: tuple[object, ...], make: Callable[[], bytes], *, compressed: bool) -> Body:
        """What `make` returns, which is called on another thread unless it was called for the same `key` already."""
        task = self._known.get((*key, compressed))
        if task is None:
            task = asyncio.create_task(in_thread(_make, make, compressed))
            self._known[(*key, compressed)] = task
            while len(self._known) > MAX_BODIES:
                self._known.popitem(last=False)
        try:
            return await asyncio.shield(task)
        except Exception:
            self._known.pop((*key, compressed), None)
            raise


def _make(make: Callable[[], bytes], compressed: bool) -> Body:
    data = make()
    if compressed and len(data) >= MIN_COMPRESSED:
        return Body(gzip.compress(data, COMPRESSION_LEVEL, mtime=0), True)
    return Body(data, False)


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client with this header reads what is compressed."""
    for part in accept_encoding.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() == "gzip":
            return not _NOT_AT_ALL.fullmatch(quality.strip())
    return False


def to_json(value: object) -> bytes:
    """`value` as JSON, in ASCII, so that names that are not UTF-8 survive."""
    return json.dumps(value, separators=(",", ":")).encode()
