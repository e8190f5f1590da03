"""Waiting for the engine with a timeout."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from skills_refresh import Engine, Workspace

from .conftest import SkillsRoot


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("sync", lambda engine, workspace: workspace.sync(timeout=0.05)),
        ("refresh", lambda engine, workspace: workspace.refresh(timeout=0.05)),
        ("invalidate", lambda engine, workspace: workspace.invalidate(timeout=0.05)),
        ("bump", lambda engine, workspace: engine.bump(timeout=0.05)),
    ],
)
def test_what_takes_longer_than_the_caller_waits_says_what_and_goes_on(
    skills_root: SkillsRoot, name: str, call: Callable[[Engine, Workspace], object]
) -> None:
    may_go_on = threading.Event()
    with Engine() as engine:
        workspace = engine.open(skills_root.path)
        engine._submit(may_go_on.wait)
        with pytest.raises(TimeoutError, match=rf"^{name}\(\) was not done within 0.05 s and goes on: wait longer"):
            call(engine, workspace)
        may_go_on.set()
        workspace.sync()
