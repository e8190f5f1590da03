"""`Instance`: one `RustNotify` of watchfiles, the only place that knows its ways.

What it really does, measured with watchfiles 1.3.0 and read in its source: paths cannot be added later; the constructor
holds the GIL; with `ignore_permission_denied` it swallows every error, so what was armed must be verified; events that
are pending are thrown away when `watch` ends by stop, timeout or error, but not when the stop event raises. A raising
stop event therefore makes a look that never loses anything, and takes 2 microseconds where nothing is pending.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import NoReturn

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from ..health import Cause
from .limits import free_descriptors, queue_limit

if sys.platform == "linux":
    import fcntl
    import termios

# Below this many directories a constructor takes under a millisecond whichever processor its two threads run on.
_WORTH_PINNING = 100
# How many events the kernel keeps where it does not say.
_USUAL_QUEUE = 16_384
# The longest to wait for an instance's thread to end.
_CLOSE_S = 0.050
#: Descriptors that one instance needs.
DESCRIPTORS = 3


class InstanceDied(Exception):
    """The instance ended with an error; what it had pending is lost, and nothing more will come."""


class InstanceRefused(Exception):
    """No instance can be had; `cause` says why."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause)
        self.cause = cause


class _NothingMore(Exception):
    """Raised through `watch` by `_Look`: nothing (more) is pending."""


class _Look:
    """A stop event that lets `watch` look three times, then ends it by raising.

    Without a debounce, `watch` returns on the second look that finds something; what the third look may leave behind
    stays pending.
    """

    def __init__(self) -> None:
        self._looks = 3

    def is_set(self) -> bool:
        self._looks -= 1
        if self._looks < 0:
            raise _NothingMore
        return False


class Instance:
    """Watches `paths`, all of them but those that the kernel refused. Owned by one thread.

    `descriptor` is its inotify descriptor, or None where that is not known. `paths` are those that its owner still
    wants; the owner removes from it. Raises `InstanceRefused` where no instance can be had at all.
    """

    def __init__(self, paths: Collection[str], *, recursive: bool) -> None:
        self.paths = set(paths)
        self.descriptor: int | None = None
        before = _inotify_descriptors()
        with _on_one_processor() if len(paths) >= _WORTH_PINNING else nullcontext():
            self._notify = _make(list(paths), recursive=recursive, swallow_errors=True)
        new = _inotify_descriptors() - before
        # More than one: another thread of the process opened an inotify descriptor at the same moment.
        self.descriptor = new.pop() if len(new) == 1 else None
        # An event takes 16 bytes, and mostly 16 or more for a name: this is a quarter to a half of a full queue.
        self._many = 8 * (queue_limit() or _USUAL_QUEUE)

    def take(self) -> set[tuple[int, str]]:
        """The events that are pending, as watchfiles' (change, path). Raises `InstanceDied`; never blocks."""
        try:
            found = self._notify.watch(0, 0, 0, _Look())
        except _NothingMore:
            return set()
        except WatchfilesRustInternalError as error:
            raise InstanceDied(str(error)) from error
        return found if isinstance(found, set) else _unexpected(found)

    def is_behind(self) -> bool:
        """Whether so many events wait in the kernel that some may have been dropped. It does so without a word that
        watchfiles would pass on; how much waits can be asked, in a microsecond."""
        if self.descriptor is None or sys.platform != "linux":
            return False
        waiting = bytearray(4)
        try:
            fcntl.ioctl(self.descriptor, termios.FIONREAD, waiting)
        except OSError:
            return False
        return int.from_bytes(waiting, sys.byteorder) >= self._many

    def is_complete(self) -> bool | None:
        """Whether the kernel watches as many directories as there are paths; None where it does not say.

        Watch descriptors are counted up from 1 by each watch that is granted, and the newest is listed first, so the
        first lines tell. Reading all of them would take a third of the time that arming takes.
        """
        if self.descriptor is None:
            return None
        try:
            with open(f"/proc/self/fdinfo/{self.descriptor}", "rb", buffering=0) as info:
                head = info.read(1_024)
        except OSError:
            return None
        return b"inotify wd:%x " % len(self.paths) in head

    def watched_inodes(self) -> list[int] | None:
        """The inodes that the kernel says are watched; None where it does not say."""
        if self.descriptor is None:
            return None
        try:
            with open(f"/proc/self/fdinfo/{self.descriptor}", encoding="utf-8") as info:
                return [int(line.split(" ino:", 1)[1].split(" ", 1)[0], 16) for line in info if line[:7] == "inotify"]
        except OSError:
            return None

    def close(self, *, wait: bool = False) -> None:
        """Ends the instance's thread, which then gives its descriptors and watches back; that takes it 0.3 ms, for
        which the caller may `wait`."""
        self._notify.close()
        deadline = time.monotonic() + _CLOSE_S
        while wait and self.watched_inodes() is not None and time.monotonic() < deadline:
            time.sleep(_CLOSE_S / 100)


