"""What the machine allows: the kernel's limits on inotify, and the descriptors of this process.

Where a limit is reached, its name, its value and the command that raises it are what a user needs. On other platforms
than Linux there is nothing to tell.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..health import Cause

# Here and not where it is used: when descriptors are lacking, nothing can be imported any more.
if sys.platform != "win32":
    import resource

_SYSTEM = Path("/proc/sys")
# What distributions for developers set: enough for a hundred trees of 5,000 directories.
_GENEROUS = {"watches": 524_288, "instances": 1_024}


class Limit(NamedTuple):
    """A limit: its name, its value, and a command that raises it."""

    name: str
    value: int
    command: str


def limit_for(cause: Cause) -> Limit | None:
    """The limit that `cause` means; None where it means none, or the platform does not say."""
    if cause == "watch-limit":
        return _inotify_limit("watches")
    if cause == "instance-limit":
        return _inotify_limit("instances")
    if cause == "descriptor-limit":
        return descriptor_limit()
    if cause == "system-descriptor-limit":
        value = _read("fs/file-max")
        return None if value is None else Limit("fs.file-max", value, f"sudo sysctl fs.file-max={2 * value}")
    return None


def descriptor_limit() -> Limit | None:
    """The limit on the descriptors of this process."""
    if sys.platform == "win32":
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else Limit("RLIMIT_NOFILE", soft, f"ulimit -n {max(2 * soft, 4_096)}")


def queue_limit() -> int | None:
    """How many events the kernel keeps for one inotify instance; None where the platform does not say."""
    return _read("fs/inotify/max_queued_events")


def open_descriptors() -> int | None:
    """How many descriptors this process has open; None where the platform does not say."""
    with suppress(OSError):
        # Linux tells since 6.2, in a microsecond and without a descriptor of its own, which may be the last one.
        return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd")) - 1
    return None


def free_descriptors() -> int | None:
    """How many descriptors this process may still open; None where that is not known or not limited."""
    limit, used = descriptor_limit(), open_descriptors()
    return None if limit is None or used is None else max(limit.value - used, 0)


def kernel_watches() -> int | None:
    """How many inotify watches this process holds; None where the platform does not say."""
    count = 0
    try:
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/self/fd/{name}") == "anon_inode:inotify":
                    with open(f"/proc/self/fdinfo/{name}", encoding="utf-8") as info:
                        count += sum(line.startswith("inotify") for line in info)
    except OSError:
        return None
    return count


def _inotify_limit(what: str) -> Limit | None:
    """The lower of the two limits on `what`: the system's, and that of a user namespace (a container's)."""
    found = []
    for key in (f"fs/inotify/max_user_{what}", f"user/max_inotify_{what}"):
        value = _read(key)
        if value is not None:
            found.append((value, key.replace("/", ".")))
    if not found:
        return None
    value, name = min(found, key=lambda limit: limit[0])
    return Limit(name, value, f"sudo sysctl {name}={max(2 * value, _GENEROUS[what])}")


def _read(key: str) -> int | None:
    with suppress(OSError, ValueError):
        return int((_SYSTEM / key).read_text(encoding="utf-8"))
    return None
