"""`scan`: one look at some roots, without watching. What `list` shows, and what a live workspace must equal."""

from __future__ import annotations

from typing import NamedTuple

from .files_digest import files_digest
from .filters import check_settings
from .layers import NO_LAYER
from .model import Snapshot
from .resolution import Resolver
from .roots import Root, Roots, resolve_roots
from .settings import Settings
from .versions import VersionCounter
from .watched_root import WatchedRoot


class Scan(NamedTuple):
    """What one look found: the snapshot, and the digest over all relevant files (path, size and mtime)."""

    snapshot: Snapshot
    files_digest: str


def scan(roots: Roots = (), settings: Settings | None = None) -> Scan:
    """The skills of `roots` (the default ones where none are given) as they are on disk now.

    Raises `ConfigError` for settings that make no sense. Safe from any thread; takes no kernel watches, and no
    descriptors beyond the call.
    """
    settings = Settings() if settings is None else settings
    check_settings(settings)
    snapshot, opened = scan_roots(resolve_roots(roots), settings)
    return Scan(snapshot, files_digest([watched.tree for watched in opened]))


def scan_roots(roots: tuple[Root, ...], settings: Settings) -> tuple[Snapshot, list[WatchedRoot]]:
    """The snapshot of `roots` together with what was read, for those who look closer."""
    opened = [WatchedRoot(root, settings) for root in roots]
    names: set[str] = set()
    for watched in opened:
        _, found = watched.open()
        names |= found
    layers = tuple(NO_LAYER if watched.catalog is None else watched.catalog.layer for watched in opened)
    problems = tuple(watched.problems for watched in opened)
    snapshot = Resolver().next_snapshot(None, layers, ({},) * len(layers), names, problems, VersionCounter().next)
    assert snapshot is not None, "without a snapshot before it, there always is a next one"
    return snapshot, opened
