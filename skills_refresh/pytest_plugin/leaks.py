"""`LeakCheck`: whether a test leaves behind threads, descriptors or kernel watches of skills-refresh.

Only what is ours is blamed, whoever opened it: threads by their names, descriptors of files below the roots, and
inotify instances that watch a directory there. What was there before the test is nobody's fault, and what else the test
opened is its own business.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from ..escaping import printable

# Threads that are ending and instances that are being closed may take a moment, more on a busy machine.
SETTLE_S = 2.0
_STEP_S = 0.005

_DESCRIPTORS = "/proc/self/fd"
_INOTIFY = "anon_inode:inotify"
_WATCHED_INODE = re.compile(r"^inotify wd:\w+ ino:([0-9a-f]+)", re.MULTILINE)


class LeakCheck:
    """Remembers what there is when it is made. `roots` are the directories that count; add to it what is opened.

    Descriptors and watches are looked at where the platform lists them in `/proc`.
    """

    def __init__(self) -> None:
        self.roots: list[str] = []
        self._threads = frozenset(threading.enumerate())
        self._descriptors = frozenset(_descriptors().items())

    def settled(self) -> list[str]:
        """What is left behind, a line each: empty, or what is still there after `SETTLE_S` seconds."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            left = [*self._threads_left(), *self._descriptors_left()]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(_STEP_S)

    def _threads_left(self) -> Iterator[str]:
        for thread in threading.enumerate():
            if thread.name.startswith("skills-refresh ") and thread not in self._threads:
                yield f"thread {printable(thread.name)!r}"

    def _descriptors_left(self) -> Iterator[str]:
        new = sorted(_descriptors().items() - self._descriptors)
        roots = [os.path.realpath(root) for root in self.roots]
        # Walking the roots is worth it only where there is a suspect.
        inodes = _directory_inodes(roots) if any(target == _INOTIFY for _, target in new) else frozenset()
        for descriptor, target in new:
            if target == _INOTIFY:
                watches = len(_watched_inodes(descriptor) & inodes)
                if watches:
                    yield f"descriptor {descriptor}: inotify, kernel watches below the roots: {watches}"
            elif any(target == root or target.startswith(root + os.sep) for root in roots):
                yield f"descriptor {descriptor}: {printable(target)}"


def _descriptors() -> dict[int, str]:
    """What each descriptor of this process leads to; empty where the platform does not say."""
    found = {}
    with suppress(OSError):
        for name in os.listdir(_DESCRIPTORS):
            with suppress(OSError):  # closed meanwhile, as that of the listing itself
                found[int(name)] = os.readlink(f"{_DESCRIPTORS}/{name}")
    return found


def _watched_inodes(descriptor: int) -> set[int]:
    with suppress(OSError), open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as info:
        return {int(inode, 16) for inode in _WATCHED_INODE.findall(info.read())}
    return set()


def _directory_inodes(roots: list[str]) -> set[int]:
    inodes = set()
    for root in roots:
        for directory, _, _ in os.walk(root):
            with suppress(OSError):
                inodes.add(os.stat(directory).st_ino)
    return inodes
