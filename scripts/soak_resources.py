"""What the watching process holds, counted from outside, and whether it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

from process_figures import descriptors, kernel_watches, megabytes, threads

# Flat means: the line through the checkpoints rises by no more than this between the first and the last. What is held
# differs from one checkpoint to the next for good reasons: the engine keeps up to eight generations of watches, of
# three descriptors and a thread each, and an allocator gives back what it likes. A leak of one for each fault or
# round passes these in some fifty rounds; a first and a last look alone could miss it.
MAY_RISE = {"descriptors": 24.0, "threads": 8.0, "watches": 0.0, "megabytes": 12.0}
# The first third is not counted. Memory rises until each fault, and the largest directory, has been met: in 220
# rounds, from 27 to 41 MB in the first 70, and by 1 MB in the 150 after them.
WARM_UP_DIVISOR = 3
# Through fewer points than this, a line says nothing.
MIN_CHECKPOINTS = 4


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the process held after `rounds` rounds, when the disk was as in the beginning and all was quiet.

    `megabytes` is its resident memory, `watches` counts its inotify watches.
    """

    rounds: int
    descriptors: int
    threads: int
    watches: int
    megabytes: float


def checkpoint(pid: int, rounds: int) -> Checkpoint:
    """What the process `pid` holds now."""
    return Checkpoint(
        rounds=rounds,
        descriptors=len(descriptors(pid)),
        threads=threads(pid),
        watches=kernel_watches(pid),
        megabytes=megabytes(pid, "VmRSS"),
    )


def rises(checkpoints: Sequence[Checkpoint]) -> dict[str, float]:
    """By how much the least-squares line through `checkpoints` without the first third rises, for each figure."""
    settled = checkpoints[len(checkpoints) // WARM_UP_DIVISOR :]
    if len(settled) < MIN_CHECKPOINTS:
        return {}
    rounds = [float(point.rounds) for point in settled]
    span = rounds[-1] - rounds[0]
    return {
        name: linear_regression(rounds, [float(getattr(point, name)) for point in settled]).slope * span
        for name in MAY_RISE
    }


def growing(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """The figures that rise by more than they may."""
    # A line is computed in floating point, so what is perfectly flat may rise by a billionth.
    return [name for name, rise in rises(checkpoints).items() if rise > MAY_RISE[name] + 1e-6]
