"""Listeners that misbehave in a workspace with real files: the others are told everything, and closing stays prompt."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from skills_refresh import Engine, SkillsChanged, Workspace

from .conftest import SkillsRoot, skill_text, wait_for

EDITS = 20
CLOSED_WITHIN_S = 2.0


@pytest.fixture
def workspace(skills_root: SkillsRoot) -> Iterator[Workspace]:
    skills_root.add("pdf")
    with Engine() as engine:
        yield engine.open([skills_root.path])


class Misbehaving:
    """Four listeners: one that is slow, one that raises, one that blocks until `released`, and one that writes."""

    def __init__(self, workspace: Workspace, root: SkillsRoot) -> None:
        self.released = threading.Event()
        self.slow: list[SkillsChanged] = []
        self._root = root
        self._is_blocked = threading.Event()
        for listener in (self._be_slow, self._fail, self._block, self._normalise):
            workspace.subscribe(listener)

    def _be_slow(self, change: SkillsChanged) -> None:
        self.released.wait(0.2)
        self.slow.append(change)

    def _fail(self, change: SkillsChanged) -> None:
        raise ValueError("a listener that always fails")

    def _block(self, change: SkillsChanged) -> None:
        self._is_blocked.set()
        self.released.wait()

    def _normalise(self, change: SkillsChanged) -> None:
        for skill in change.snapshot.skills.values():
            text = skill.instructions()
            if text != text.lower():
                self._root.add(skill.name, body=text.lower())

    def wait_until_blocked(self) -> None:
        wait_for(self._is_blocked.is_set)


@pytest.fixture
def misbehaving(workspace: Workspace, skills_root: SkillsRoot) -> Iterator[Misbehaving]:
    listeners = Misbehaving(workspace, skills_root)
    yield listeners
    listeners.released.set()


def body(workspace: Workspace) -> str:
    return workspace.snapshot.skills["pdf"].instructions()


def test_the_others_are_told_everything(
    workspace: Workspace, misbehaving: Misbehaving, skills_root: SkillsRoot
) -> None:
    """Each change begins where the one before ended, up to the last; the slow one, too, in the end."""
    told: list[SkillsChanged] = []
    first = workspace.version
    workspace.subscribe(told.append)
    for number in range(EDITS):
        skills_root.add("pdf", body=f"EDIT {number}\n")
        wait_for(lambda number=number: body(workspace) == f"edit {number}\n")  # type: ignore[misc]  # mypy cannot type a default
    last = workspace.sync().version
    for changes in (told, misbehaving.slow):
        wait_for(lambda changes=changes: changes and changes[-1].version == last)  # type: ignore[misc]  # mypy cannot type a default
        assert changes[0].previous == first
        assert all(earlier.version == later.previous for earlier, later in pairwise(changes))
    assert len(told) == 2 * EDITS


def test_a_listener_that_writes_what_it_was_told_of_comes_to_an_end(
    workspace: Workspace, misbehaving: Misbehaving, skills_root: SkillsRoot
) -> None:
    """Its own write is a change that it is told of, too; that finds nothing left to write, and the version stands."""
    told: list[str] = []
    workspace.subscribe(lambda change: told.append(change.snapshot.skills["pdf"].instructions()))
    skills_root.add("pdf", body="SHOUTED.\n")
    wait_for(lambda: told == ["SHOUTED.\n", "shouted.\n"])
    version = workspace.version
    for _ in range(3):
        assert workspace.sync().version == version
    assert told == ["SHOUTED.\n", "shouted.\n"]
    assert (skills_root.path / "pdf/SKILL.md").read_text() == skill_text("pdf", body="shouted.\n")


def test_closing_is_prompt_with_all_of_them(
    workspace: Workspace, misbehaving: Misbehaving, skills_root: SkillsRoot
) -> None:
    skills_root.add("pdf", body="EDIT\n")
    misbehaving.wait_until_blocked()
    began = time.monotonic()
    workspace.close()
    assert time.monotonic() - began < CLOSED_WITHIN_S
    assert not misbehaving.released.is_set()
