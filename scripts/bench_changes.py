"""What a change costs, and how fast it is told: edits, writing where nobody looks, a storm, many skills."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from bench_processes import Observer, run_side
from bench_rows import QUIET_S, Bench, Row, at_most, exactly
from plain_tree import make_plain

# How long what was written may take to be told. An audit, every 14 s, would find everything, and prove nothing.
SETTLE_S = 5.0

NEW_SKILLS = 300
EXCLUDED_FILES = 3_000


def measure_latency(bench: Bench) -> list[Row]:
    """From writing a `SKILL.md` to the listener's call with the new snapshot."""
    tree = bench.plain(1_000)
    milliseconds = []
    for _ in bench.times(3, 1):
        with Observer(tree) as observer:
            milliseconds += _edit(observer, [tree], count=100, pause_s=0.050)[0]
    median, last = statistics.median(milliseconds), statistics.quantiles(milliseconds, n=20)[-1]
    return [
        at_most("latency", "write to listener, 1,000 skills: median", median, "ms", 10, milliseconds=milliseconds),
        at_most("latency", "… 95th percentile", last, "ms", 25),
    ]


def measure_excluded(bench: Bench) -> list[Row]:
    """Files written into an excluded directory."""

    def make(root: Path) -> None:
        make_plain(root, 1_000)
        (root / "skill-00500/node_modules").mkdir()

    published, cpu_s = [], []
    for _ in bench.times(3, 1):
        tree = bench.tree(make)
        with Observer(tree) as observer:
            time.sleep(QUIET_S)
            before = observer.ask("cpu")
            run_side("write-files", tree / "skill-00500/node_modules", EXCLUDED_FILES)
            time.sleep(QUIET_S)
            cpu_s.append(observer.ask("cpu") - before)
            published.append(len(observer.ask("published")))
    return [
        exactly("excluded", "3,000 files into node_modules: published", max(published), "changes", 0, runs=published),
        at_most("excluded", "… processor time", statistics.median(cpu_s), "s", 0.05, cpu_s=cpu_s),
    ]


def measure_storm(bench: Bench) -> list[Row]:
    """New skills written as fast as possible; nobody calls `sync`."""
    missing, published, details = [], [], []
    for _ in bench.times(5, 2):
        tree = bench.plain(20)
        with Observer(tree) as observer:
            wrote = run_side("write-skills", tree, NEW_SKILLS)
            on_disk = {str(path) for path in tree.rglob("*") if path.is_file()}
            deadline = time.monotonic() + SETTLE_S
            while (left := on_disk.difference(observer.ask("files"))) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(QUIET_S)
            reasons = observer.ask("published")
        missing.append(len(left))
        published.append(len(reasons))
        details.append({"writing_s": wrote["seconds"], "missing": sorted(left), "reasons": reasons})
    return [
        exactly(
            "storm", f"300 new skills: of {3 * NEW_SKILLS} files missing, worst", max(missing), "files", 0, runs=details
        ),
        at_most("storm", "… published, worst", max(published), "changes", 20),
    ]


def measure_scale(bench: Bench) -> list[Row]:
    """A change to one skill of 10,000 (ten roots of 1,000), against one of 100."""
    many = [bench.plain(1_000, prefix=f"skill-{number}") for number in range(10)]
    few = [bench.plain(100)]
    runs: dict[str, dict[str, list[float]]] = {side: {"ms": [], "cpu_ms": []} for side in ("many", "few")}
    for _ in bench.times(3, 1):
        for side, trees in (("many", many), ("few", few)):
            with Observer(*trees) as observer:
                if observer.skills != (10_000 if side == "many" else 100):
                    raise RuntimeError(f"{observer.skills} skills were found below {len(trees)} roots")
                # One more than counts: the time that a change costs runs from the change before it.
                milliseconds, cpu_ms = _edit(observer, trees, count=51, pause_s=0.1)
            runs[side]["ms"] += milliseconds
            runs[side]["cpu_ms"] += cpu_ms
    median = {side: {key: statistics.median(values) for key, values in run.items()} for side, run in runs.items()}
    ratio = {key: median["many"][key] / median["few"][key] for key in ("ms", "cpu_ms")}
    return [
        at_most("scale", "change one of 10,000 to one of 100: processor", ratio["cpu_ms"], "×", 3, runs=runs),
        Row("scale", "… processor time with 10,000", median["many"]["cpu_ms"], "ms"),
        Row("scale", "… processor time with 100", median["few"]["cpu_ms"], "ms"),
        Row("scale", "… latency", ratio["ms"], "×"),
    ]


def _edit(observer: Observer, trees: Sequence[Path], *, count: int, pause_s: float) -> tuple[list[float], list[float]]:
    """Lets another process edit `count` skills; returns the latency of each edit, and the processor time of each but
    the first, in milliseconds."""
    time.sleep(QUIET_S)
    edits = run_side("write-edits", count, pause_s, *trees)["edits"]
    time.sleep(QUIET_S)
    changes = observer.ask("changes")
    told: dict[str, int] = {}
    for now_ns, _, _, digests in changes:
        for digest in digests:
            told.setdefault(digest, now_ns)
    lost = [digest for digest, _ in edits if digest not in told]
    if lost:
        raise RuntimeError(f"{len(lost)} of {count} edits were never told; see `skills-refresh doctor`")
    cpu_s = [change[1] for change in changes]
    return (
        [(told[digest] - began_ns) / 1e6 for digest, began_ns in edits],
        [(after - before) * 1_000 for before, after in pairwise(cpu_s)],
    )
