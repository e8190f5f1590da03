"""Where the server listens: an address, a socket file, or a descriptor that somebody else opened."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from .systemd import passed_descriptors

# How many may wait to be accepted.
BACKLOG = 4_096


@dataclass(frozen=True, slots=True)
class Address:
    """`host` and `port`, or a socket file `uds`, or a descriptor `fd` that listens already."""

    host: str = "127.0.0.1"
    port: int = 8765
    uds: Path | None = None
    fd: int | None = None


def listen(address: Address) -> list[socket.socket]:
    """Sockets that listen at `address`, or those that systemd passed on. Raises `ConfigError`."""
    passed = passed_descriptors()
    if passed:
        return [_take(descriptor) for descriptor in passed]
    if address.fd is not None:
        return [_take(address.fd)]
    if address.uds is not None:
        return [_listen_at_file(address.uds)]
    return _listen_at_host(address.host, address.port)


def describe(listener: socket.socket) -> str:
    """Where `listener` can be reached."""
    name = listener.getsockname()
    if isinstance(name, tuple):
        host = f"[{name[0]}]" if ":" in name[0] else name[0]
        return f"http://{host}:{name[1]}"
    return f"unix:{os.fsdecode(name)}"


def is_private(listener: socket.socket) -> bool:
    """Whether only this machine can reach `listener`, and of a socket file not everybody on it."""
    name = listener.getsockname()
    if isinstance(name, tuple):
        return ipaddress.ip_address(name[0]).is_loopback
    try:
        return not os.stat(name).st_mode & stat.S_IRWXO
    except (OSError, ValueError):
        return True  # it has no file


def remover(path: Path) -> Callable[[], None]:
    """What removes the socket file that is at `path` now, unless another server's is in its place by then."""
    made = path.lstat()

    def remove() -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(path.lstat(), made):
                path.unlink()

    return remove


def _take(descriptor: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=descriptor)
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--fd {descriptor}: {reason}; pass a socket that listens") from error
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ConfigError(f"--fd {descriptor}: does not listen; pass a socket that does")
    return listener


def _listen_at_host(host: str, port: int) -> list[socket.socket]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = found[0]
        listener = socket.create_server(where[:2], family=family, backlog=BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        cure = "choose another --port, or 0 for any" if taken else "choose another --host"
        # asyncio's words say the address once more.
        reason = os.strerror(error.errno) if taken and isinstance(error, OSError) and error.errno else error
        raise ConfigError(f"{host}:{port}: {reason}; {cure}") from error
    listener.setblocking(False)
    return [listener]


def _listen_at_file(path: Path) -> socket.socket:
    """A socket file that only its owner can use."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        before = os.umask(0o177)  # no moment in which others could use it
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(f"{path}: {error.strerror or error}; name another file with --uds") from error
    listener.setblocking(False)
    return listener


def _remove_stale(path: Path) -> None:
    """Removes the socket file of a server that is gone. Raises `ConfigError` where one answers."""
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise ConfigError(f"{path}: is there already, and no socket; name another file with --uds")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)  # one that is too busy to answer is there too
        try:
            asking.connect(str(path))
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise ConfigError(f"{path}: another server listens there; end it, or name another file with --uds")
