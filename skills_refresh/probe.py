"""`probe`: proves, in a private temporary directory, that events arrive on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .engine import Engine
from .model import Snapshot
from .settings import Settings
from .workspace import Workspace

# An event takes milliseconds. Longer than this, and it was not the event that told: roots are looked at every 1.5 s.
PATIENCE_S = 1.0


class Step(NamedTuple):
    """One thing that was done, and how many seconds it took to be told; None where it was not told in time. `hint` says
    why, and what to do, where that is known."""

    name: str
    seconds: float | None
    hint: str = ""


def probe() -> Iterator[Step]:
    """Makes skills, edits, renames and deletes them, and waits for each to be told by its event.

    The first step is opening a root that is watched natively; where that cannot be had, it is the last. The directory
    is made where temporary files are kept (`TMPDIR`), which may be another file system than that of the skills. Raises
    `OSError` where it cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix="skills-refresh-probe-") as directory:
        base = Path(directory)
        root = base / "skills"
        _write(root / "edited" / "SKILL.md", "First.")
        staged = base / "staged"
        _write(staged / "SKILL.md", "Staged.")
        with _opened(root) as (workspace, seconds):
            health = workspace.health[0]
            if health.mode != "native":
                yield Step("watch a directory natively", None, f"{health.message}: {health.cure}")
                return
            yield Step("watch a directory natively", seconds)
            steps: list[tuple[str, Callable[[], object], Callable[[Snapshot], bool]]] = [
                (
                    "edit a file",
                    lambda: _write(root / "edited" / "SKILL.md", "Second."),
                    lambda now: "edited" in now.skills and now.skills["edited"].instructions() == "Second.",
                ),
                (
                    "write a new skill",
                    lambda: _write(root / "written" / "SKILL.md", "New."),
                    lambda now: "written" in now.skills,
                ),
                (
                    "rename a skill into the root",
                    lambda: staged.rename(root / "staged"),
                    lambda now: "staged" in now.skills,
                ),
                (
                    "delete a skill",
                    lambda: shutil.rmtree(root / "edited"),
                    lambda now: "edited" not in now.skills,
                ),
            ]
            for name, act, told in steps:
                yield Step(name, _time(workspace, act, told))


@contextmanager
def _opened(root: Path) -> Iterator[tuple[Workspace, float]]:
    began = time.perf_counter()
    # Whatever this file system is: whether its events arrive is the question.
    with Engine(Settings(poll=False)) as engine:
        yield engine.open(root), time.perf_counter() - began


def _write(path: Path, body: str) -> None:
    """Whole at once, as editors do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(".new")
    temporary.write_text(f"---\nname: {path.parent.name}\ndescription: A probe.\n---\n{body}", encoding="utf-8")
    os.replace(temporary, path)


def _time(workspace: Workspace, act: Callable[[], object], told: Callable[[Snapshot], bool]) -> float | None:
    began = time.perf_counter()
    act()
    while not told(workspace.snapshot):
        left = PATIENCE_S - (time.perf_counter() - began)
        if left <= 0:
            return None
        workspace.wait(after=workspace.version, timeout=left)
    return time.perf_counter() - began
