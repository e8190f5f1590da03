"""What all tests share: workspaces, and waiting for a condition with a deadline.

The root to put skills into, `skills_root`, is that of the pytest plugin, which is there when the project is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from skills_refresh import Engine, Settings, Workspace, watch
from skills_refresh.pytest_plugin.editing import SkillsRoot, skill_text

__all__ = ["DEADLINE_S", "SkillsRoot", "age", "in_private_mounts", "open_workspace", "skill_text", "wait_for"]

DEADLINE_S = 10.0

settings.register_profile("ci", max_examples=60, stateful_step_count=30, deadline=None)
settings.register_profile("fuzz", max_examples=600, stateful_step_count=60, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """Tells at once what a hundred missing fixtures would tell."""
    if not config.pluginmanager.has_plugin("skills_refresh"):
        raise pytest.UsageError("the project's own pytest plugin is not installed: run pip install -e '.[pytest]'")


def age(path: Path) -> None:
    """Waits until what was last done to `path` is a moment ago.

    What was written just before it is read is looked at twice, and that look may find the next edit before its event.
    """
    wait_for(lambda: time.time_ns() - path.stat().st_ctime_ns > 100_000_000)


def wait_for(condition: Callable[[], object], what: str = "the condition", timeout: float = DEADLINE_S) -> None:
    """Returns as soon as `condition()` is true; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {timeout} s")
        time.sleep(0.002)


def in_private_mounts(program: str, directory: Path) -> Any:
    """Runs a Python program in `directory` that may mount what it likes, and returns the JSON that it printed last.

    Its mounts are seen by nobody else and end with it. Skips the test where no such namespace can be had.
    """
    trial = _run_unshared(
        "import subprocess; subprocess.run(['mount', '-t', 'tmpfs', 'none', '.'], check=True)", directory
    )
    if trial.returncode != 0:
        pytest.skip(f"needs a mount namespace of its own: {trial.stderr.strip()}")
    done = _run_unshared(program, directory)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout.splitlines()[-1])


def _run_unshared(program: str, directory: Path) -> subprocess.CompletedProcess[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", "--mount", *user, sys.executable, "-c", program]
    try:
        return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("needs the program unshare, of util-linux")


@pytest.fixture
def open_workspace() -> Iterator[Callable[..., Workspace]]:
    """A function that opens a workspace on some roots; everything is closed at the end."""
    with ExitStack() as stack:

        def open_it(*roots: Path, settings: Settings | None = None, engine: Engine | None = None) -> Workspace:
            if engine is not None:
                return stack.enter_context(engine.open(roots))
            return stack.enter_context(watch(*roots, settings=settings))

        yield open_it
