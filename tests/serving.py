"""How tests start the server: a process of its own, reached through real sockets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from types import TracebackType

from .conftest import wait_for

_WHERE = re.compile(r"listening at (http://\S+)")


class Server:
    """`skills-refresh serve` on some roots, without anybody's configuration.

    A context manager; once entered, everything is read. `log` is what it wrote so far.
    """

    def __init__(
        self, *arguments: object, environment: dict[str, str] | None = None, at: tuple[str, ...] = ("--port", "0")
    ) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed where the server ends
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SKILLS_REFRESH_")}
        homeless = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "skills_refresh", "serve", *at, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env={**kept, **homeless, **(environment or {})},
        )

    @property
    def log(self) -> str:
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

    def stop(self) -> int:
        """Asks it to end; returns its exit status."""
        self.process.terminate()
        return self.process.wait(20)

    def __enter__(self) -> Server:
        wait_for(lambda: "serving " in self.log or self.process.poll() is not None, "the server's start", 30)
        assert self.process.poll() is None, self.log
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        with self._log:
            print(self.log)  # pytest shows it beside a failure
