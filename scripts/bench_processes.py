"""Starting, asking and ending the processes that `bench.py` measures: sides, a bare interpreter, `watch` itself.

Each gets the environment without the user's settings.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from bench_sides import Answer

# A side that has not ended so long after it was asked to is killed.
PATIENCE_S = 30
_AskedSide = TypeVar("_AskedSide", bound="AskedSide")
_SIDES = Path(__file__).with_name("bench_sides.py")


def run_side(name: str, *arguments: object) -> Answer:
    """What the side `name` says, when it has ended. Raises `CalledProcessError` where it failed."""
    done = subprocess.run(_command(name, arguments), stdout=subprocess.PIPE, check=True, env=_environment())
    answer: Answer = json.loads(done.stdout)
    return answer


def run_sides(name: str, arguments: Sequence[Sequence[object]]) -> None:
    """Runs a side `name` for each of `arguments`, all at once, to their end. Raises `RuntimeError` where one failed."""
    sides = [
        subprocess.Popen(_command(name, each), stdout=subprocess.DEVNULL, env=_environment()) for each in arguments
    ]
    failed = [side.args for side in sides if side.wait()]
    if failed:
        raise RuntimeError(f"these failed; what they printed says why: {failed}")


def import_seconds(statement: str) -> float:
    """How long `statement` takes as the first of a fresh interpreter."""
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    return float(subprocess.check_output([sys.executable, "-c", code], env=_environment()))


class AskedSide:
    """The side `name`, in its own process while the block lasts, to be asked."""

    def __init__(self, name: str, *arguments: object, sides: Path = _SIDES) -> None:
        self._name = name
        self._process = subprocess.Popen(
            _command(name, arguments, sides),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        self.pid = self._process.pid

    def ask(self, word: str) -> Any:
        """What the side answers to `word`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended before it answered {word!r}; what it printed says why")
        return json.loads(line)

    def __enter__(self: _AskedSide) -> _AskedSide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=PATIENCE_S)  # closes its standard input, which ends it
        finally:
            self._process.kill()


class Observer(AskedSide):
    """The side `observe` on `trees`. `skills` is how many it found at first."""

    def __init__(self, *trees: Path) -> None:
        super().__init__("observe", *trees)
        self.skills: int = self.ask("ready")

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stops all of its threads while the block lasts, as a busy machine or a laptop's lid does."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)


@contextmanager
def watch_command(tree: Path) -> Iterator[int]:
    """The process id of `skills-refresh watch --json` on `tree`, from its `ready` line to the end of the block."""
    with _child(["-m", "skills_refresh", "watch", "--json", str(tree)], cwd=tree.parent) as (pid, line):
        if json.loads(line).get("type") != "ready":
            raise RuntimeError(f"watch began with {line!r} and not with a ready line")
        yield pid


@contextmanager
def serve_command(tree: Path) -> Iterator[tuple[int, int]]:
    """The process id and the port of `skills-refresh serve` on `tree`, from its first snapshot to the end of the
    block."""
    command = ["-m", "skills_refresh", "serve", "--port", "0", "--log-format", "json", str(tree)]
    with _child(command, cwd=tree.parent, log=True) as (pid, line):
        port = int(json.loads(line)["message"].rpartition(":")[2])
        while not _is_ready(port):
            time.sleep(0.01)
        yield pid, port


def _is_ready(port: int) -> bool:
    asking = HTTPConnection("127.0.0.1", port)
    asking.request("GET", "/readyz")
    ready = asking.getresponse().status == HTTPStatus.OK
    asking.close()
    return ready


@contextmanager
def empty_server() -> Iterator[int]:
    """The port of a server of the same framework with a route that does nothing."""
    with _child([str(_SIDES.with_name("bench_serve_sides.py")), "empty"], cwd=Path.cwd()) as (_, line):
        yield int(line)


@contextmanager
def bare_interpreter() -> Iterator[int]:
    """The process id of an interpreter that does nothing."""
    with _child(["-c", "import signal; print(flush=True); signal.pause()"], cwd=Path.cwd()) as (pid, _):
        yield pid


@contextmanager
def _child(arguments: Sequence[str], *, cwd: Path, log: bool = False) -> Iterator[tuple[int, str]]:
    """A Python process and the first line that it printed, or, with `log`, logged; it is ended with the block."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=None if log else subprocess.PIPE,
        stderr=subprocess.PIPE if log else None,
        text=True,
        cwd=cwd,
        env=_environment(),
    ) as process:
        try:
            told = process.stderr if log else process.stdout
            assert told is not None
            yield process.pid, told.readline()
        finally:
            process.terminate()


def _command(name: str, arguments: Sequence[object], sides: Path = _SIDES) -> list[str]:
    return [sys.executable, str(sides), name, *map(str, arguments)]


def _environment() -> dict[str, str]:
    """The environment without the user's settings: the defaults are what is measured. And with bytecode kept, or an
    import would measure the compiler."""
    dropped = ("SKILLS_REFRESH_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"XDG_CONFIG_HOME": os.devnull}
