"""What systemd wants to hear of a service, and what it gives to one: notifications, the watchdog, sockets.

The protocol is `sd_notify(3)`: datagrams of `NAME=value` lines to the socket in `NOTIFY_SOCKET`. Elsewhere nothing
happens.
"""

from __future__ import annotations

import os
import socket
import time

# The descriptor of the first socket that systemd passes on; `sd_listen_fds(3)`.
FIRST_SOCKET = 3


def notify(**state: object) -> None:
    """Tells systemd, such as `READY=1`. Does nothing where it does not listen."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    message = "\n".join(f"{name}={value}" for name, value in state.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(address)
            sender.sendall(message.encode())
    except OSError:
        pass  # whoever supervises us does not listen any more; there is nobody to tell


def notify_reloading() -> None:
    """Tells that the configuration is being read again; `READY=1` says that it was."""
    notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1_000)


def watchdog_seconds() -> float | None:
    """How often systemd wants to hear `WATCHDOG=1`: twice as often as it asks for; None where it does not."""
    microseconds, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or int(microseconds) == 0 or (process and process != str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000 / 2


def passed_descriptors() -> list[int]:
    """The descriptors of the sockets that systemd opened for this service (socket activation)."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    number = os.environ.get("LISTEN_FDS", "")
    count = int(number) if number.isdigit() else 0
    return list(range(FIRST_SOCKET, FIRST_SOCKET + count))
