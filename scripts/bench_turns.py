"""Measures what a turn of an agent costs, and says whether it is as little as promised; see `bench.py`.

All in one process: a turn is a call between a gateway's own functions, not something that travels.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench_command import run
from bench_rows import Bench, Row, at_most
from plain_tree import plain_skill_text
from skills_refresh import Session, watch

SKILLS = 1_000


def measure_one_root(bench: Bench) -> list[Row]:
    """Turns on one root of 1,000 skills."""
    return _measure(bench, "one-root", "1,000 skills", [bench.plain(SKILLS)])


def measure_five_roots(bench: Bench) -> list[Row]:
    """Turns on five roots of 200 skills."""
    roots = [bench.plain(SKILLS // 5, prefix=f"skill-{number}") for number in range(5)]
    return _measure(bench, "five-roots", "5 × 200 skills", roots)


def measure_resuming(bench: Bench) -> list[Row]:
    """Saving a session and resuming it, which no turn waits for."""
    with watch(bench.plain(SKILLS)) as workspace:
        session = workspace.session()
        session.begin()
        saving, resuming = [], []
        for _ in bench.times(20, 5):
            began = time.perf_counter_ns()
            saved = session.saved
            saving.append((time.perf_counter_ns() - began) / 1e6)
            began = time.perf_counter_ns()
            workspace.session(saved)
            resuming.append((time.perf_counter_ns() - began) / 1e6)
    return [
        Row("resuming", "saving a session, 1,000 skills", statistics.median(saving), "ms"),
        Row("resuming", "… resuming it", statistics.median(resuming), "ms"),
    ]


def _measure(bench: Bench, name: str, what: str, roots: Sequence[Path]) -> list[Row]:
    with watch(*roots) as workspace:
        session = workspace.session()
        session.begin()
        unchanged = [_begin(session, 0) for _ in bench.times(20_000, 2_000)]
        skills = list(workspace.snapshot.skills.values())
        changed = []
        for number in bench.times(200, 30):
            skill = skills[number * 7 % len(skills)]
            # An edit as of a person: whole at once, so that one version is published and no half of it.
            fresh = skill.directory / ".fresh"
            fresh.write_bytes(plain_skill_text(skill.name, f"Edited {number} times."))
            fresh.replace(skill.location)
            workspace.sync()
            changed.append(_begin(session, 1))
    return [
        at_most(name, f"begin(), {what}, nothing changed: median", statistics.median(unchanged), "µs", 5),
        at_most(
            name, "… one skill changed, with its changes: median", statistics.median(changed), "µs", 100, us=changed
        ),
    ]


def _begin(session: Session, changes: int) -> float:
    """Microseconds that a turn takes, with what has changed; there must be as many `changes`."""
    began = time.perf_counter_ns()
    turn = session.begin()
    found = turn.changes
    took = (time.perf_counter_ns() - began) / 1e3
    if len(found) != changes:
        raise RuntimeError(f"{len(found)} changes were told, not {changes}: {found}")
    return took


if __name__ == "__main__":
    measures = {"one-root": measure_one_root, "five-roots": measure_five_roots, "resuming": measure_resuming}
    sys.exit(run("Measures what a turn of an agent costs.", measures))
