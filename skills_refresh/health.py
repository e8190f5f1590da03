"""`RootHealth`: what the engine says of itself, per root. Problems are about files; health is about watching them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

Mode = Literal["native", "polling", "missing", "degraded"]

#: Why a root is not `native`, in a word; the empty one where it is. Where several hold, the first of this list is told.
Cause = Literal[
    "",
    "failure",  # the engine hit a bug of its own, and reads everything again
    "instance-died",  # watchfiles' native part ended again and again
    "descriptor-limit",  # this process has hardly a descriptor left
    "system-descriptor-limit",  # the whole system has none left
    "instance-limit",  # this user has too many inotify instances
    "watch-limit",  # this user has too many inotify watches
    "unwatchable",  # the kernel refuses for a reason of its own
    "unreadable",  # permissions forbid it
    "undecodable-name",  # a name that is not UTF-8 lies there, and watchfiles cannot tell of it
    "mount",  # a file system where events do not tell what others write
    "configured",  # `poll = true`
    "missing",
    "not-a-directory",
    "stale",  # the server that a client follows cannot be reached, or says what cannot be right
    "idle",  # nobody used the workspace for as long as it has to live
    "closed",  # the workspace was closed, or this process is the child of a fork
]
CAUSES: tuple[Cause, ...] = get_args(Cause)


class RootHealth(NamedTuple):
    """How one root is watched.

    `mode` is `native` (the kernel tells), `polling` (looked at again and again), `degraded` (in part polled, or after
    an error), or `missing` (it does not exist, or is no directory; it is waited for). `reason` says in a word of a
    closed list (`health.CAUSES`) why it is not `native`, `message` in a sentence, `cure` what to do about it; all three
    are empty for `native`, and `cure` where there is nothing to do.

    `watched_dirs` and `polled_dirs` count directories. Polled ones are looked at every `poll_interval` seconds (None
    where none is), for `poll_seconds` each time: what the last look took, over all roots. `last_event` and `last_audit`
    are seconds since the epoch, or None before the first. `found_by_audit` counts the directories that audits found to
    differ without an event having told, `instances_replaced` the native watchers that died and were replaced, and
    `failures` the bugs that the engine survived.
    """

    path: Path
    mode: Mode
    reason: Cause
    message: str
    cure: str
    watched_dirs: int
    polled_dirs: int
    poll_interval: float | None
    poll_seconds: float | None
    last_event: float | None
    last_audit: float | None
    found_by_audit: int
    instances_replaced: int
    failures: int


@dataclass(slots=True)
class EngineHealth:
    """What is true of the whole engine, and so of each of its roots. Written by the engine's thread alone; see
    `RootHealth` for what the fields mean. `failing` says that a bug was hit and not everything read again since."""

    poll_interval: float | None = None
    poll_seconds: float | None = None
    instances_replaced: int = 0
    failures: int = 0
    failing: bool = False


def unwatched(health: tuple[RootHealth, ...], reason: Cause, message: str) -> tuple[RootHealth, ...]:
    """How the same roots fare when a workspace holds them no longer, for `reason`."""
    return tuple(
        root._replace(mode="degraded", reason=reason, message=message, cure="", watched_dirs=0, polled_dirs=0)
        for root in health
    )
