"""Measures what skills-refresh promises, and says whether it holds.

Builds trees of skills in a temporary directory, runs each side in a process of its own (see `bench_sides.py`), prints a
table and, with `--json FILE`, writes every single measurement. Ends with 1 where a bar is missed. Linux only, because
the costs are read from /proc.

Ratios come from one run, side by side, on one machine: they can be compared, milliseconds of two machines cannot. Run
it on a machine that does nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench_changes import measure_excluded, measure_latency, measure_scale, measure_storm
from bench_command import run
from bench_costs import measure_heavy_trees, measure_idle, measure_imports, measure_memory, measure_open
from bench_rows import Bench, Row
from bench_storms import measure_host, measure_overflow, measure_writers

MEASURES: dict[str, Callable[[Bench], list[Row]]] = {
    "import": measure_imports,
    "open": measure_open,
    "latency": measure_latency,
    "idle": measure_idle,
    "heavy": measure_heavy_trees,
    "excluded": measure_excluded,
    "storm": measure_storm,
    "overflow": measure_overflow,
    "writers": measure_writers,
    "host": measure_host,
    "scale": measure_scale,
    "memory": measure_memory,
}

if __name__ == "__main__":
    sys.exit(run("Measures what skills-refresh promises.", MEASURES))
