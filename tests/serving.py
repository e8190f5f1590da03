"""How tests start the server: a process of its own, reached through real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import pytest

from .conftest import wait_for

pytest.importorskip("fastapi", reason="needs the extra: pip install 'skills-refresh[serve]'")
httpx = pytest.importorskip("httpx", reason="needs httpx")

COMMAND = (sys.executable, "-m", "skills_refresh", "serve")
_WHERE = re.compile(r'(?:listening at|running on) (http://[^\s",]+)')


def prepared(program: str) -> tuple[str, ...]:
    """A command that runs these statements in the server's process, and then the server."""
    return (sys.executable, "-c", f"{program}\nfrom skills_refresh.cli import main\nmain()", "serve")


class Server:
    """`skills-refresh serve` on some roots at a port that is free, in a directory without anybody's configuration.

    A context manager; once entered, everything is read, unless `ready` is False. `log` is what it wrote so far.
    """

    def __init__(
        self,
        *arguments: object,
        environment: dict[str, str] | None = None,
        at: tuple[str, ...] = ("--port", "0"),
        ready: bool = True,
        pass_fds: tuple[int, ...] = (),
        cwd: Path | None = None,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self._ready = ready
        # Certificates would take longer to load than most answers take.
        alone = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(timeout=30, verify=False, trust_env=False, limits=alone)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed on leaving
        self.process = subprocess.Popen(
            [*command, *at, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=clean_environment(**environment or {}),
            pass_fds=pass_fds,
            cwd=cwd,
        )

    @property
    def log(self) -> str:
        """All that it wrote to standard error and standard output."""
        descriptor = self._log.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()

    @property
    def url(self) -> str:
        """Where it is reached."""
        found = _WHERE.search(self.log)
        assert found is not None, self.log
        return found[1]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def wait_for_log(self, text: str, times: int = 1) -> None:
        """Returns when it has written `text` so many times."""
        wait_for(lambda: self.log.count(text) >= times or self.process.poll() is not None, f"{text!r} in the log", 30)
        assert self.log.count(text) >= times, self.log

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Its answer to a request, on a connection of its own."""
        return self._client.request(method, self.url + path, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.request("POST", path, **options)

    def open(self) -> socket.socket:
        """A connection to it, without a request."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send(self, request: bytes) -> bytes:
        """All that it answers to these bytes until it closes the connection; nothing where it does so at once."""
        with self.open() as connection:
            try:
                connection.sendall(request)
                return b"".join(iter(lambda: connection.recv(65_536), b""))
            except ConnectionError:
                return b""

    def ask(self, target: str, *headers: str, method: str = "GET") -> bytes:
        """The raw answer to a request whose target is sent as it is."""
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
        return self.send("\r\n".join(lines).encode())

    def sockets(self) -> int:
        """How many sockets it has open; the engine's own descriptors come and go with the directories it watches."""
        count = 0
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                count += os.readlink(descriptor).startswith("socket:")
            except FileNotFoundError:
                pass  # closed just now
        return count

    def memory(self) -> int:
        """The most memory it ever had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def hang_up(self) -> None:
        """Has it read its configuration again."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end; returns its exit status."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Its exit status, when it has ended by itself."""
        return self.process.wait(20)

    def kill(self) -> None:
        """Ends it without asking."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Server:
        if self._ready:
            try:
                self.wait_for_log("serving ")
            except BaseException:
                self.kill()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        with self._log, closing(self._client):
            print(self.log)  # pytest shows it beside a failure
            assert kind is not None or "Traceback" not in self.log, "the server hit a bug"


class Event(NamedTuple):
    """A server-sent event."""

    name: str
    data: dict[str, Any]
    id: int | None


class Follower:
    """A reader of `/v1/events`, one line after another, on a connection of its own."""

    def __init__(self, connection: socket.socket, path: str = "/v1/events", last_event_id: object = None) -> None:
        self.connection = connection
        header = "" if last_event_id is None else f"Last-Event-ID: {last_event_id}\r\n"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
        self.lines = connection.makefile("rb")
        self.status = int(self.lines.readline().split()[1])
        self.headers = dict(self._headers())
        self._lines = self._body_lines()

    def next(self) -> Event:
        """The next event; comments are skipped."""
        name, data, number = "", {}, None
        for line in self._lines:
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif field == "id":
                number = int(value)
            elif line == "" and name:
                return Event(name, data, number)
        raise EOFError("the server ended the stream")

    def until(self, name: str) -> Event:
        """The next event that is called `name`."""
        while (event := self.next()).name != name:
            pass
        return event

    def comment(self) -> str:
        """The next comment."""
        return next(line for line in self._lines if line.startswith(":"))

    def close(self) -> None:
        """Goes away."""
        self.lines.close()
        self.connection.close()

    def _headers(self) -> Iterator[tuple[str, str]]:
        while (line := self.lines.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            yield name.lower(), value

    def _body_lines(self) -> Iterator[str]:
        rest = ""
        while (size := self.lines.readline()) and int(size, 16):
            rest += self.lines.read(int(size, 16)).decode()
            self.lines.readline()
            *complete, rest = rest.split("\n")
            yield from complete


@contextmanager
def following(server: Server, path: str = "/v1/events", last_event_id: object = None) -> Iterator[Follower]:
    """A follower of `server`."""
    follower = Follower(server.open(), path, last_event_id)
    try:
        yield follower
    finally:
        follower.close()


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without settings, and with a home in which there are none."""
    ours = ("SKILLS_REFRESH_", "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "COLUMNS": "100", **more}


def ask(app: Any, path: str, client: str = "127.0.0.1") -> Any:
    """The answer of an application of FastAPI's or Starlette's, which runs in this process for it, to somebody at the
    address `client`."""

    async def get() -> Any:
        transport = httpx.ASGITransport(app, client=(client, 1_234))
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as asking:
            return await asking.get(f"http://localhost{path}")

    return asyncio.run(get())
