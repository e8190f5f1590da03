"""What the engine costs while hardly anything happens: importing, opening, idling, heavy trees, memory."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from bench_processes import bare_interpreter, import_seconds, run_side, watch_command
from bench_rows import QUIET_S, Bench, Row, at_most, exactly, rotated
from plain_tree import make_svg, make_venv
from process_figures import cpu_seconds, descriptors, kernel_watches, megabytes

# What the walk that counts relevant directories leaves out, besides hidden names.
EXCLUDED = {"node_modules"}


def measure_imports(bench: Bench) -> list[Row]:
    """Importing the package, and loading the engine, against importing watchfiles."""
    statements = {
        "watchfiles": "import watchfiles",
        "skills_refresh": "import skills_refresh",
        "engine": "from skills_refresh import watch",
    }
    for statement in statements.values():
        import_seconds(statement)  # fills the page cache, and leaves bytecode behind
    seconds: dict[str, list[float]] = {key: [] for key in statements}
    for turn in bench.times(21, 7):
        for key in rotated(list(statements), turn):
            seconds[key].append(import_seconds(statements[key]))
    median = {key: statistics.median(values) for key, values in seconds.items()}
    return [
        at_most("import", what, median[key] / median["watchfiles"], "× watchfiles", 2.0, seconds=seconds)
        for key, what in (("skills_refresh", "import skills_refresh"), ("engine", "from skills_refresh import watch"))
    ]


def measure_open(bench: Bench) -> list[Row]:
    """Opening 1,000 skills, against bare loops that read the same files."""
    tree = bench.plain(1_000)
    seconds: dict[str, list[float]] = {"open": [], "loop-walk": [], "loop-scandir": []}
    run_side("loop-walk", tree)  # fills the page cache
    for turn in bench.times(15, 5):
        for side in rotated(list(seconds), turn):
            answer = run_side(side, tree)
            if answer["files"] != 3_000:
                raise RuntimeError(f"{side} found {answer['files']} files instead of 3,000")
            seconds[side].append(answer["seconds"])
    median = {side: statistics.median(values) for side, values in seconds.items()}
    to_walk, to_scandir = (median["open"] / median[side] for side in ("loop-walk", "loop-scandir"))
    return [
        at_most("open", "open 1,000 skills: to os.walk, os.stat, read", to_walk, "× the loop", 2.5, seconds=seconds),
        Row("open", "… to os.scandir, DirEntry.stat, read", to_scandir, "× the loop"),
        Row("open", "… wall time of the library call", median["open"] * 1_000, "ms"),
    ]


def measure_idle(bench: Bench) -> list[Row]:
    """The processor time of `watch` while nothing happens."""
    tree = bench.plain(1_000)
    with watch_command(tree) as pid:
        time.sleep(2)
        began, cpu_s = time.monotonic(), cpu_seconds(pid)
        time.sleep(10 if bench.quick else 60)
        passed, cpu_s = time.monotonic() - began, cpu_seconds(pid) - cpu_s
    details = {"cpu_s": cpu_s, "passed_s": passed}
    return [
        at_most("idle", f"idle for {passed:.0f} s, 1,000 skills", 100 * cpu_s / passed, "% of a core", 0.2, **details)
    ]


def measure_heavy_trees(bench: Bench) -> list[Row]:
    """Watches and descriptors where one skill holds a `.venv` of 11,024 files, or 37,439 SVGs."""
    with bare_interpreter() as pid:
        bare = len(descriptors(pid))
    rows = []
    light = _usage(bench.plain(20))
    for name, make in ((".venv", make_venv), ("SVGs", make_svg)):
        tree = bench.tree(make)
        heavy = _usage(tree)
        relevant = _relevant_directories(tree)
        inside = [path for path in heavy.paths if path.startswith(str(tree))]
        rows += [
            exactly("heavy", f"{name}: kernel watches (= relevant directories)", heavy.watches, "watches", relevant),
            at_most("heavy", "… descriptors more than a bare interpreter", len(heavy.paths) - bare, "descriptors", 12),
            exactly("heavy", "… descriptors more than without", len(heavy.paths) - len(light.paths), "descriptors", 0),
            exactly("heavy", "… files open below the root", len(inside), "files", 0, paths=heavy.paths),
        ]
    return rows


def measure_memory(bench: Bench) -> list[Row]:
    """The resident memory of `watch`."""
    tree = bench.plain(1_000)
    now, peak = [], []
    for _ in bench.times(3, 1):
        with watch_command(tree) as pid:
            time.sleep(5)
            now.append(megabytes(pid, "VmRSS"))
            peak.append(megabytes(pid, "VmHWM"))
    return [
        at_most("memory", "memory of watch, 1,000 skills (VmRSS)", statistics.median(now), "MB", 60, megabytes=now),
        Row("memory", "… at its highest (VmHWM)", statistics.median(peak), "MB", details={"megabytes": peak}),
    ]


@dataclass(frozen=True, slots=True)
class _Usage:
    """The kernel watches of a process, and what its descriptors lead to."""

    watches: int
    paths: list[str]


def _usage(tree: Path) -> _Usage:
    """What `watch` on `tree` uses."""
    with watch_command(tree) as pid:
        time.sleep(QUIET_S)
        return _Usage(kernel_watches(pid), sorted(descriptors(pid).values()))


def _relevant_directories(tree: Path) -> int:
    """Counted without the package: all directories but those that are excluded or hidden."""
    count = 0
    for _, directories, _ in os.walk(tree):
        directories[:] = [name for name in directories if name not in EXCLUDED and not name.startswith(".")]
        count += 1
    return count
