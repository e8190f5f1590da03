"""Measures what an up-to-date turn costs in agent frameworks: their own way of loading skills against ours, in one run.

Each framework runs in a process of its own, by the first interpreter that has it: this one, or those that
`scripts/test -e adapters` has made. One that no interpreter has is left out and named.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench_command import run
from bench_rows import Bench, Row

SKILLS = 1_000
_HERE = Path(__file__).parent


class Framework(NamedTuple):
    """A framework: its name on PyPI, the module that it is imported as, what one turn is, and how many times faster
    ours must be, None without a bar."""

    package: str
    module: str
    turn: str
    bar: float | None = None


# By the name of its adapter; `bench_adapters_NAME.py` tells its own way and ours.
FRAMEWORKS = {
    "nanobot": Framework("nanobot-ai", "nanobot", "its system prompt", 1_000),
    "google_adk": Framework("google-adk", "google.adk", "finding and loading a skill"),
    "fastmcp": Framework("fastmcp", "fastmcp", "answering resources/list"),
    "deepagents": Framework("deepagents", "deepagents", "its system prompt"),
    "strands": Framework("strands-agents", "strands", "its system prompt"),
    "agent_framework": Framework("agent-framework-core", "agent_framework", "its system prompt"),
    "agno": Framework("agno", "agno", "its system prompt"),
}


def measure(name: str, bench: Bench) -> list[Row]:
    """Both ways of the framework `name`; no rows where no interpreter has it."""
    framework = FRAMEWORKS[name]
    interpreter = _interpreter_with(framework.module)
    if interpreter is None:
        print(f"{framework.package} is left out: no interpreter has it; scripts/test -e adapters", file=sys.stderr)
        return []
    turns = len(bench.times(5, 1))
    side = _HERE / f"bench_adapters_{name}.py"
    root = bench.plain(SKILLS).rename(bench.directory / "skills")  # as it is called in a workspace of nanobot
    command = [interpreter, str(side), str(root), str(turns)]
    answer = json.loads(subprocess.check_output(command).splitlines()[-1])
    own, changed, unchanged = (statistics.median(answer[each]) for each in ("own_ms", "changed_ms", "unchanged_ms"))
    times = own / unchanged
    passed = None if framework.bar is None else times >= framework.bar
    return [
        Row(name, f"{framework.package}, {framework.turn}, {SKILLS:,} skills: its own way", own, "ms", details=answer),
        Row(name, "… ours, when nothing changed", unchanged, "ms"),
        Row(name, "… ours, when one skill changed", changed, "ms"),
        Row(name, "… its own way, to ours when nothing changed", times, "×", framework.bar, passed),
        Row(name, "… its own way, to ours when one skill changed", own / changed, "×"),
    ]


def _interpreter_with(module: str) -> str | None:
    made = sorted(_HERE.parent.glob(".tox/adapters-*/bin/python"))
    question = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    for interpreter in [sys.executable, *map(str, made)]:
        if subprocess.run([interpreter, "-c", question], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return interpreter
    return None


MEASURES: dict[str, Callable[[Bench], list[Row]]] = {name: partial(measure, name) for name in FRAMEWORKS}

if __name__ == "__main__":
    sys.exit(run("Measures agent frameworks' own way of loading skills against ours.", MEASURES))
