"""`LeakCheck`: whether a test leaves behind threads, descriptors or kernel watches of skills-refresh.

Only what belongs to the roots is blamed, whoever opened it: inotify instances that watch a directory there, files of
their skills, and threads that call listeners of the workspaces on them. Which thread carries an instance nobody can
tell: where one is left, the threads of skills-refresh that the test started are named with it. What was there before
the test is nobody's fault, and what else the test opened is its own business: an engine for the whole session, made at
its first use, or a log beside the skills.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from ..callers import Callers
from ..escaping import printable
from ..filters import SKILL_FILE

# Threads that are ending and instances that are being closed may take a moment, more on a busy machine.
SETTLE_S = 2.0
_STEP_S = 0.005

_DESCRIPTORS = "/proc/self/fd"
_INOTIFY = "anon_inode:inotify"
_WATCHED_INODE = re.compile(r"^inotify wd:\w+ ino:([0-9a-f]+)", re.MULTILINE)


class LeakCheck:
    """Remembers what there is when it is made. `roots` are the directories that count, and `callers` is for the engines
    that the test is given; add to the one what is opened, and give the other to them.

    Descriptors and watches are looked at where the platform lists them in `/proc`.
    """

    def __init__(self) -> None:
        self.roots: list[str] = []
        self.callers = KnownCallers()
        self._threads = frozenset(threading.enumerate())
        self._descriptors = frozenset(_descriptors().items())

    def settled(self) -> list[str]:
        """What is left behind, a line each: empty, or what is still there after `SETTLE_S` seconds."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            left = self._left()
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(_STEP_S)

    def _left(self) -> list[str]:
        new = sorted(_descriptors().items() - self._descriptors)
        roots = [os.path.realpath(root) for root in self.roots]
        # Walking the roots is worth it only where there is a suspect.
        inodes = _directory_inodes(roots) if any(target == _INOTIFY for _, target in new) else frozenset()
        watching = {descriptor: len(_watched_inodes(descriptor) & inodes) for descriptor, _ in new}
        return [
            *self._threads_left(all_of_ours=any(watching.values())),
            *(f"descriptor {item}: inotify, kernel watches below the roots: {n}" for item, n in watching.items() if n),
            *(f"descriptor {item}: {printable(target)}" for item, target in new if _is_of_a_skill(target, roots)),
        ]

    def _threads_left(self, *, all_of_ours: bool) -> Iterator[str]:
        for thread in set(threading.enumerate()) - self._threads:
            if thread in self.callers.calling or (all_of_ours and thread.name.startswith("skills-refresh ")):
                yield f"thread {printable(thread.name)!r}"


class KnownCallers(Callers):
    """Knows which of its threads are calling a listener."""

    def __init__(self) -> None:
        super().__init__()
        self.calling: set[threading.Thread] = set()

    def call(self, run: Callable[[], None], name: str) -> None:
        def run_and_tell() -> None:
            self.calling.add(threading.current_thread())
            run()
            self.calling.discard(threading.current_thread())

        super().call(run_and_tell, name)


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


def _is_of_a_skill(path: str, roots: list[str]) -> bool:
    """Whether `path` lies in a directory below one of the roots that has a `SKILL.md`."""
    above = [directory for directory in Path(path).parents if any(directory.is_relative_to(root) for root in roots)]
    return any((directory / SKILL_FILE).is_file() for directory in above)


def _directory_inodes(roots: list[str]) -> set[int]:
    inodes = set()
    for root in roots:
        for directory, _, _ in os.walk(root):
            with suppress(OSError):
                inodes.add(os.stat(directory).st_ino)
    return inodes
