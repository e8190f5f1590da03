"""The kernel's queue overflows: events are lost without a word, and what they would have told is found all the same.

The audits that come in their time are put off for these tests, so that only noticing the loss can help.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from .conftest import SkillsRoot, skill_text, wait_for

# After the storm it must be right within this, by the promise.
RIGHT_WITHIN_S = 10.0
SVGS, SKILLS = 37_000, 100
WRITERS = 8

WATCHER = """
import json, sys
from skills_refresh import engine_loop, watch
engine_loop.AUDIT_S = 1_000.0
with watch(sys.argv[1]) as workspace:
    print("ready", flush=True)
    for line in sys.stdin:
        snapshot = workspace.snapshot
        bodies = {name: skill.instructions().strip() for name, skill in snapshot.skills.items()}
        files = sum(len(skill.files) for skill in snapshot.skills.values())
        print(json.dumps([bodies, files, workspace.health[0].found_by_audit]), flush=True)
"""
WRITER = """
import sys
from pathlib import Path
from tests.conftest import skill_text
root, writer, icons = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(10):
    for icon in range(300):
        (root / "icons" / "assets" / f"{writer}-{icon % icons}.svg").write_text("x")
    (root / f"skill-{writer}-{number}" / "SKILL.md").write_text(skill_text(f"skill-{writer}-{number}", body="After."))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the queue is inotify's")


class Watcher:
    """A process that watches a root and answers what it holds."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WATCHER, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._requests: IO[str] = self.process.stdin
        self._answers: IO[str] = self.process.stdout
        assert self._answers.readline() == "ready\n"

    def ask(self) -> tuple[dict[str, str], int, int]:
        """Each skill's body by its name, the number of files, and how many directories an audit found."""
        print(file=self._requests, flush=True)
        bodies, files, found = json.loads(self._answers.readline())
        return bodies, files, found

    def close(self) -> None:
        self._requests.close()
        self._answers.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def memory_root() -> Iterator[SkillsRoot]:
    """A root on tmpfs, where 8 writers are faster than anybody can read."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:
        yield SkillsRoot(Path(directory) / "skills")


def test_what_was_written_while_the_process_was_suspended_is_found(memory_root: SkillsRoot) -> None:
    for number in range(SKILLS):
        memory_root.add(f"skill-{number}", body="Before.")
    icons = memory_root.add("icons") / "assets"
    icons.mkdir()
    watcher = Watcher(memory_root.path)
    try:
        os.kill(watcher.process.pid, signal.SIGSTOP)
        for number in range(SVGS):
            (icons / f"{number}.svg").touch()
        for number in range(SKILLS):
            (memory_root.path / f"skill-{number}" / "SKILL.md").write_text(skill_text(f"skill-{number}", body="After."))
        os.kill(watcher.process.pid, signal.SIGCONT)
        resumed = time.monotonic()
        wait_for(lambda: list(watcher.ask()[0].values()).count("After.") == SKILLS, timeout=RIGHT_WITHIN_S)
        assert time.monotonic() - resumed < RIGHT_WITHIN_S
        assert watcher.ask()[2] > 0, "the queue did not overflow: this test proves nothing"
    finally:
        os.kill(watcher.process.pid, signal.SIGCONT)
        watcher.close()


@pytest.mark.parametrize("icons", [300, 1])
def test_eight_writers_that_are_faster_than_the_reader_lose_nothing(memory_root: SkillsRoot, icons: int) -> None:
    """They share a processor with the thread that takes the events from the kernel; nobody else is late. Each writes
    so many files again and again: many make large batches, few only last long."""
    (memory_root.add("icons") / "assets").mkdir()
    for writer in range(WRITERS):
        for number in range(10):
            memory_root.add(f"skill-{writer}-{number}", body="Before.")
    watcher = Watcher(memory_root.path)
    processor = min(os.sched_getaffinity(0))
    for task in Path(f"/proc/{watcher.process.pid}/task").iterdir():
        if (task / "comm").read_text().startswith("notify-rs"):
            os.sched_setaffinity(int(task.name), {processor})
            os.setpriority(os.PRIO_PROCESS, int(task.name), 19)
    try:
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, memory_root.path, str(number), str(icons)],
                cwd=Path(__file__).parent.parent,
                preexec_fn=lambda: os.sched_setaffinity(0, {processor}),
            )
            for number in range(WRITERS)
        ]
        assert [writer.wait(timeout=60) for writer in writers] == [0] * WRITERS
        wait_for(lambda: list(watcher.ask()[0].values()).count("After.") == 10 * WRITERS, timeout=RIGHT_WITHIN_S)
    finally:
        watcher.close()
