"""The process that `soak.py` holds under: it watches, and is told what to suffer.

It runs alone, so that it can be suspended and its descriptors counted from outside. It reads a line of JSON at a time,
`[WORD, ARGUMENT...]`, and answers each with one. Whatever goes wrong inside of the engine is collected from its log and
comes with the next answer: an engine that mends itself after a bug has still shown one.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TypedDict

from skills_refresh import Engine, SkillsChanged, Workspace
from soak_oracle import View, view_of

# Few, so that they are used up quickly; the engine needs some thirty.
MAX_DESCRIPTORS = 256
# A side that has not ended so long after it was asked to is killed.
PATIENCE_S = 30.0
# A barrier that takes longer does not return any more.
SYNC_S = 60.0


class Answer(TypedDict):
    """What the watching process holds. `told` is the last version that its listener heard of; `bugs` are what the
    engine logged, and what its listener was told out of order, since the answer before."""

    version: int
    told: int
    view: View
    health: list[str]
    bugs: list[str]


class Chain:
    """A listener that checks that each change starts where the one before it ended."""

    def __init__(self, workspace: Workspace, bugs: list[str]) -> None:
        self.told = workspace.version
        self._bugs = bugs
        workspace.subscribe(self._hear, since=self.told)

    def _hear(self, change: SkillsChanged) -> None:
        if change.previous != self.told or change.version <= self.told:
            self._bugs.append(f"after version {self.told}, a listener was told of {change!r}")
        self.told = change.version


class _Bugs(logging.Handler):
    """Collects what the library logs, but for the listener that is meant to fail."""

    def __init__(self, bugs: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._bugs = bugs

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, _Meant):
            self._bugs.append(logging.Formatter().format(record))


class _Meant(Exception):
    """What the failing listener raises."""


class Side:
    """One engine, the workspace that is compared, and what was done to both."""

    def __init__(self, engine: Engine, roots: Sequence[str]) -> None:
        self._bugs: list[str] = []
        logging.getLogger("skills_refresh").addHandler(_Bugs(self._bugs))
        self._engine = engine
        self._workspace = engine.open(roots)
        self._chain = Chain(self._workspace, self._bugs)
        self._hoard: list[int] = []
        self._others: list[Workspace] = []
        self._unblock = threading.Event()
        self._unsubscribe: list[Callable[[], None]] = []
        self.words: dict[str, Callable[..., object]] = {
            "look": self.look,
            "sync": self.sync,
            "hoard": self.hoard,
            "release": self.release,
            "fail": lambda: self._subscribe(_fail),
            "block": lambda: self._subscribe(lambda change: self._block()),
            "unsubscribe": self.unsubscribe,
            "open": self.open,
            "close": self.close,
        }

    def look(self) -> Answer:
        """What the workspace holds now."""
        # The digest is asked for first: it waits for the engine's turn, and the snapshot belongs to the same one.
        files_digest = self._workspace.files_digest()
        snapshot, told = self._workspace.snapshot, self._chain.told
        bugs, self._bugs[:] = list(self._bugs), []
        health = [f"{root.path}: {root.mode} {root.reason}".rstrip() for root in self._workspace.health]
        view = view_of(snapshot, files_digest)
        return {"version": snapshot.version, "told": told, "view": view, "health": health, "bugs": bugs}

    def sync(self) -> Answer:
        """What the workspace holds after the barrier."""
        self._workspace.sync(SYNC_S)
        return self.look()

    def hoard(self, spare: int) -> int:
        """Opens files until `spare` descriptors are left; returns how many."""
        with suppress(OSError):
            while True:
                self._hoard.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(min(spare, len(self._hoard))):
            os.close(self._hoard.pop())
        return len(self._hoard)

    def release(self) -> None:
        """Closes what was hoarded."""
        while self._hoard:
            os.close(self._hoard.pop())

    def unsubscribe(self) -> None:
        """Ends the listeners that fail or block."""
        self._unblock.set()
        while self._unsubscribe:
            self._unsubscribe.pop()()

    def open(self, roots: Sequence[str]) -> int:
        """Opens one more workspace on `roots`; returns how many there are."""
        self._others.append(self._engine.open(roots))
        return len(self._others)

    def close(self) -> None:
        """Closes the workspaces that came later."""
        while self._others:
            self._others.pop().close()

    def _subscribe(self, listener: Callable[[SkillsChanged], None]) -> None:
        self._unblock.clear()
        self._unsubscribe.append(self._workspace.subscribe(listener))

    def _block(self) -> None:
        self._unblock.wait()


def _fail(change: SkillsChanged) -> None:
    raise _Meant(f"told of {change.version}")


class Watching:
    """The watching process, from outside. Started with the block and ended with it. Owned by one thread."""

    def __init__(self, roots: Iterable[Path]) -> None:
        # In a session of its own: Ctrl-C is for the process that prints the table.
        self._process = subprocess.Popen(
            [sys.executable, __file__, *map(str, roots)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid

    def look(self) -> Answer:
        """What it holds now."""
        answer: Answer = json.loads(self._ask("look"))
        return answer

    def sync(self) -> Answer:
        """What it holds after the barrier."""
        answer: Answer = json.loads(self._ask("sync"))
        return answer

    def tell(self, word: str, *arguments: object) -> None:
        """Has it do something; returns when that is done."""
        self._ask(word, *arguments)

    def suspend(self) -> None:
        """Stops all of its threads, as a busy machine or a laptop's lid does."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on; does nothing to one that was not suspended."""
        os.kill(self.pid, signal.SIGCONT)

    def _ask(self, *line: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended: what it printed says why
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the watching process ended before it answered {line}; what it printed says why")
        return answer

    def __enter__(self) -> Watching:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.resume()
        try:
            self._process.communicate(timeout=PATIENCE_S)  # closes its standard input, which ends it
        finally:
            self._process.kill()


def main(roots: Sequence[str]) -> None:
    """Watches `roots` and answers lines until standard input is closed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_DESCRIPTORS, hard))
    with Engine() as engine:
        side = Side(engine, roots)
        for line in sys.stdin:
            word, *arguments = json.loads(line)
            print(json.dumps(side.words[word](*arguments)), flush=True)
        side.release()
        side.unsubscribe()


if __name__ == "__main__":
    main(sys.argv[1:])
