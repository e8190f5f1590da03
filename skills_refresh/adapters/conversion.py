"""The current skills in the form that a framework wants them.

A framework has a class of its own for a skill. Each of ours is made into one of theirs once, and that one is handed out
until a byte of the skill changes: a turn without a change costs one comparison, one with a change converts what
differs. Nothing here knows a framework, listens or owns a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..escaping import printable
from ..model import Skill, Snapshot
from ..workspace import Workspace

Converted = TypeVar("Converted")

_log = logging.getLogger("skills_refresh")


class ConvertedSkills(Generic[Converted]):
    """The skills of a workspace, each as `convert(skill)` made it. Safe from any thread.

    `convert` must depend on its skill alone. Where it raises `ValueError`, the framework does not take that skill: it
    is left out, which is logged once, and the others stay.
    """

    def __init__(self, workspace: Workspace, convert: Callable[[Skill], Converted]) -> None:
        self._workspace = workspace
        self._convert = convert
        self._held: _Held[Converted] | None = None

    def current(self) -> tuple[Converted, ...]:
        """All skills of the current snapshot, sorted by name; the same tuple as long as the snapshot is the same.

        Raises `ClosedError` before the workspace was started. After it was closed, the skills stay as they were.
        """
        snapshot = self._workspace.snapshot
        held = self._held
        if held is None or held.snapshot is not snapshot:
            self._held = held = self._converted(snapshot, {} if held is None else held.by_skill)
        return held.all

    def _converted(self, snapshot: Snapshot, known: Mapping[Skill, Converted | None]) -> _Held[Converted]:
        by_skill = {
            skill: known[skill] if skill in known else self._convert_or_refuse(skill)
            for skill in snapshot.skills.values()
        }
        return _Held(snapshot, by_skill, tuple(made for made in by_skill.values() if made is not None))

    def _convert_or_refuse(self, skill: Skill) -> Converted | None:
        try:
            return self._convert(skill)
        except ValueError as error:
            place = printable(str(skill.location))
            _log.warning("%s is left out, because the framework refuses it: %s", place, printable(str(error)))
            return None


@dataclass(frozen=True)
class _Held(Generic[Converted]):
    """What was made of one snapshot: swapped as a whole, so that no reader sees half of it."""

    snapshot: Snapshot
    by_skill: Mapping[Skill, Converted | None]
    all: tuple[Converted, ...]
