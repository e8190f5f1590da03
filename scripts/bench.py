"""Measures what skills-refresh promises, and says whether it holds.

Builds trees of skills in a temporary directory, runs each side in a process of its own (see `bench_sides.py`), prints a
table and, with `--json FILE`, writes every single measurement. Ends with 1 where a bar is missed. Linux only, because
the costs are read from /proc.

Ratios come from one run, side by side, on one machine: they can be compared, milliseconds of two machines cannot. Run
it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from bench_sides import Observer, bare_interpreter, import_seconds, run_side, watch_command
from make_tree import make_plain, make_svg, make_venv

# Written files must be older than the tick of any clock that stamps them, or reading them again is rightly cautious.
AGE_S = 1.1
# How long what was written may take to be told. An audit, every 14 s, would find everything, and prove nothing.
SETTLE_S = 5.0
QUIET_S = 1.0
# What the walk that counts relevant directories leaves out, besides hidden names.
EXCLUDED = {"node_modules"}

# Above this, other processes have spoilt the figures.
BUSY_PERCENT = 5.0

NEW_SKILLS = 300
EXCLUDED_FILES = 3_000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `passed` is None for what is told without a bar."""

    name: str
    what: str
    measured: float
    unit: str
    bar: float | None = None
    passed: bool | None = None
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where to build trees, and how often to measure."""

    directory: Path
    quick: bool

    def times(self, full: int, quick: int) -> range:
        """The repetitions: `full` of them, or `quick`."""
        return range(quick if self.quick else full)

    def plain(self, skills: int, *, prefix: str = "skill") -> Path:
        """A new tree of `skills` plain skills, old enough to be measured."""
        return self.tree(lambda root: make_plain(root, skills, prefix=prefix))

    def tree(self, make: Callable[[Path], None]) -> Path:
        """A new tree made by `make`, old enough to be measured."""
        root = Path(tempfile.mkdtemp(dir=self.directory))
        make(root)
        time.sleep(AGE_S)
        return root


def at_most(name: str, what: str, measured: float, unit: str, bar: float, **details: object) -> Row:
    """A row that passes where `measured` is not over `bar`."""
    return Row(name, what, measured, unit, bar, measured <= bar, details)


def exactly(name: str, what: str, measured: float, unit: str, bar: float, **details: object) -> Row:
    """A row that passes where `measured` is `bar`."""
    return Row(name, what, measured, unit, bar, measured == bar, details)


# -- the rows ---------------------------------------------------------------------------------------------------------


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
        for key in _rotated(list(statements), turn):
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
        for side in _rotated(list(seconds), turn):
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


def measure_idle(bench: Bench) -> list[Row]:
    """The processor time of `watch` while nothing happens."""
    tree = bench.plain(1_000)
    with watch_command(tree) as pid:
        time.sleep(2)
        began, cpu_s = time.monotonic(), _cpu_seconds(pid)
        time.sleep(10 if bench.quick else 60)
        passed, cpu_s = time.monotonic() - began, _cpu_seconds(pid) - cpu_s
    details = {"cpu_s": cpu_s, "passed_s": passed}
    return [
        at_most("idle", f"idle for {passed:.0f} s, 1,000 skills", 100 * cpu_s / passed, "% of a core", 0.2, **details)
    ]


def measure_heavy_trees(bench: Bench) -> list[Row]:
    """Watches and descriptors where one skill holds a `.venv` of 11,024 files, or 37,439 SVGs."""
    with bare_interpreter() as pid:
        bare = len(_descriptors(pid))
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


def measure_memory(bench: Bench) -> list[Row]:
    """The resident memory of `watch`."""
    tree = bench.plain(1_000)
    now, peak = [], []
    for _ in bench.times(3, 1):
        with watch_command(tree) as pid:
            time.sleep(5)
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        now.append(int(sizes["VmRSS"].split()[0]) / 1_024)
        peak.append(int(sizes["VmHWM"].split()[0]) / 1_024)
    return [
        at_most("memory", "memory of watch, 1,000 skills (VmRSS)", statistics.median(now), "MB", 60, megabytes=now),
        Row("memory", "… at its highest (VmHWM)", statistics.median(peak), "MB", details={"megabytes": peak}),
    ]


MEASURES: dict[str, Callable[[Bench], list[Row]]] = {
    "import": measure_imports,
    "open": measure_open,
    "latency": measure_latency,
    "idle": measure_idle,
    "heavy": measure_heavy_trees,
    "excluded": measure_excluded,
    "storm": measure_storm,
    "scale": measure_scale,
    "memory": measure_memory,
}


# -- what they share --------------------------------------------------------------------------------------------------


def _rotated(sides: Sequence[str], turn: int) -> list[str]:
    """`sides` in another order each turn, so that none always follows the same one."""
    start = turn % len(sides)
    return [*sides[start:], *sides[:start]]


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


@dataclass(frozen=True, slots=True)
class _Usage:
    """The kernel watches of a process, and what its descriptors lead to."""

    watches: int
    paths: list[str]


def _usage(tree: Path) -> _Usage:
    """What `watch` on `tree` uses."""
    with watch_command(tree) as pid:
        time.sleep(QUIET_S)
        descriptors = _descriptors(pid)
        watches = 0
        for number, path in descriptors.items():
            if path == "anon_inode:inotify":
                info = Path(f"/proc/{pid}/fdinfo/{number}").read_text(encoding="ascii")
                watches += sum(line.startswith("inotify ") for line in info.splitlines())
    return _Usage(watches, sorted(descriptors.values()))


def _descriptors(pid: int) -> dict[str, str]:
    directory = f"/proc/{pid}/fd"
    return {number: os.readlink(f"{directory}/{number}") for number in os.listdir(directory)}


def _relevant_directories(tree: Path) -> int:
    """Counted without the package: all directories but those that are excluded or hidden."""
    count = 0
    for _, directories, _ in os.walk(tree):
        directories[:] = [name for name in directories if name not in EXCLUDED and not name.startswith(".")]
        count += 1
    return count


def _cpu_seconds(pid: int) -> float:
    """User and system time of the process with all its threads (fields 14 and 15 of its stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Others:
    """The processor time that other processes take from now on."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), self._spent()

    def percent(self) -> float:
        """Of all processors; ours and our children's do not count."""
        passed = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return max(100 * (self._spent() - self._before) / passed, 0.0)

    @staticmethod
    def _spent() -> float:
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        user, nice, system, _, _, interrupts, soft, stolen = map(int, fields[1:9])
        busy = user + nice + system + interrupts + soft + stolen
        return busy / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.2g}" if value < 0.1 else f"{value:,.2f}"


