"""`Callers`: the few threads that call the listeners of one engine.

A listener that blocks must hold back nobody but itself, so no call may wait for another one. But a thread for each, as
long as there is something to tell it, made the last of 1,000 listeners wait for half a second, most of it for threads
to start. So one thread calls one after another, and a second stands by: when the first has not come back for a moment,
the second takes over, and a third stands by. They end when nothing was to be called for a while.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from .signals import unblock_wake_signal

# A call that takes longer may be one that blocks. Calls of listeners mostly take some microseconds.
STUCK_S = 0.002
# Starting a thread takes 0.1 ms, so there is little to save by keeping one; but changes often come in twos and threes.
LINGER_S = 0.050

_log = logging.getLogger("skills_refresh")


class Callers:
    """Calls what it is given, each on some thread of its own, in the order given but for those that wait for nobody.
    Safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._ready: deque[Callable[[], None]] = deque()
        self._standing_by = 0
        self._calling = 0
        self._stuck = 0  # of those that are calling, how many nobody waits for any more
        self._taken = 0

    def call(self, run: Callable[[], None]) -> None:
        """Has `run`, which must not raise, called at once or after calls that are soon over.

        Raises `RuntimeError` where a thread is needed and the process has as many as it may.
        """
        with self._changed:
            if not self._standing_by:
                self._start()
            self._ready.append(run)
            if len(self._ready) == 1 or self._calling <= self._stuck:
                self._changed.notify()

    def _start(self) -> None:
        self._standing_by += 1
        try:
            threading.Thread(target=self._work, name="skills-refresh listeners", daemon=True).start()
        except RuntimeError:
            self._standing_by -= 1
            raise

    def _work(self) -> None:
        unblock_wake_signal()
        run = self._next(came_back=False)
        while run is not None:
            run()
            del run  # while it waits, nothing is held that others gave up
            run = self._next(came_back=True)

    def _next(self, *, came_back: bool) -> Callable[[], None] | None:
        """What to call next; None where nothing came for a while."""
        with self._changed:
            if came_back:
                self._calling -= 1
                self._stuck = min(self._stuck, self._calling)
                self._standing_by += 1
            if not (came_back and self._ready) and not self._stand_by():
                self._standing_by -= 1
                return None
            self._standing_by -= 1
            self._calling += 1
            self._taken += 1
            run = self._ready.popleft()
            if self._ready and not self._standing_by:
                try:
                    self._start()
                except RuntimeError:  # then those that there are do what they can
                    _log.exception("no thread can be had to stand by while a listener is called")
            return run

    def _stand_by(self) -> bool:
        """Waits until there is something to call that nobody else will soon; False where nothing came for a while."""
        while not (self._ready and self._calling <= self._stuck):
            taken = self._taken
            woken = self._changed.wait(STUCK_S if self._ready else LINGER_S)
            if not woken and not self._ready:
                return False
            if not woken and taken == self._taken:
                self._stuck = self._calling
        return True
