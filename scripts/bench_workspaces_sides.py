"""What runs in a process of its own when `bench_workspaces.py` measures: many workspaces on one engine.

Started as `bench_workspaces_sides.py workspaces OWN SHARED`, or, for one workspace on one root, as `… plain ROOT`; it
answers each word on standard input with a line of JSON.
Clocks are `time.monotonic_ns`, which all processes of a Linux machine share.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from skills_refresh import Engine, SkillsChanged, Workspace

READS = 200_000


class _Workspaces:
    """One workspace for each directory in `own`, with all of `shared` behind it."""

    def __init__(self, own: str, shared: str) -> None:
        self._engine = Engine()
        self._shared = sorted(Path(shared).iterdir())
        self._left = sorted(Path(own).iterdir(), reverse=True)
        self._opened: list[Workspace] = []
        self._arrivals: list[int] = []
        self._lacking = 0

    def open(self, count: int) -> list[float]:
        """Opens `count` more; returns how many seconds each took."""
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            self._opened.append(self._engine.open([self._left.pop(), *self._shared]))
            seconds.append(time.perf_counter() - began)
        gc.collect()
        return seconds

    def open_all(self) -> list[float]:
        """Opens those that are left."""
        return self.open(len(self._left))

    def listen(self) -> int:
        """Subscribes a listener to each."""
        for workspace in self._opened:
            workspace.subscribe(self._on_change)
        return len(self._opened)

    def _on_change(self, change: SkillsChanged) -> None:
        self._arrivals.append(time.monotonic_ns())

    def arrivals(self) -> list[int]:
        """When listeners were called since this was asked last."""
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def bump(self) -> float:
        """How many seconds it takes to list everything anew."""
        began = time.perf_counter()
        self._engine.bump()
        return time.perf_counter() - began

    def read(self) -> float:
        """How many seconds it takes to read the snapshot of one."""
        workspace = self._opened[0]
        began = time.perf_counter()
        for _ in range(READS):
            workspace.snapshot  # noqa: B018 - reading is what is measured
        return (time.perf_counter() - began) / READS

    def close(self) -> float:
        """How many seconds it takes to close all of them, one after another."""
        began = time.perf_counter()
        for workspace in self._opened:
            workspace.close()
        self._engine.close()
        return time.perf_counter() - began


def _answer_for_many(own: str, shared: str) -> None:
    side = _Workspaces(own, shared)
    answers: dict[str, Callable[[], object]] = {
        "open-one": lambda: side.open(1),
        "open-all": side.open_all,
        "listen": side.listen,
        "arrivals": side.arrivals,
        "bump": side.bump,
        "read": side.read,
        "close": side.close,
    }
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)


def _answer_for_one(root: str) -> None:
    with Engine() as engine:
        workspace = engine.open([root])
        gc.collect()
        for _ in sys.stdin:
            print(len(workspace.snapshot.skills), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "workspaces":
        _answer_for_many(*sys.argv[2:])
    else:
        _answer_for_one(*sys.argv[2:])