def _print_table(rows: Sequence[Row]) -> None:
    verdicts = {True: "pass", False: "FAIL", None: ""}
    cells = [("what", "measured", "unit", "bar", "")]
    cells += [(row.what, _number(row.measured), row.unit, _number(row.bar), verdicts[row.passed]) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    for what, measured, unit, bar, verdict in cells:
        line = f"{what:{widths[0]}}  {measured:>{widths[1]}}  {unit:{widths[2]}}  {bar:>{widths[3]}}  {verdict}"
        print(line.rstrip())


def _as_json(rows: Sequence[Row], *, quick: bool, others: float) -> str:
    machine: dict[str, object] = {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "percent_used_by_others": others,
    }
    return json.dumps({"machine": machine, "quick": quick, "rows": [asdict(row) for row in rows]}, indent=1) + "\n"


def main() -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Measures what skills-refresh promises.")
    parser.add_argument("--only", choices=MEASURES, help="measure this alone")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, and a shorter idle time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to FILE")
    given = parser.parse_args()
    if sys.platform != "linux":
        print(f"bench.py: measures on Linux alone, and this is {sys.platform}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    others = _Others()
    for name, measure in MEASURES.items():
        if given.only in (None, name):
            print(f"measuring {name} …", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix="skills-refresh-bench-") as directory:
                rows += measure(Bench(Path(directory), given.quick))
    _print_table(rows)
    if (used := others.percent()) > BUSY_PERCENT:
        print(
            f"other processes used {used:.0f} % of the machine meanwhile: times and ratios say little", file=sys.stderr
        )
    if given.json is not None:
        given.json.write_text(_as_json(rows, quick=given.quick, others=used), encoding="utf-8")
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
