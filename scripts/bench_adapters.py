"""Measures what an up-to-date turn costs in agent frameworks: their own way of loading skills against ours, in one run.

Each framework runs in a process of its own, by the first interpreter that has it: this one, or those that
`scripts/test -e adapters` has made. One that no interpreter has is left out and named.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench_command import run
from bench_rows import Bench, Row, at_most

SKILLS = 1_000
TURN_SKILLS = 500
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
    "google_adk": Framework("google-adk", "google.adk", "its list of skills"),
    "fastmcp": Framework("fastmcp", "fastmcp", "answering resources/list"),
    "deepagents": Framework("deepagents", "deepagents", "its system prompt"),
    "strands": Framework("strands-agents", "strands", "its system prompt"),
    "agent_framework": Framework("agent-framework-core", "agent_framework", "its system prompt"),
    "agno": Framework("agno", "agno", "its system prompt"),
}


def measure(name: str, bench: Bench) -> list[Row]:
    """Both ways of the framework `name`; no rows where no interpreter has it."""
    framework = FRAMEWORKS[name]
    answer = _turns(framework, f"bench_adapters_{name}.py", bench, SKILLS, len(bench.times(5, 1)))
    if answer is None:
        return []
    own, changed, unchanged = (statistics.median(answer[each]) for each in ("own_ms", "changed_ms", "unchanged_ms"))
    times = own / unchanged
    passed = None if framework.bar is None else times >= framework.bar
    return [
        Row(
            name,
            f"{framework.package}, {framework.turn}, {SKILLS:,} skills: its own way",
            own,
            "ms",
            details={**answer},
        ),
        Row(name, "… ours, when nothing changed", unchanged, "ms"),
        Row(name, "… ours, when one skill changed", changed, "ms"),
        Row(name, "… its own way, to ours when nothing changed", times, "×", framework.bar, passed),
        Row(name, "… its own way, to ours when one skill changed", own / changed, "×"),
    ]


def measure_nanobot_turn(bench: Bench) -> list[Row]:
    """What of a turn of nanobot's agent loop is spent on skills, one of which was edited before."""
    side = "bench_adapters_nanobot_turn.py"
    answer = _turns(FRAMEWORKS["nanobot"], side, bench, TURN_SKILLS, len(bench.times(30, 5)))
    if answer is None:
        return []
    what = f"nanobot-ai, a turn of its agent loop, {TURN_SKILLS} skills, one edited: in the loader"
    return [
        at_most("nanobot_turn", what, statistics.median(answer["skills_ms"]), "ms", 1, **answer),
        Row("nanobot_turn", "… worst", max(answer["skills_ms"]), "ms"),
        Row("nanobot_turn", "… the whole turn", statistics.median(answer["turn_ms"]), "ms"),
    ]


def _turns(framework: Framework, side: str, bench: Bench, skills: int, turns: int) -> dict[str, list[float]] | None:
    """What `side` says of so many turns with so many skills; None where no interpreter has the framework."""
    interpreter = _interpreter_with(framework.module)
    if interpreter is None:
        print(f"{framework.package} is left out: no interpreter has it; scripts/test -e adapters", file=sys.stderr)
        return None
    root = bench.plain(skills).rename(bench.directory / "skills")  # as it is called in a workspace of nanobot
    command = [interpreter, str(_HERE / side), str(root), str(turns)]
    environment = os.environ | {"PYTHONPATH": str(_HERE.parent)}
    answer: dict[str, list[float]] = json.loads(subprocess.check_output(command, env=environment).splitlines()[-1])
    return answer


def _interpreter_with(module: str) -> str | None:
    made = sorted(_HERE.parent.glob(".tox/adapters-*/bin/python"))
    question = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    for interpreter in [sys.executable, *map(str, made)]:
        if subprocess.run([interpreter, "-c", question], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return interpreter
    return None


MEASURES: dict[str, Callable[[Bench], list[Row]]] = {
    "nanobot_turn": measure_nanobot_turn,
    **{name: partial(measure, name) for name in FRAMEWORKS},
}

if __name__ == "__main__":
    sys.exit(run("Measures agent frameworks' own way of loading skills against ours.", MEASURES))
