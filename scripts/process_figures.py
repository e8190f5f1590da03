"""What the kernel says of a running process: descriptors, watches, time and memory (Linux, from /proc)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def descriptors(pid: int) -> dict[str, str]:
    """The open descriptors of the process `pid`, each with what it leads to."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found[number] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


def kernel_watches(pid: int) -> int:
    """How many inotify watches the process `pid` holds."""
    count = 0
    for number, path in descriptors(pid).items():
        if path == "anon_inode:inotify":
            with suppress(FileNotFoundError):  # closed meanwhile
                info = Path(f"/proc/{pid}/fdinfo/{number}").read_text(encoding="ascii")
                count += sum(line.startswith("inotify ") for line in info.splitlines())
    return count


def cpu_seconds(pid: int) -> float:
    """User and system time of the process with all its threads (fields 14 and 15 of its stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads(pid: int) -> int:
    """How many threads the process `pid` has."""
    return int(_status(pid)["Threads"])


def megabytes(pid: int, name: str) -> float:
    """One of the sizes in the status of the process `pid`: `VmRSS` is its memory now, `VmHWM` at its highest."""
    return int(_status(pid)[name].split()[0]) / 1_024


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return dict(line.split(":", 1) for line in lines)
