"""Which file system a directory lies on, and which of them must be polled.

The kernel tells of what is written through itself. What another machine writes to a network share, the host of a
virtual machine to a shared folder, or the program behind a FUSE mount to its own store, it does not see: there no event
comes, and the watch is granted all the same. A directory's device number, from a `stat` that was made anyway, decides;
no path has to be matched. Nothing here watches or polls.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from typing import NamedTuple

MOUNTINFO = "/proc/self/mountinfo"
# Numbers of file systems without a device of their own are given again after an unmount, so what was read is not
# believed for long. Reading takes 0.05 ms for 20 mounts, and nobody asks unless a directory is looked at.
KEPT_S = 1.0

# Others than this kernel write there, and it is not told:
POLLED = frozenset(
    # other machines, through a network or to the same disk;
    ("nfs nfs4 cifs smb3 smbfs ncpfs afs coda ceph glusterfs lustre gpfs gfs2 ocfs2 orangefs pvfs2 beegfs "
    # the host of a virtual machine, or of a container in one (9p also carries the Windows drives of WSL 2);
    "9p virtiofs vboxsf vmhgfs prl_fs drvfs fakeowner "
    # whoever writes to the layers below a union mount;
    "overlay aufs "
    # a program. Some serve a local disk, such as that for NTFS, but no name tells: polling is late, never wrong.
    "fuse fuseblk").split()
)  # fmt: skip

_ESCAPE = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One file system: where it is mounted (the first place, where there are several), and its type."""

    point: str
    file_system: str


def is_polled(file_system: str) -> bool:
    """Whether events do not tell of all that is written on a file system of this type, such as `nfs4` or
    `fuse.sshfs`."""
    return file_system in POLLED or file_system.startswith("fuse.")


def parse_mountinfo(text: str) -> dict[int, Mount]:
    """The mounts in `text`, by device number as in `st_dev`; the format is that of proc(5).

    A line that does not keep to it is left out.
    """
    mounts: dict[int, Mount] = {}
    for line in text.split("\n"):  # a mount point may hold any other kind of line end, unescaped
        fields = line.split(" ")
        try:
            separator = fields.index("-", 6)  # after any number of optional fields
            major, minor = fields[2].split(":")
            mount = Mount(_decode(fields[4]), fields[separator + 1])
            mounts.setdefault(os.makedev(int(major), int(minor)), mount)
        except (ValueError, IndexError, OverflowError):
            continue
    return mounts


class MountTable:
    """The mounts that this process sees, read anew where the last reading is older than a second or does not know what
    is asked for.

    `path` is the table in the kernel's format, `clock` gives monotonic seconds. Owned by one thread. Never raises.
    """

    def __init__(self, path: str = MOUNTINFO, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._mounts: dict[int, Mount] = {}
        self._expires: float | None = None

    def file_system(self, device: int) -> str | None:
        """The type of the file system whose device number (`st_dev`) is `device`.

        None where it cannot be told: there is no table (only Linux has one), or `device` is not in it, as with the
        subvolumes of btrfs, which have numbers of their own, and with what is mounted above a `chroot`.
        """
        now = self._clock()
        if self._expires is None or now >= self._expires or device not in self._mounts:
            self._mounts = _read(self._path)
            self._expires = now + KEPT_S
        mount = self._mounts.get(device)
        return mount.file_system if mount is not None else None


def _read(path: str) -> dict[int, Mount]:
    try:
        # Names that are not UTF-8 must not hide the rest, nor may a carriage return in one end its line.
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as table:
            return parse_mountinfo(table.read())
    except OSError:
        return {}


def _decode(field: str) -> str:
    """A field as it was before the kernel escaped its spaces, tabs, line ends and backslashes."""
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 8)), field)