def why_refused(path: str) -> Cause:
    """Why the kernel does not watch the directory `path`; the empty word where it would do so now."""
    try:
        _make([path], recursive=False, swallow_errors=False).close()
    except InstanceRefused as refused:
        return refused.cause
    return ""


def _make(paths: list[str], *, recursive: bool, swallow_errors: bool) -> RustNotify:
    try:
        return RustNotify(paths, False, False, 0, recursive, swallow_errors)
    except (OSError, WatchfilesRustInternalError) as error:
        raise InstanceRefused(_cause_of(error)) from error


def _cause_of(error: Exception) -> Cause:
    """What watchfiles means; it has no numbers for its errors, only words."""
    text = str(error)
    if "file watch limit" in text:
        return "watch-limit"
    if "(os error 24)" in text:  # EMFILE: two limits answer with the same number
        free = free_descriptors()
        return "descriptor-limit" if free is not None and free <= DESCRIPTORS else "instance-limit"
    if "(os error 23)" in text:  # ENFILE
        return "system-descriptor-limit"
    return "unreadable" if isinstance(error, PermissionError) else "unwatchable"


def _unexpected(answer: object) -> NoReturn:
    raise InstanceDied(f"watch() ended with {answer!r}")


def _inotify_descriptors() -> set[int]:
    found = set()
    with suppress(OSError):  # no /proc: not Linux
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/self/fd/{name}") == "anon_inode:inotify":
                    found.add(int(name))
    return found


@contextmanager
def _on_one_processor() -> Iterator[None]:
    """Keeps the calling thread, and the threads that it starts, on one processor.

    The constructor hands each path to its new thread and waits. Where the two run on different processors, each
    handing over wakes the other one up: 25 to 60 microseconds a directory instead of 11, all with the GIL held.
    """
    if sys.platform != "linux":
        yield
        return
    get: Callable[[int], set[int]] = os.sched_getaffinity
    allowed = get(0)
    threads = _threads()
    pinned = False
    with suppress(OSError):
        os.sched_setaffinity(0, {_current_processor(allowed)})
        pinned = True
    try:
        yield
    finally:
        if pinned:
            for thread in (0, *(_threads() - threads)):
                with suppress(OSError):
                    os.sched_setaffinity(thread, allowed)


def _threads() -> set[int]:
    with suppress(OSError):
        return {int(name) for name in os.listdir("/proc/self/task")}
    return set()


def _current_processor(allowed: set[int]) -> int:
    """The processor that the calling thread runs on (field 39 of its stat), or any that it may use."""
    with suppress(OSError, ValueError, IndexError), open("/proc/thread-self/stat", encoding="utf-8") as stat:
        current = int(stat.read().rpartition(")")[2].split()[36])
        if current in allowed:
            return current
    return min(allowed)
