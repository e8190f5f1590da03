"""The current skills in the form that a framework wants them.

A framework has a class of its own for a skill. Each of ours is made into one of theirs once, and that one is handed out
until a byte of the skill changes: a turn without a change costs one comparison, one with a change converts what
differs. Nothing here knows a framework, listens or owns a thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Generic, TypeVar

from ..escaping import printable
from ..layered import differing_names
from ..model import Skill, Snapshot
from ..workspace import Workspace

Converted = TypeVar("Converted")

_log = logging.getLogger("skills_refresh")


class ConvertedSkills(Generic[Converted]):
    """The skills of a workspace, each as `convert(skill)` made it. Safe from any thread.

    `convert` must depend on its skill alone. Where it raises `ValueError`, the framework does not take that skill: it
    is left out, which is logged once, and the others stay; after any other exception, too, with its traceback. A skill
    or a file whose path is not UTF-8 is left out before: no request to a model could be encoded that names it.
    """

    def __init__(self, workspace: Workspace, convert: Callable[[Skill], Converted]) -> None:
        self._workspace = workspace
        self._convert = convert
        self._held: _Held[Converted] | None = None

    def current(self) -> Mapping[str, Converted]:
        """All skills of the current snapshot by their names, sorted; read-only, and the same mapping as long as the
        snapshot is the same.

        Raises `ClosedError` before the workspace was started. After it was closed, the skills stay as they were.
        """
        snapshot = self._workspace.snapshot
        held = self._held
        if held is None or held.snapshot is not snapshot:
            self._held = held = self._converted(snapshot, held)
        return held.by_name

    def _converted(self, snapshot: Snapshot, held: _Held[Converted] | None) -> _Held[Converted]:
        """What `held` is after the skills that differ were converted: the others, and there may be a thousand, are not
        looked at."""
        known = {} if held is None else held.every
        every = dict(known)
        names = snapshot.skills if held is None else differing_names(held.snapshot.skills, snapshot.skills)
        for name in names:
            skill = snapshot.skills.get(name)
            if skill is None:
                every.pop(name, None)
            else:
                every[name] = self._convert_or_refuse(skill)
        if not known.keys() >= every.keys():
            every = dict(sorted(every.items(), key=itemgetter(0)))
        return _Held(
            snapshot, every, MappingProxyType({name: made for name, made in every.items() if made is not None})
        )

    def _convert_or_refuse(self, skill: Skill) -> Converted | None:
        if not _is_utf8(str(skill.location)):
            _warn(skill.location, "its path is not UTF-8, rename it")
            return None
        try:
            return self._convert(_with_utf8_files(skill))
        except ValueError as error:
            _warn(skill.location, f"the framework refuses it: {error}")
        except Exception as error:  # whatever it is, the other skills of the turn have nothing to do with it
            _warn(skill.location, f"the adapter failed with {error!r}", exc_info=True)
        return None


@dataclass(frozen=True)
class _Held(Generic[Converted]):
    """What was made of one snapshot, None for what was refused. Swapped as a whole: no reader sees half of it."""

    snapshot: Snapshot
    every: dict[str, Converted | None]
    by_name: Mapping[str, Converted]


def _with_utf8_files(skill: Skill) -> Skill:
    """`skill` with those of its files alone whose paths are UTF-8."""
    files = tuple(file for file in skill.files if _is_utf8(file.path))
    if len(files) == len(skill.files):
        return skill
    for file in set(skill.files).difference(files):
        _warn(skill.directory / file.path, "its path is not UTF-8, rename it")
    return replace(skill, files=files)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _warn(path: Path, reason: str, *, exc_info: bool = False) -> None:
    _log.warning("%s is left out, because %s", printable(str(path)), printable(reason), exc_info=exc_info)
