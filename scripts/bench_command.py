"""What `bench.py` and `bench_serve.py` share: the command line, the table, and a look at who else uses the machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench_rows import Bench, Row

# Above this, other processes have spoilt the figures.
BUSY_PERCENT = 5.0


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


def run(description: str, measures: Mapping[str, Callable[[Bench], list[Row]]]) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", choices=measures, help="measure this alone")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, and a shorter idle time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to FILE")
    given = parser.parse_args()
    if sys.platform != "linux":
        print(f"{parser.prog}: measures on Linux alone, and this is {sys.platform}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    others = _Others()
    for name, measure in measures.items():
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
