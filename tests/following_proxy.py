"""A proxy between a client and a server, which cuts connections, or lets them fall silent, as networks do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from random import Random
from types import TracebackType
from urllib.parse import urlsplit


class Proxy:
    """Carries connections to the server at `url`. `cut_after` gives the number of bytes from the server after which
    the next connection is cut, in the middle of whatever it is; None for never."""

    def __init__(self, url: str, cut_after: Callable[[], int | None] = lambda: None) -> None:
        parts = urlsplit(url)
        self._upstream = (parts.hostname, parts.port)
        self._cut_after = cut_after
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._requesting: set[socket.socket] = set()
        self._silent: set[socket.socket] = set()
        self._carrying: list[threading.Thread] = []
        self._closed = False
        self._is_swallowing = False
        self.cuts = 0
        self.swallowed = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def silence(self) -> None:
        """Lets nothing through any more on the connections that there are; none is closed."""
        self._silent = set(self._sockets)

    def swallow(self) -> None:
        """Lets no request through any more, on whatever connection; none is closed."""
        self._is_swallowing = True

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._upstream)
            except OSError:
                continue
            self._sockets |= {near, far}
            self._requesting.add(near)
            for source, target, limit in ((near, far, None), (far, near, self._cut_after())):
                thread = threading.Thread(target=self._carry, args=[source, target, limit], daemon=True)
                self._carrying.append(thread)
                thread.start()

    def _carry(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if source in self._silent:
                    continue
                if self._is_swallowing and source in self._requesting:
                    self.swallowed += len(data)
                    continue
                if limit is not None:
                    data, limit = data[:limit], limit - len(data)
                target.sendall(data)
                if limit is not None and limit <= 0:
                    self.cuts += 1
                    break
        self._end(source)
        self._end(target)

    def _end(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed = True
        self._end(self._listener)
        self._listener.close()
        for connection in tuple(self._sockets):
            self._end(connection)
        for thread in (self._thread, *self._carrying):
            thread.join()
        for connection in self._sockets:
            connection.close()


def random_cuts(seed: int, is_over: threading.Event) -> Callable[[], int | None]:
    """For `Proxy`: cuts after up to 30,000 bytes, mostly few, until `is_over`."""
    random = Random(seed)
    return lambda: None if is_over.is_set() else int(30_000 ** random.random())
