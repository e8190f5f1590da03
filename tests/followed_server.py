"""A real server that goes and comes again at one place, for tests of whoever follows it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from .conftest import wait_for

_WHERE = re.compile(r"(listening|serving \d+ skills) at ([^;\s]+)")


class Server:
    """`skills-refresh serve ROOT ARGUMENT...` on a port that is free and stays the same when it is started again."""

    def __init__(self, root: Path, *arguments: str, token: str | None = None) -> None:
        self._command = [sys.executable, "-m", "skills_refresh", "serve", *([str(root)] if root.is_dir() else [])]
        self._arguments = arguments
        self._directory = root.parent
        self._environment = {name: value for name, value in os.environ.items() if "SKILLS_REFRESH" not in name}
        if token is not None:
            self._environment["SKILLS_REFRESH_TOKEN"] = token
        self._process: subprocess.Popen[str]
        self.log: list[str] = []
        self.url = ""

    def start(self, *, until: str = "serving") -> Server:
        """Starts it, and returns when it serves all skills, or when it is `listening`."""
        where = [] if "--uds" in self._arguments else ["--port", self.url.rpartition(":")[2] or "0"]
        self.log = []
        self._process = subprocess.Popen(
            [*self._command, *self._arguments, *where],
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
            cwd=self._directory,
        )
        threading.Thread(target=self._read_log, args=[self._process], daemon=True).start()
        wait_for(lambda: self._is_at(until) or self._process.poll() is not None, "the start of the server")
        assert self._is_at(until), "".join(self.log)
        return self

    def reload(self) -> None:
        """Has it read its configuration again."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """Ends it as a supervisor does."""
        self._process.terminate()
        self._process.wait(10)

    def kill(self) -> None:
        """Ends it without a goodbye."""
        self._process.kill()
        self._process.wait(10)

    def restart(self) -> None:
        """Ends it and starts it again at the same place."""
        self.stop()
        self.start()

    def _is_at(self, until: str) -> bool:
        found = [match for line in tuple(self.log) if (match := _WHERE.search(line)) and match[1].startswith(until)]
        self.url = found[0][2] if found else self.url
        return bool(found)

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.log.append(line)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
