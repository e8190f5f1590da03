"""What a storm does: an overflow of the kernel's queue, eight writers at once, and the event loop of a host.

What is lost is told twice: without the barrier, when events and audits had time enough, and after it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from bench_processes import AskedSide, Observer, run_side, run_sides
from bench_rows import QUIET_S, Bench, Row, at_most, exactly
from process_figures import megabytes

# How long what was written may take to be told without the barrier: an audit, every 14 s, would find everything.
SETTLE_S = 30.0
# An audit of a workspace that is being asked takes longer, so it is not asked all the time.
LOOK_S = 0.1

OVERFLOW_ICONS, OVERFLOW_SKILLS = 37_000, 100
WRITERS, SKILLS_A_WRITER = 8, 500
HOST_SKILLS, HOST_NEW_SKILLS = 666, 300  # with its root, 1,999 directories


def measure_overflow(bench: Bench) -> list[Row]:
    """A process that is suspended while more is written than the kernel keeps events of; nobody calls `sync`."""
    runs = []
    for _ in bench.times(3, 1):
        tree = bench.plain(20)
        with Observer(tree) as observer:
            time.sleep(QUIET_S)
            with observer.suspended():
                run_side("write-overflow", tree / "skill-00000", OVERFLOW_ICONS, OVERFLOW_SKILLS)
            runs.append(_until_right(observer, [tree]))
    return _rows("overflow", f"suspended while {OVERFLOW_ICONS:,} SVGs and 100 skills are written", runs)


def measure_writers(bench: Bench) -> list[Row]:
    """Eight processes that write at once, each into a root of its own, in memory, so that they are fast."""
    runs = []
    for _ in bench.times(3, 1):
        with tempfile.TemporaryDirectory(prefix="skills-refresh-bench-", dir="/dev/shm") as directory:
            trees = [Path(directory) / f"root-{number}" for number in range(WRITERS)]
            for tree in trees:
                tree.mkdir()
            with Observer(*trees) as observer:
                run_sides(
                    "write-skills", [(tree, SKILLS_A_WRITER, f"writer-{number}") for number, tree in enumerate(trees)]
                )
                runs.append(_until_right(observer, trees))
    return _rows("writers", f"{WRITERS} × {SKILLS_A_WRITER} skills by {WRITERS} processes on tmpfs", runs)


def measure_host(bench: Bench) -> list[Row]:
    """The event loop of a host, while a workspace is opened in it and others write; and the same loop without."""
    gaps: dict[str, list[float]] = {"opening": [], "storm": [], "without": []}
    for _ in bench.times(3, 1):
        for what in ("workspace", "nothing"):
            tree = bench.plain(HOST_SKILLS)
            with AskedSide("host", tree, what) as host:
                opening = host.ask("gap")
                time.sleep(QUIET_S)
                host.ask("gap")  # what was before the storm does not count
                run_side("write-skills", tree, HOST_NEW_SKILLS)
                time.sleep(QUIET_S)
                gaps["storm" if what == "workspace" else "without"].append(host.ask("gap") * 1_000)
                if what == "workspace":
                    gaps["opening"].append(opening * 1_000)
    return [
        at_most("host", "a host's loop, 300 new skills: longest wait, worst", max(gaps["storm"]), "ms", 50, gaps=gaps),
        at_most("host", "… while 2,000 directories are opened", max(gaps["opening"]), "ms", 50),
        Row("host", "… the same loop without the library", max(gaps["without"]), "ms"),
    ]


def _until_right(observer: Observer, trees: Sequence[Path]) -> dict[str, float]:
    """What `observer` made of a storm that is over just now."""
    began = time.monotonic()
    on_disk = {str(path): _hash(path) for tree in trees for path in tree.rglob("*") if path.suffix in {".md", ".py"}}
    while lost := _differing(observer.ask("hashes"), on_disk):
        if time.monotonic() - began > SETTLE_S:
            break
        time.sleep(LOOK_S)
    seconds = time.monotonic() - began
    versions = len(observer.ask("published"))
    observer.ask("sync")
    after_sync = _differing(observer.ask("hashes"), on_disk)
    peak = megabytes(observer.pid, "VmHWM")
    return {
        "files": len(on_disk),
        "lost": lost,
        "seconds": seconds,
        "after_sync": after_sync,
        "versions": versions,
        "megabytes": peak,
    }


def _rows(name: str, what: str, runs: Sequence[dict[str, float]]) -> list[Row]:
    worst = {key: max(run[key] for run in runs) for key in runs[0]}
    return [
        exactly(name, f"{what}: lost", worst["lost"], "files", 0, runs=runs),
        at_most(name, "… until right, without sync", worst["seconds"], "s", 10),
        exactly(name, "… lost after sync", worst["after_sync"], "files", 0),
        Row(name, "… relevant files on disk", worst["files"], "files"),
        Row(name, "… published, worst", worst["versions"], "changes"),
        Row(name, "… memory at its highest (VmHWM), worst", worst["megabytes"], "MB"),
    ]


def _differing(known: dict[str, str], on_disk: dict[str, str]) -> int:
    """How many files are missing, too many, or of other content."""
    return sum(known.get(path) != on_disk.get(path) for path in known.keys() | on_disk.keys())


def _hash(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
