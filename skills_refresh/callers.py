"""`Callers`: the few threads that call the listeners of one engine.

A listener that blocks must hold back nobody but itself, so none may be called after another one that may block. But a
thread for each, as long as there is something to tell it, made the last of 1,000 listeners wait for half a second, two
thirds of it for threads to start. So the threads take one call after another, and whoever takes one while more are
ready has another thread stand by. Of 1,000 short calls, two to nine threads take all; what blocks leaves the rest to
the others. They end when nothing was to be called for a moment.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from .signals import unblock_wake_signal

# Starting a thread takes 0.1 ms, so there is little to save by keeping one; but changes often come in twos and threes.
LINGER_S = 0.050

_STANDING_BY = "skills-refresh listeners"

_log = logging.getLogger("skills_refresh")


class _Call(NamedTuple):
    run: Callable[[], None]
    name: str


class Callers:
    """Calls what it is given, each on a thread that calls nothing else meanwhile. Safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._ready: deque[_Call] = deque()
        self._standing_by = 0

    def call(self, run: Callable[[], None], name: str) -> None:
        """Has `run`, which must not raise, called soon, on a thread that is called by `name` meanwhile.

        Raises `RuntimeError` where a thread is needed and the process has as many as it may.
        """
        with self._changed:
            if not self._standing_by:
                self._start()
            self._ready.append(_Call(run, name))
            self._changed.notify()

    def _start(self) -> None:
        self._standing_by += 1
        try:
            threading.Thread(target=self._work, name=_STANDING_BY, daemon=True).start()
        except RuntimeError:
            self._standing_by -= 1
            raise

    def _work(self) -> None:
        unblock_wake_signal()
        thread = threading.current_thread()
        call = self._next()
        while call is not None:
            thread.name = f"skills-refresh {call.name}"  # a listener that never returns must be found
            call.run()
            del call  # while it waits, nothing is held that others gave up
            thread.name = _STANDING_BY
            with self._changed:
                self._standing_by += 1
            call = self._next()

    def _next(self) -> _Call | None:
        """What to call next, for one who stands by; None where nothing came for a while."""
        with self._changed:
            there = self._changed.wait_for(lambda: self._ready, LINGER_S)
            self._standing_by -= 1
            if not there:
                return None
            call = self._ready.popleft()
            if self._ready and not self._standing_by:
                try:
                    self._start()
                except RuntimeError:  # then those that are there do what they can
                    _log.exception("no thread can be had to stand by while a listener is called")
            return call
