"""What runs for `bench_adapters.py` in an interpreter that has a framework: its own way and ours, turn by turn.

A file `bench_adapters_NAME.py` tells each way as a context manager that gives a function: one turn that must know of
every edit done before, and the text that a model or a client gets by it. Its own way is whatever brings the framework's
own loader up to date. `compare` edits a skill before each turn, and fails where that text does not show the edit.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from skills_refresh import Workspace, watch

Turn = Callable[[], str]
Own = Callable[[Path], AbstractContextManager[Turn]]
Ours = Callable[[Workspace, Path], AbstractContextManager[Turn]]

# Turns of ours without an edit: each takes a few microseconds, and the first ones warm up.
UNCHANGED_TURNS = 200
# Where its own way takes so many milliseconds, one turn says enough.
LONG_MS = 10_000


def compare(own: Own, ours: Ours, *other_roots: Path) -> None:
    """Measures both ways on the root and as often as the command line says; prints the milliseconds of every turn.

    `other_roots` are those that the framework itself brings.
    """
    root, turns = Path(sys.argv[1]), int(sys.argv[2])
    answer: dict[str, list[float]] = {"own_ms": [], "changed_ms": [], "unchanged_ms": []}
    with watch(root, *other_roots) as skills, own(root) as own_turn, ours(skills, root) as turn:
        turn()
        for number in range(turns):
            shown = edit(root, number)
            skills.sync()
            answer["changed_ms"].append(_measured(turn, shown))
            if sum(answer["own_ms"]) < LONG_MS:
                answer["own_ms"].append(_measured(own_turn, shown))
            answer["unchanged_ms"] += [_measured(turn, shown) for _ in range(UNCHANGED_TURNS)]
    print(json.dumps(answer))


def edit(root: Path, number: int) -> str:
    """Gives one skill another description; returns what of it every text shows."""
    directory = sorted(root.iterdir())[number]
    shown = f"edition {number} of {directory.name}"
    text = f"---\nname: {directory.name}\ndescription: This is {shown}.\n---\n\n# {directory.name}\n\nDo it.\n"
    (directory / "SKILL.md").write_text(text, encoding="utf-8")
    return shown


def _measured(turn: Turn, shown: str) -> float:
    began = time.perf_counter()
    text = turn()
    passed = time.perf_counter() - began
    if shown not in text:
        raise RuntimeError(f"a turn does not know of the {shown}")
    return passed * 1e3
