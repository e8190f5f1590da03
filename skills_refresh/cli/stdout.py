"""Standard output for a program that follows changes: it waits for signals, news and the reader, all at once.

A reader that goes away ends the program, and one that is slow does not make it deaf: signals are heard while a line
waits to be written. Lines are written whole and at once.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# What a pipe that is ready takes without blocking.
_CHUNK = getattr(select, "PIPE_BUF", 512)


class Ended(Exception):
    """The reader has gone, or a signal asked to end."""


class Follower:
    """Sleeps until there is news, and writes lines to standard output. `poke` and `end` are safe from any thread and in
    signal handlers; the rest belongs to one thread."""

    def __init__(self) -> None:
        self._output = sys.stdout.fileno()
        self._news, self._tell_news = _pipe()
        self._ending, self._tell_ending = _pipe()

    @property
    def wakeup(self) -> int:
        """The descriptor that Python is to write to at each signal, at once; -1 for none.

        A signal that comes just before a wait begins, or on another thread, runs its handler only after that wait:
        without this, one of a hundred SIGTERMs on a busy machine was heard at the next news, if ever.
        """
        return self._tell_ending

    def poke(self) -> None:
        """There is news: ends the current or the next `sleep`."""
        _write_byte(self._tell_news)

    def end(self, *_: object) -> None:
        """Makes the current or the next call raise `Ended`."""
        _write_byte(self._tell_ending)

    def sleep(self) -> None:
        """Sleeps until poked. Raises `Ended`."""
        self._wait(self._news, select.POLLIN)
        os.read(self._news, 65_536)

    def write(self, line: str) -> None:
        """Writes `line` and a newline. Raises `Ended`."""
        left = (line + "\n").encode()
        while left:
            self._wait(self._output, select.POLLOUT)
            try:
                left = left[os.write(self._output, left[:_CHUNK]) :]
            except BrokenPipeError as error:
                raise Ended from error

    def close(self) -> None:
        """Gives its descriptors back."""
        for descriptor in (self._news, self._tell_news, self._ending, self._tell_ending):
            os.close(descriptor)

    def _wait(self, descriptor: int, events: int) -> None:
        """Waits until `descriptor` is ready for `events`. Raises `Ended`."""
        poll = select.poll()
        poll.register(self._output, 0)  # its errors are told without being asked for
        poll.register(self._ending, select.POLLIN)
        poll.register(descriptor, events)
        ready = dict(poll.poll())
        if self._ending in ready or ready.get(self._output, 0) & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
            raise Ended


class PlainFollower(Follower):
    """The same where there is no `poll` (Windows): the reader's going is seen at the next line."""

    def __init__(self) -> None:
        self._poked = threading.Event()
        self._ended = False

    @property
    def wakeup(self) -> int:
        return -1

    def poke(self) -> None:
        self._poked.set()

    def end(self, *_: object) -> None:
        self._ended = True
        self._poked.set()

    def sleep(self) -> None:
        while not self._poked.wait(0.2):  # in slices, or Windows would hold back signals
            pass
        self._poked.clear()
        if self._ended:
            raise Ended

    def write(self, line: str) -> None:
        if self._ended:
            raise Ended
        try:
            print(line, flush=True)
        except OSError as error:
            raise Ended from error

    def close(self) -> None:
        pass


@contextmanager
def following() -> Iterator[Follower]:
    """A `Follower` that SIGINT and SIGTERM end; `Ended` ends the block and goes no further."""
    follower = Follower() if hasattr(select, "poll") else PlainFollower()
    previous = {number: signal.signal(number, follower.end) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(follower.wakeup, warn_on_full_buffer=False)
    try:
        yield follower
    except Ended:
        pass
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)
        follower.close()


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    return reading, writing


def _write_byte(descriptor: int) -> None:
    try:
        os.write(descriptor, b".")
    except BlockingIOError:
        pass  # it is full of news already
