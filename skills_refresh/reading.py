"""One file read into memory and closed at once: its content's hash and its signature.

No descriptor outlives a call. A file is opened relative to its directory, without following links and without blocking,
so neither a fifo nor a file swapped for a link between look and read can trap the reader.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from hashlib import sha256

from .opening import DirectoryOpener, means_gone

# Larger files count by signature alone: hashing a video on every save would cost more than it tells.
MAX_HASHED_BYTES = 1_000_000
# Kernels before 6.13 stamp files with a clock that ticks every 4 to 10 ms: a second write within one tick leaves the
# signature as it is. What was read this soon after its last change is read once more.
RACY_NS = 20_000_000

_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # those that the platform has
    _OPEN_FLAGS |= getattr(os, _flag, 0)

# (mtime_ns, size, inode, ctime_ns): differs whenever the content may differ.
Signature = tuple[int, int, int, int]


def signature_of(status: os.stat_result) -> Signature:
    """The signature of what `status` describes."""
    return (status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)


def signature_or_none(path: str, directory: int | None = None) -> Signature | None:
    """The signature of what is at `path`; None where that cannot be told.

    With `directory`, a descriptor, it is that of the name `path` in it, and of a link itself.
    """
    try:
        return signature_of(os.stat(path, dir_fd=directory, follow_symlinks=directory is None))
    except OSError:
        return None


def is_racy(signature: Signature) -> bool:
    """Whether what has `signature` could have changed once more just now without showing it."""
    # By its ctime, which nobody can set: the kernel stamps it at every change.
    return 0 <= time.time_ns() - signature[3] < RACY_NS


class FileEntry:
    """A relevant file as it was last read.

    `signature` is None where not even `stat` succeeds. `sha256` is None for files that count by signature. `data` holds
    the content where the reader was asked to keep it. `error` is a problem's code and message, or None.
    """

    __slots__ = ("data", "error", "racy", "sha256", "signature")

    def __init__(
        self,
        signature: Signature | None,
        sha256: str | None = None,
        data: bytes | None = None,
        error: tuple[str, str] | None = None,
    ) -> None:
        self.signature = signature
        self.sha256 = sha256
        self.data = data
        self.error = error
        # Without a signature, nothing would show that the error is over.
        self.racy = is_racy(signature) if signature is not None else error is not None


def read_file(name: str, directory: int | None, owner: int | None, keep_bytes: int) -> FileEntry:
    """Reads the file `name`, a name in the open `directory`; a whole path where `directory` is None.

    Its content is kept where it is at most `keep_bytes` long, and hashed where it is at most `MAX_HASHED_BYTES`.
    `owner` is the user that the directory belongs to: a hard link to a file of anybody else is not read, because who
    made the link need not have been allowed to read that file. Raises `FileNotFoundError` when it is gone, which a link
    in its place means too; any other failure is the entry's `error`.
    """
    try:
        descriptor = os.open(name, _OPEN_FLAGS, dir_fd=directory)
    except OSError as error:
        if means_gone(error):
            raise FileNotFoundError(error.errno, error.strerror, name) from error
        return _unreadable(error, signature_or_none(name, directory))
    signature = None
    try:
        status = os.fstat(descriptor)
        signature = signature_of(status)
        if not stat.S_ISREG(status.st_mode):
            return FileEntry(signature, error=("not-a-file", "is not a regular file"))
        if status.st_nlink > 1 and status.st_uid != owner:
            return FileEntry(signature, error=("foreign-hard-link", _foreign(status.st_uid, owner)))
        limit = max(keep_bytes, MAX_HASHED_BYTES)
        if status.st_size > limit:
            return FileEntry(signature)
        data = _read_at_most(descriptor, status.st_size, limit)
    except OSError as error:
        return _unreadable(error, signature)
    finally:
        os.close(descriptor)
    if len(data) > limit:  # it grew while it was read; the event of that write brings us back
        return FileEntry(signature)
    return FileEntry(signature, sha256(data).hexdigest(), data if len(data) <= keep_bytes else None)


def read_target(path: str, opener: DirectoryOpener, keep_bytes: int) -> FileEntry:
    """Reads the file at the real path `path`, to which a link leads, as `read_file` reads one of a directory."""
    above, name = os.path.split(path)
    descriptor = None
    try:
        descriptor = opener.open(above, to_list=False)
        owner = os.stat(above if descriptor is None else descriptor).st_uid
        return read_file(path if descriptor is None else name, descriptor, owner, keep_bytes)
    except OSError as error:
        if means_gone(error):
            raise FileNotFoundError(error.errno, error.strerror, path) from error
        return _unreadable(error, None)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def why_unreadable(error: OSError, what: str) -> tuple[str, str]:
    """The code and the message of a problem for what cannot be `what` ("read", "listed") because of `error`."""
    code = "no-descriptor" if error.errno in (errno.EMFILE, errno.ENFILE) else "unreadable"
    return code, f"cannot be {what}: {error.strerror}"


def _unreadable(error: OSError, signature: Signature | None) -> FileEntry:
    entry = FileEntry(signature, error=why_unreadable(error, "read"))
    # Permissions that change show in the signature; that descriptors are there again, or a disk answers, does not.
    entry.racy = entry.racy or error.errno not in (errno.EACCES, errno.EPERM)
    return entry


def _foreign(file_owner: int, owner: int | None) -> str:
    return f"is a hard link to a file of another user ({file_owner}) than its directory's ({owner}); it is not read"


def _read_at_most(descriptor: int, expected: int, limit: int) -> bytes:
    # One byte more than expected, so that one call also finds the end of the file.
    data = os.read(descriptor, expected + 1)
    if len(data) == expected:
        return data
    chunks = [data]
    size = len(data)
    while chunks[-1] and size <= limit:
        chunks.append(os.read(descriptor, limit + 1 - size))
        size += len(chunks[-1])
    return b"".join(chunks)
