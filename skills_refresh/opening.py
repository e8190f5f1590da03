"""Opening directories so that what is opened is what was judged.

A path is judged first and opened later; meanwhile any name on the way can be swapped for a link. So below a base each
directory is opened by its name alone, relative to the one above it, and never through a link; what lies in it is opened
relative to it in turn. What is above a base is not ours to judge: whoever can change that is the user.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

# Windows has no descriptors of directories; there a path is judged once more instead, which leaves a short race.
HAS_DESCRIPTORS = {os.open, os.stat} <= os.supports_dir_fd and os.scandir in os.supports_fd

# How many directories on the way down stay open. Whoever comes back from below goes down again from the base.
MAX_OPEN = 8

_DIRECTORY = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_TO_LIST = _DIRECTORY | os.O_RDONLY
# Enough to open what lies below, also where a directory may be entered but not listed.
_TO_ENTER = _DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)


class DirectoryOpener:
    """Opens directories below `bases`, which are real paths. Owned by one thread.

    As a context manager: until the end it holds the directories on the way to the one that was opened last, so that
    its neighbours, and what lies in it, take one short call each.
    """

    def __init__(self, bases: Sequence[str]) -> None:
        self._bases = bases
        # What is open, each below the one before it.
        self._paths: list[str] = []
        self._descriptors: list[int] = []

    def __enter__(self) -> DirectoryOpener:
        return self

    def __exit__(self, *_: object) -> None:
        while self._paths:
            self._leave()

    def open(self, path: str, *, to_list: bool) -> int | None:
        """A descriptor, which is the caller's, of the directory at the real path `path`.

        `to_list` says whether it will be listed; else only what lies in it can be opened. None where the platform has
        no such descriptors. Raises an `OSError` that `means_gone` where that directory is gone, which a link in its
        place or on the way to it means too, and another where it cannot be opened.
        """
        flags = _TO_LIST if to_list else _TO_ENTER
        above, _, name = path.rpartition(os.sep)
        if not self._paths or above != self._paths[-1]:
            if not HAS_DESCRIPTORS:
                if os.path.realpath(path, strict=True) != path:
                    raise FileNotFoundError(errno.ENOENT, "is reached through a link", path)
                return None
            if not self._go_to(above or os.sep, path):
                return os.open(path, flags)
        return os.open(name, flags, dir_fd=self._descriptors[-1])

    def close(self, path: str, descriptor: int, *, enter: bool) -> None:
        """Closes the `descriptor` of `path`, or, with `enter`, keeps it to open what lies below until `with` ends."""
        if enter and self._paths and path.rpartition(os.sep)[0] == self._paths[-1]:
            self._enter(path, descriptor)
        else:
            os.close(descriptor)

    def _go_to(self, above: str, path: str) -> bool:
        """Makes `above`, which holds `path`, the last that is open; returns False where `path` is a base itself."""
        while self._paths and not is_below(above, self._paths[-1]):
            self._leave()
        if not self._paths:
            base = next((base for base in self._bases if is_below(path, base)), path)
            if base == path:
                return False
            self._enter(base, os.open(base, _TO_ENTER))
        for name in filter(None, above[len(self._paths[-1]) :].split(os.sep)):
            below = os.open(name, _TO_ENTER, dir_fd=self._descriptors[-1])
            self._enter(os.path.join(self._paths[-1], name), below)
        return True

    def _enter(self, path: str, descriptor: int) -> None:
        self._paths.append(path)
        self._descriptors.append(descriptor)
        if len(self._paths) > MAX_OPEN:
            self._paths.pop(0)
            os.close(self._descriptors.pop(0))

    def _leave(self) -> None:
        os.close(self._descriptors.pop())
        self._paths.pop()


def means_gone(error: OSError) -> bool:
    """Whether `error` says that what was judged is no longer there: nothing is, or something else."""
    return error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


def is_below(path: str, base: str) -> bool:
    """Whether `path` is `base` or lies below it."""
    return path == base or path.startswith(base.rstrip(os.sep) + os.sep)
