"""Measures what many workspaces on one engine cost, and says whether the promises hold; see `bench.py`.

A thousand workspaces over five shared roots of 200 skills, each with a root of its own with two skills.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench_command import run
from bench_processes import AskedSide, run_side
from bench_rows import QUIET_S, Bench, Row, at_most, exactly
from plain_tree import make_plain
from process_figures import cpu_seconds, kernel_watches, megabytes

WORKSPACES, SHARED, SKILLS, OWN_SKILLS = 1_000, 5, 200, 2
# How long after an edit the last of the listeners may be called: then all must have been.
LAST_S = 3.0
_SIDES = Path(__file__).with_name("bench_workspaces_sides.py")


def measure_workspaces(bench: Bench) -> list[Row]:
    """All in one process, one after the other: opening, watches, memory, listeners, and what it costs to do nothing."""
    shared, own = bench.tree(_make_shared), bench.tree(_make_own)
    with AskedSide("workspaces", own, shared, sides=_SIDES) as side:
        first = side.ask("open-one")
        one_mb = megabytes(side.pid, "VmRSS")
        opening = side.ask("open-all")
        time.sleep(QUIET_S)
        each_kb = (megabytes(side.pid, "VmRSS") - one_mb) * 1_024 / (WORKSPACES - 1)
        watches, read_s = kernel_watches(side.pid), side.ask("read")
        last = _last_listeners(bench, side, sorted(shared.iterdir()))
        bump_s = side.ask("bump")
        idle_percent = _idle_percent(side.pid, 10 if bench.quick else 60)
        close_s = side.ask("close")
    own_kb = _kilobytes_of_two_skills(bench)
    directories = len({path for root in (*shared.iterdir(), *own.iterdir()) for path, _, _ in os.walk(root)})
    return [
        exactly("workspaces", f"{WORKSPACES:,} workspaces: kernel watches", watches, "watches", directories),
        at_most(
            "workspaces", "… memory of each, without its own two skills", each_kb - own_kb, "kB", 30, with_own=each_kb
        ),
        Row("workspaces", "… its own two skills, as in a plain root", own_kb, "kB"),
        at_most("workspaces", "… edit in a shared root to the last listener, worst", max(last), "ms", 500, ms=last),
        Row("workspaces", "… median", statistics.median(last), "ms"),
        Row("workspaces", "… opening all", sum(first) + sum(opening), "s", details={"seconds": first + opening}),
        Row("workspaces", "… opening one of the first 100", 1_000 * statistics.mean(opening[:99]), "ms"),
        Row("workspaces", "… opening one of the last 100", 1_000 * statistics.mean(opening[-100:]), "ms"),
        Row("workspaces", "… idle", idle_percent, "% of a core"),
        Row("workspaces", "… Engine.bump", bump_s, "s"),
        Row("workspaces", "… reading workspace.snapshot", 1e9 * read_s, "ns"),
        Row("workspaces", "… closing all", close_s, "s"),
    ]


def _make_shared(directory: Path) -> None:
    for number in range(SHARED):
        make_plain(directory / f"shared-{number}", SKILLS, prefix=f"shared-{number}")


def _make_own(directory: Path) -> None:
    for number in range(WORKSPACES):
        make_plain(directory / f"own-{number:04}", OWN_SKILLS, prefix=f"own-{number:04}")


def _last_listeners(bench: Bench, side: AskedSide, shared: list[Path]) -> list[float]:
    """How many milliseconds after an edit the last of all listeners was called, for each of some edits."""
    listeners = side.ask("listen")
    found = []
    for number in bench.times(10, 3):
        side.ask("arrivals")
        ((_, began_ns),) = run_side("write-edits", 1, LAST_S, shared[number % len(shared)])["edits"]
        arrivals = side.ask("arrivals")
        if len(arrivals) != listeners:
            raise RuntimeError(f"{len(arrivals)} of {listeners} listeners were called within {LAST_S} s")
        found.append((max(arrivals) - began_ns) / 1e6)
    return found


def _idle_percent(pid: int, seconds: float) -> float:
    time.sleep(QUIET_S)
    began, cpu_s = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - cpu_s) / (time.monotonic() - began)


def _kilobytes_of_two_skills(bench: Bench) -> float:
    """What two more skills in a plain root cost."""
    sizes = []
    for skills in (OWN_SKILLS, WORKSPACES):
        with AskedSide("plain", bench.plain(skills), sides=_SIDES) as side:
            side.ask("skills")
            sizes.append(megabytes(side.pid, "VmRSS") * 1_024)
    return OWN_SKILLS * (sizes[1] - sizes[0]) / (WORKSPACES - OWN_SKILLS)


MEASURES: dict[str, Callable[[Bench], list[Row]]] = {"workspaces": measure_workspaces}

if __name__ == "__main__":
    sys.exit(run("Measures what many workspaces on one engine cost.", MEASURES))
