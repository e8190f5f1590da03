"""`RootHealth`: what the engine says of itself, per root. Problems are about files; health is about watching them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

Mode = Literal["native", "polling", "missing", "degraded"]


class RootHealth(NamedTuple):
    """How one root is watched.

    `mode` is `native` (the kernel tells), `polling` (looked at again and again), `degraded` (in part polled, or after
    an error), or `missing` (it does not exist, or is no directory; it is waited for). `reason` says why it is not
    `native`, in words; empty otherwise. `watched_dirs` and `polled_dirs` count directories. `last_event` and
    `last_audit` are seconds since the epoch, or None before the first. `found_by_audit` counts the directories that
    audits found to differ without an event having told.
    """

    path: Path
    mode: Mode
    reason: str
    watched_dirs: int
    polled_dirs: int
    last_event: float | None
    last_audit: float | None
    found_by_audit: int
