"""How the reconciler's thread sleeps until something happens: `Waker`, with two ways to do it.

On Linux the kernel signals the thread when an inotify descriptor has something: an idle watcher does not wake up, and
a busy one wakes at once: about 4 ms from write to listener with 1,000 skills, where stepping every 50 ms takes 30 and
costs 0.16 % of a core for nothing. A poll() on the descriptors would not do: the Rust thread that owns them drains them
first. Elsewhere, and where the signal cannot be had, the thread steps.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading

from ..signals import block_wake_signal, unblock_wake_signal

if sys.platform != "win32":
    import fcntl

# How often pending events are looked for where no signal tells of them.
STEPPING_S = 0.050

# From Linux's fcntl.h; Python's fcntl module has no names for them.
_F_SETSIG = 10
_F_SETOWN_EX = 15
_F_OWNER_TID = 0


class Waker:
    """Puts its owning thread to sleep and wakes it. `wait` and `attach` belong to that thread, `wake` to any."""

    #: How long `wait` may sleep at most, in seconds, for events not to be missed; None where a signal tells of them.
    step: float | None = STEPPING_S

    def attach(self, descriptor: int | None) -> None:
        """Asks to be woken when `descriptor`, an inotify descriptor, has something; None where it is not known."""

    def wait(self, timeout: float) -> bool:
        """Sleeps until woken, for at most `timeout` seconds; returns whether it was woken."""
        raise NotImplementedError

    def wake(self) -> None:
        """Ends the current or the next `wait`."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives back what the waker changed in its thread. `wake` does nothing from here on."""


class SteppingWaker(Waker):
    """Sleeps on an event, for steps of 50 ms at most."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, timeout: float) -> bool:
        woken = self._event.wait(max(timeout, 0.0))
        self._event.clear()
        return woken

    def wake(self) -> None:
        self._event.set()


class SignalWaker(Waker):
    """Sleeps in `sigtimedwait` for SIGURG, which the kernel or `wake` send to the owning thread.

    Create it in the thread that will wait.
    """

    step: float | None = None

    def __init__(self) -> None:
        self._was_blocked = block_wake_signal()
        self._thread: int | None = threading.get_ident()
        self._lock = threading.Lock()

    def attach(self, descriptor: int | None) -> None:
        if descriptor is None:
            self.step = STEPPING_S
            return
        try:
            owner = struct.pack("ii", _F_OWNER_TID, threading.get_native_id())
            fcntl.fcntl(descriptor, _F_SETOWN_EX, owner)
            fcntl.fcntl(descriptor, _F_SETSIG, int(signal.SIGURG))
            fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
        except OSError:  # a sandbox that forbids it: step instead
            self.step = STEPPING_S

    def wait(self, timeout: float) -> bool:
        return signal.sigtimedwait({signal.SIGURG}, max(timeout, 0.0)) is not None

    def wake(self) -> None:
        with self._lock:
            if self._thread is not None:
                signal.pthread_kill(self._thread, signal.SIGURG)

    def close(self) -> None:
        with self._lock:
            self._thread = None
        if not self._was_blocked:
            unblock_wake_signal()


def make_waker() -> Waker:
    """The best waker of this platform, for the calling thread."""
    return SignalWaker() if sys.platform == "linux" else SteppingWaker()
