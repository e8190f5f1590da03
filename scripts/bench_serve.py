"""Measures what `skills-refresh serve` promises, and says whether it holds; see `bench.py`.

A server in its own process, subscribers in another: how much later than an embedded listener a subscriber knows, what a
thousand of them cost, what a question at every turn costs, and what it costs when nothing happens.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from bench_command import run
from bench_processes import AskedSide, Observer, empty_server, run_side, serve_command
from bench_rows import QUIET_S, Bench, Row, at_most
from process_figures import cpu_seconds, descriptors, megabytes

SUBSCRIBERS = 1_000
_SIDES = Path(__file__).with_name("bench_serve_sides.py")


def measure_latency(bench: Bench) -> list[Row]:
    """From writing a `SKILL.md` to a subscriber's hands, against an embedded listener's."""
    tree = bench.plain(1_000)
    embedded: list[float] = []
    served: list[float] = []
    for _ in bench.times(3, 1):
        with Observer(tree) as observer:
            time.sleep(QUIET_S)
            edits = _edit(tree, 100)
            time.sleep(QUIET_S)
            embedded += _milliseconds(edits, [change[0] for change in observer.ask("changes")])
        with serve_command(tree) as (_, port), _followers(port, 1) as follower:
            time.sleep(QUIET_S)
            edits = _edit(tree, 100)
            time.sleep(QUIET_S)
            served += _milliseconds(edits, [times[0] for _, times in follower.ask("arrivals")])
    median = {"embedded": statistics.median(embedded), "served": statistics.median(served)}
    return [
        at_most(
            "latency",
            "write to subscriber, 1,000 skills: median more than embedded",
            median["served"] - median["embedded"],
            "ms",
            5,
            embedded=embedded,
            served=served,
        ),
        Row("latency", "… median of the subscriber", median["served"], "ms"),
        Row("latency", "… median of the embedded listener", median["embedded"], "ms"),
    ]


def measure_many(bench: Bench) -> list[Row]:
    """The same with a thousand subscribers, and what they cost the server."""
    tree = bench.plain(1_000)
    spread: list[float] = []
    with serve_command(tree) as (pid, port):
        before = len(descriptors(pid))
        with _followers(port, SUBSCRIBERS) as followers:
            time.sleep(QUIET_S)
            _edit(tree, 20, pause_s=0.5)
            time.sleep(QUIET_S)
            for _, times in followers.ask("arrivals"):
                if len(times) != SUBSCRIBERS:
                    raise RuntimeError(f"{len(times)} of {SUBSCRIBERS} subscribers were told of a change")
                spread.append((max(times) - min(times)) / 1e6)
            more = len(descriptors(pid)) - before
            memory = megabytes(pid, "VmHWM")
    return [
        at_most(
            "many", f"{SUBSCRIBERS:,} subscribers: the last after the first, worst", max(spread), "ms", 500, ms=spread
        ),
        Row("many", "… median", statistics.median(spread), "ms"),
        at_most("many", "… memory of the server (VmHWM)", memory, "MB", 200),
        at_most("many", "… descriptors of the server", before + more, "descriptors", SUBSCRIBERS + 12),
        Row("many", "… descriptors without subscribers", before, "descriptors"),
    ]


def measure_prompt(bench: Bench) -> list[Row]:
    """Asking for the prompt that one has already, against asking for nothing."""
    tree = bench.plain(1_000)
    ratios, rates = [], []
    with serve_command(tree) as (_, port), empty_server() as empty_port:
        with urlopen(f"http://127.0.0.1:{port}/v1/prompt") as answer:
            etag = answer.headers["etag"]
        for _ in bench.times(7, 2):
            prompt = _ask(port, "/v1/prompt", etag)
            nothing = _ask(empty_port, "/", etag)
            ratios.append(prompt / nothing)
            rates.append(prompt)
    what = "GET /v1/prompt answered with 304, to an empty route"
    ratio = statistics.median(ratios)
    return [
        Row("prompt", what, ratio, "× its requests", 0.7, ratio >= 0.7, {"ratios": ratios}),
        Row("prompt", "… requests", statistics.median(rates), "a second"),
    ]


def measure_idle(bench: Bench) -> list[Row]:
    """The processor time of a server that nothing happens to, with a hundred subscribers."""
    tree = bench.plain(1_000)
    with serve_command(tree) as (pid, port), _followers(port, 100):
        time.sleep(3)
        began, cpu_s = time.monotonic(), cpu_seconds(pid)
        time.sleep(10 if bench.quick else 60)
        passed, cpu_s = time.monotonic() - began, cpu_seconds(pid) - cpu_s
    return [at_most("idle", f"idle for {passed:.0f} s, 100 subscribers", 100 * cpu_s / passed, "% of a core", 0.5)]


def _followers(port: int, count: int) -> AskedSide:
    side = AskedSide("follow", port, count, sides=_SIDES)
    side.ask("ready")
    return side


def _edit(tree: Path, count: int, *, pause_s: float = 0.05) -> list[int]:
    """Edits `count` skills; returns when each was begun, in nanoseconds."""
    return [began_ns for _, began_ns in run_side("write-edits", count, pause_s, tree)["edits"]]


def _milliseconds(edits: list[int], told: list[int]) -> list[float]:
    """How long after it was begun each edit was told."""
    if len(edits) != len(told):
        raise RuntimeError(f"{len(edits)} edits were told as {len(told)} changes")
    return [(then - began) / 1e6 for began, then in zip(edits, sorted(told), strict=True)]


def _ask(port: int, path: str, etag: str, seconds: float = 2.0) -> float:
    """How many requests a second were answered."""
    command = [sys.executable, str(_SIDES), "ask", str(port), path, etag, str(seconds)]
    rate: float = json.loads(subprocess.check_output(command))["per_second"]
    return rate


MEASURES: dict[str, Callable[[Bench], list[Row]]] = {
    "latency": measure_latency,
    "many": measure_many,
    "prompt": measure_prompt,
    "idle": measure_idle,
}

if __name__ == "__main__":
    sys.exit(run("Measures what skills-refresh serve promises.", MEASURES))
