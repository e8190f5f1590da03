"""The rounds of `soak.py`: some operations, perhaps within a fault, and then the comparison with the disk.

In one half of the rounds the barrier is asked, and the very next look must be right. In the other half nobody helps:
events and audits alone must be right in time. Nothing is written while the two are compared.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from process_figures import kernel_watches
from skills_refresh import scan
from soak_disk import Disk
from soak_faults import FAULTS, NAMESPACE_FAULTS, SLOW_FAULTS, Fault
from soak_operations import OPERATIONS
from soak_oracle import difference, summary, view_of
from soak_resources import Checkpoint, checkpoint
from soak_side import Answer, Watching

# What only an audit can find is right within this time, and so is everything else.
RIGHT_WITHIN_S = 15.0
# A capability that was lacking is taken up within this time of being there again.
TAKEN_UP_WITHIN_S = 40.0
MAX_OPERATIONS = 10
FAULTS_OF_ROUNDS = 0.6
BARRIERS_OF_ROUNDS = 0.5
# The disk is made as in the beginning, and what the process holds is counted, after this many rounds.
ROUNDS_BETWEEN_CHECKPOINTS = 5
# Watches that nobody wants go when the engine looks around in quiet, every 1.5 s.
QUIET_S = 2.0


@dataclass(slots=True)
class Tally:
    """What was done so far, and what came of it. Times are in seconds, by kind of comparison."""

    rounds: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    comparisons: Counter[str] = field(default_factory=Counter)
    worst_s: dict[str, float] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)


class Soak:
    """The rounds on `disk`, which `watching` watches; the same `seed` does the same again. Owned by one thread."""

    def __init__(self, disk: Disk, watching: Watching, *, seed: int, in_namespace: bool) -> None:
        self.tally = Tally()
        self._disk = disk
        self._watching = watching
        self._seed = seed
        self._faults = FAULTS + NAMESPACE_FAULTS if in_namespace else FAULTS
        self._returning_until = 0.0

    def round(self) -> None:
        """One round, and a checkpoint when it is time for one."""
        number = self.tally.rounds
        # By the round's number, so that what one round draws does not depend on the rounds before it.
        self._disk.random = random = Random(f"{self._seed} {number}")
        barrier = random.random() < BARRIERS_OF_ROUNDS
        fault = random.choice(self._faults) if random.random() < FAULTS_OF_ROUNDS else None
        done = self._disturb(fault, random.randint(1, MAX_OPERATIONS))
        self._compare("barrier" if barrier else "events", f"round {number}: {', '.join(done)}")
        self.tally.rounds += 1
        if self.tally.rounds % ROUNDS_BETWEEN_CHECKPOINTS == 0:
            self._check()

    def _disturb(self, fault: Fault | None, count: int) -> list[str]:
        """Does `count` operations, within `fault`; returns what was done."""
        done = []
        with nullcontext() if fault is None else fault(self._disk, self._watching):
            if fault is not None:
                done.append(f"within {fault.__name__}")
                self.tally.faults[fault.__name__] += 1
            for _ in range(count):
                operation = self._disk.random.choice(OPERATIONS)
                done.append(operation.__name__)
                operation(self._disk)
                self.tally.operations[operation.__name__] += 1
        if fault in SLOW_FAULTS:
            self._returning_until = time.monotonic() + TAKEN_UP_WITHIN_S
        return done

    def _compare(self, kind: str, what: str) -> None:
        """Waits until what is watched equals the disk; tells a loss where that is not so in time."""
        began = time.monotonic()
        deadline = max(began + RIGHT_WITHIN_S, self._returning_until)
        answer = self._watching.sync() if kind == "barrier" else self._watching.look()
        fresh = view_of(*scan(self._disk.roots))
        pause = 0.01
        while True:
            self._note_bugs(answer, what)
            now = time.monotonic()
            wrong = difference(answer["view"], fresh)
            untold = answer["told"] != answer["version"]
            if not wrong and not untold:
                break
            # The barrier has no second chance, but a listener is told on a thread of its own, a moment later.
            if now > deadline or (wrong and kind == "barrier"):
                self._lost(kind, what, wrong or [f"listeners were told up to {answer['told']}"], answer)
                break
            time.sleep(pause)
            pause = min(pause * 1.5, 0.3)
            answer = self._watching.look()
        self.tally.comparisons[kind] += 1
        self.tally.worst_s[kind] = max(self.tally.worst_s.get(kind, 0.0), now - began)

    def _lost(self, kind: str, what: str, wrong: list[str], answer: Answer) -> None:
        """Notes a loss with all that is needed to replay it, and starts from a known disk again."""
        after = difference(self._watching.sync()["view"], view_of(*scan(self._disk.roots)))
        mended = "a barrier mends it" if not after else f"a barrier does not mend it:\n{summary(after)}"
        text = (
            f"LOST by {kind}, --seed {self._seed} --rounds {self.tally.rounds + 1}\n  {what}\n{summary(wrong)}\n"
            f"  version {answer['version']}; {mended}\n{summary(answer['health'])}"
        )
        self.tally.losses.append(text)
        print(text, flush=True)
        self._disk.reset()

    def _check(self) -> None:
        """Makes the disk as in the beginning, lets the process come to rest, and counts what it holds."""
        self._disk.reset()
        what = f"the disk as in the beginning, after round {self.tally.rounds - 1}"
        self._compare("barrier", what)
        time.sleep(QUIET_S)
        deadline = max(time.monotonic() + RIGHT_WITHIN_S, self._returning_until)
        wanted = sum(1 for root in self._disk.roots for _ in os.walk(root))
        while (held := kernel_watches(self._watching.pid)) != wanted:
            if time.monotonic() > deadline:
                self._lost("watches", what, [f"{held} kernel watches for {wanted} directories"], self._watching.look())
                return
            time.sleep(0.1)
        self.tally.checkpoints.append(checkpoint(self._watching.pid, self.tally.rounds))

    def _note_bugs(self, answer: Answer, what: str) -> None:
        for bug in answer["bugs"]:
            text = f"BUG, --seed {self._seed} --rounds {self.tally.rounds + 1}\n  {what}\n{summary(bug.splitlines())}"
            self.tally.bugs.append(text)
            print(text, flush=True)


def base_directory(directory: str) -> Path:
    """Where the disk of a run lies; by its real path, since what is compared are paths."""
    return Path(os.path.realpath(directory)) / "disk"
