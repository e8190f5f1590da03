"""What the machine allows: the kernel's limits on inotify, and the descriptors of this process (Linux)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_INOTIFY = Path("/proc/sys/fs/inotify")


def inotify_limit(name: str) -> int | None:
    """The limit `name`, such as `max_user_watches`; None where the platform has none."""
    with suppress(OSError, ValueError):
        return int((_INOTIFY / name).read_text(encoding="ascii"))
    return None


def open_descriptors() -> int | None:
    """How many descriptors this process has open; None where the platform does not say."""
    with suppress(OSError):
        return len(os.listdir("/proc/self/fd")) - 1  # the listing itself is one
    return None


def kernel_watches() -> int | None:
    """How many inotify watches this process holds; None where the platform does not say."""
    count = 0
    try:
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/self/fd/{name}") == "anon_inode:inotify":
                    with open(f"/proc/self/fdinfo/{name}", encoding="ascii") as info:
                        count += sum(line.startswith("inotify") for line in info)
    except OSError:
        return None
    return count
