"""What differs from the disk, found by `stat` alone. Makes no events, opens nothing, changes nothing.

It finds what no event told (an overflow of the kernel's queue, a write through mmap or an outside hard link), it
completes watching before reading, and where native watching cannot be had it is the watcher.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from ..directory import Directory, follow_link, hidden_skills
from ..reading import signature_of


class Audit(NamedTuple):
    """What a look found: the directories that differ from what is known of them, and those that were read so soon after
    a change that a second one might not show. Each with the names to read again."""

    differing: dict[str, set[str]]
    racy: dict[str, set[str]]


def audit(directories: Iterable[Directory]) -> Audit:
    """Compares `directories` with the disk."""
    stat, separator = os.stat, os.sep
    found = Audit({}, {})
    for directory in directories:
        path = directory.path
        names: list[str] = []
        racy: list[str] = []
        try:
            status = stat(path)
            signature = signature_of(status) if status.st_dev == directory.device else None
        except OSError:
            signature = None
        for name, entry in directory.files.items():
            try:
                status = stat(f"{path}{separator}{name}")
                now = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)
            except OSError:
                now = None
            if now != entry.signature and (entry.signature is not None or entry.error is None):
                names.append(name)
            elif entry.racy:
                racy.append(name)
        if (
            names
            or signature != directory.signature
            or (directory.links and _links_differ(directory))
            or (directory.hidden and _hidden_differ(directory))
        ):
            found.differing[path] = set(names)
        if racy or directory.racy:
            found.racy[path] = set(racy)
    return found


def _links_differ(directory: Directory) -> bool:
    return any(follow_link(os.path.join(directory.path, name)) != link for name, link in directory.links.items())


def _hidden_differ(directory: Directory) -> bool:
    return any(hidden_skills(os.path.join(directory.path, name)) != found for name, found in directory.hidden.items())
