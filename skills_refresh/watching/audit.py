"""What differs from the disk, found by `stat` alone. Makes no events, opens nothing, changes nothing.

It finds what no event told (an overflow of the kernel's queue, a write through mmap or an outside hard link), it
completes watching before reading, and where native watching cannot be had it is the watcher.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from ..listing import Directory, follow_link, hidden_skills
from ..reading import signature_of


def audit(directories: Iterable[Directory], *, look_twice: bool = True) -> dict[str, set[str]]:
    """The directories that differ from what is known of them, each with the names to read again.

    With `look_twice`, what was read so soon after a change that a second one might not show is told too; without, only
    what differs for certain.
    """
    stat = os.stat
    dirty: dict[str, set[str]] = {}
    for directory in directories:
        path = directory.path
        names: set[str] = set()
        try:
            signature = signature_of(stat(path))
        except OSError:
            signature = None
        differs = signature != directory.signature or (look_twice and directory.racy)
        for name, entry in directory.files.items():
            try:
                status = stat(f"{path}{os.sep}{name}")
                found = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)
            except OSError:
                found = None
            if (found != entry.signature and (entry.signature is not None or entry.error is None)) or (
                look_twice and entry.racy
            ):
                names.add(name)
        if differs or names or (directory.links and _links_differ(directory)) or _hidden_differ(directory):
            dirty[path] = names
    return dirty


def _links_differ(directory: Directory) -> bool:
    return any(follow_link(os.path.join(directory.path, name))[0] != target for name, target in directory.links.items())


def _hidden_differ(directory: Directory) -> bool:
    return any(hidden_skills(os.path.join(directory.path, name)) != found for name, found in directory.hidden.items())
