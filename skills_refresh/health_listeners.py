"""`HealthListeners`: who is told when a root of a workspace fares otherwise than before."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .health import RootHealth

HealthListener = Callable[[RootHealth], None]

_log = logging.getLogger("skills_refresh")


class HealthListeners:
    """The health listeners of one workspace. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[HealthListener, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def subscribe(self, listener: HealthListener) -> Callable[[], None]:
        """Calls `listener` from now on; returns a function that ends it."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def tell(self, health: RootHealth) -> None:
        """Calls every listener, on the calling thread. One that fails is logged, and hurts no other."""
        for listener in self._listeners:
            try:
                listener(health)
            except Exception:
                _log.exception("a health listener failed")

    def forget(self) -> None:
        """In the child of a fork: forgets them, whoever holds the lock."""
        self._lock = threading.Lock()
        self._listeners = ()
