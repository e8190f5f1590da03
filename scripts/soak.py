"""Runs the engine for minutes under random operations and faults, and compares it with fresh scans of the disk.

Ends with a table, and with 1 where anything was lost, a bug was logged, or descriptors, threads, watches or memory
grew. `--seed` repeats a run; `--namespace` runs it in a user and mount namespace of its own, where it may also lower
limits and mount. `soak_operations.py` and `soak_faults.py` say what is done, `soak_rounds.py` how it is judged. Linux
only, because what a process holds is read from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from math import inf
from pathlib import Path
from random import SystemRandom

from soak_disk import Disk
from soak_resources import MAY_RISE, Checkpoint, growing, rises
from soak_rounds import Soak, Tally, base_directory
from soak_side import Watching

MINUTES = 10.0
PROGRESS_S = 10.0
# What was lost may stay lost, and every later round would say so again.
MAX_LOSSES = 5
_UNSHARE = ["unshare", "--user", "--map-root-user", "--mount"]


def run(given: argparse.Namespace) -> int:
    """Soaks as `given`, prints the table, writes the file; returns the exit status."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="skills-refresh-soak-") as directory:
        disk = Disk(base_directory(directory))
        disk.reset()
        with Watching(disk.roots) as watching:
            soak = Soak(disk, watching, seed=given.seed, in_namespace=given.inside)
            watching.look()  # answers when it watches: what happens from here on must not be missed
            try:
                print(f"seed {given.seed}", flush=True)
                _rounds(soak, began, minutes=given.minutes, rounds=given.rounds)
            except KeyboardInterrupt:
                print("interrupted; so far:")
            finally:
                seconds = time.monotonic() - began
                print_table(soak.tally, seconds)
                if given.json is not None:
                    given.json.write_text(as_json(soak.tally, seed=given.seed, seconds=seconds), encoding="utf-8")
    return 1 if soak.tally.losses or soak.tally.bugs or growing(soak.tally.checkpoints) else 0


def _rounds(soak: Soak, began: float, *, minutes: float | None, rounds: int | None) -> None:
    """Rounds until so many `minutes` have passed, so many `rounds` are done, or too much was lost."""
    if minutes is None and rounds is None:
        minutes = MINUTES
    told = began
    tally = soak.tally
    deadline = began + 60 * minutes if minutes is not None else inf
    last = rounds if rounds is not None else inf
    while time.monotonic() < deadline and tally.rounds < last and len(tally.losses) < MAX_LOSSES:
        soak.round()
        now = time.monotonic()
        if sys.stderr.isatty() and now - told >= PROGRESS_S:
            told = now
            print(
                f"{now - began:5.0f} s: {tally.rounds} rounds, {60 * tally.rounds / (now - began):.0f} a minute; "
                f"{tally.operations.total()} operations, {tally.faults.total()} faults, {len(tally.losses)} lost",
                file=sys.stderr,
            )


def print_table(tally: Tally, seconds: float) -> None:
    """What was done, what was lost, and what was held."""
    print(f"\n{tally.rounds} rounds in {seconds:,.0f} s")
    _print_counts("operations", tally.operations)
    _print_counts("faults", tally.faults)
    _print_counts("comparisons", tally.comparisons)
    for kind, worst in sorted(tally.worst_s.items()):
        print(f"  the longest until right by {kind}: {worst:.2f} s")
    print(f"lost: {len(tally.losses)}\nbugs logged: {len(tally.bugs)}\n")
    _print_checkpoints(tally.checkpoints)


def _print_counts(what: str, counts: Counter[str]) -> None:
    print(f"{what}: {counts.total()}")
    for name, count in counts.most_common():
        print(f"  {name.replace('_', ' '):28}{count:6}")


def _print_checkpoints(checkpoints: Sequence[Checkpoint]) -> None:
    print("after rounds  " + "".join(f"{name:>13}" for name in MAY_RISE))
    # Some from the whole run; all of them are in the JSON.
    shown = sorted({index * (len(checkpoints) - 1) // 7 for index in range(8)}) if checkpoints else []
    for index in shown:
        figures = asdict(checkpoints[index])
        print(f"{checkpoints[index].rounds:12}  " + "".join(f"{figures[name]:13,.0f}" for name in MAY_RISE))
    rise = rises(checkpoints)
    if not rise:
        print("too few checkpoints to say whether they are flat")
        return
    print("rises by      " + "".join(f"{rise[name]:13,.1f}" for name in MAY_RISE))
    print("may rise by   " + "".join(f"{most:13,.1f}" for most in MAY_RISE.values()))
    print(f"GROWING: {', '.join(growing(checkpoints))}" if growing(checkpoints) else "flat")


def as_json(tally: Tally, *, seed: int, seconds: float) -> str:
    """Everything that was counted."""
    verdict = {
        "seed": seed,
        "seconds": seconds,
        "growing": growing(tally.checkpoints),
        "rises": rises(tally.checkpoints),
    }
    counted = {item.name: getattr(tally, item.name) for item in fields(tally)}
    return json.dumps({**verdict, **counted}, indent=1, default=asdict) + "\n"


def enter_namespace() -> int:
    """Starts this program anew in a namespace of its own; returns, with an exit status, only where there is none."""
    try:
        tried = subprocess.run([*_UNSHARE, "true"], stderr=subprocess.PIPE, text=True)
        reason = tried.stderr.strip() if tried.returncode else ""
    except OSError as error:
        reason = str(error)
    if not reason:
        os.execvp(_UNSHARE[0], [*_UNSHARE, sys.executable, *sys.argv, "--inside"])
    print(f"soak.py: no namespace can be had: {reason}; run without --namespace", file=sys.stderr)
    return 2


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Compares a live engine with the disk, under operations and faults.")
    parser.add_argument("--minutes", type=float, metavar="N", help=f"how long (default: {MINUTES:.0f})")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds, instead of or beside --minutes")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6), help="repeats a run")
    parser.add_argument("--namespace", action="store_true", help="also lower limits and mount, in a namespace")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was counted to FILE")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)  # added by enter_namespace
    given = parser.parse_args()
    if sys.platform != "linux":
        print(f"soak.py: runs on Linux alone, and this is {sys.platform}", file=sys.stderr)
        return 2
    if given.namespace and not given.inside:
        return enter_namespace()
    return run(given)


if __name__ == "__main__":
    sys.exit(main())
