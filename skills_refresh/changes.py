"""What differs between two snapshots, said per skill. Pure: two snapshots in, one `SkillsChanged` out.

A change that merges several is the comparison of the first `before` with the last snapshot, so merging loses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .filters import SKILL_FILE
from .layered import LayeredMapping, differing_names
from .model import ASPECTS, Aspect, Kind, Reason, Skill, SkillChange, SkillFile, SkillsChanged, Snapshot
from .prompt import prompt_parts_differ

_NOTHING = Snapshot(0, 0, LayeredMapping(()), tuple, LayeredMapping(()))


def compare(before: Snapshot | None, after: Snapshot, *, workspace: str, reason: Reason) -> SkillsChanged:
    """Everything that differs from `before` to `after`; a fresh start where `before` is None."""
    old = _NOTHING if before is None else before
    names = differing_names(old.skills, after.skills)
    changes = [*_skill_changes(old, after, names), *_other_changes(old, after, names)]
    return SkillsChanged(workspace, reason, tuple(changes), after, before)


def merge(earlier: SkillsChanged, later: SkillsChanged) -> SkillsChanged:
    """One change that says what both say; `later` starts where `earlier` ends."""
    return compare(earlier.before, later.snapshot, workspace=later.workspace, reason=later.reason)


def tells_anything(change: SkillsChanged) -> bool:
    """Whether anything but the version differs: a server that was started again gives the same skills a new one."""
    before, after = change.before, change.snapshot
    return before is None or bool(change.changes) or problems_differ(before, after) or hidden_differ(before, after)


def problems_differ(before: Snapshot, after: Snapshot) -> bool:
    """Whether other problems are told. Where they were told to be the same, none are made for it."""
    return before.find_problems is not after.find_problems and before.problems != after.problems


def hidden_differ(before: Snapshot, after: Snapshot) -> bool:
    """Whether other skills are hidden, or for other reasons."""
    return bool(differing_names(before.hidden, after.hidden))


def prompt_differs(before: Snapshot, after: Snapshot) -> bool:
    """Whether the text of `prompt()` is another one. Only skills that differ are looked at, and no text is made."""
    if before.prompt_version == after.prompt_version:
        return False
    pairs = [(before.skills.get(name), after.skills.get(name)) for name in differing_names(before.skills, after.skills)]
    return any(prompt_parts_differ(was, now) for was, now in pairs)


def _skill_changes(old: Snapshot, new: Snapshot, names: list[str]) -> Iterable[SkillChange]:
    for name in names:
        was, now = old.skills.get(name), new.skills.get(name)
        if was is None or now is None:
            skill = now or was
            assert skill is not None
            yield SkillChange(
                name, "removed" if now is None else "added", _aspects_of(skill), _paths(skill, skill.files)
            )
        else:
            aspects, paths = _difference(was, now)
            if aspects:  # without any, it was changed back: another object, and the same in all that can be seen
                yield SkillChange(name, "changed", aspects, paths)


def _aspects_of(skill: Skill) -> tuple[Aspect, ...]:
    return ASPECTS if len(skill.files) > 1 else ASPECTS[:2]


def _difference(was: Skill, now: Skill) -> tuple[tuple[Aspect, ...], tuple[Path, ...]]:
    # Without making paths where none is told: a turn of an agent waits for this, and they took half of it.
    moved = was.relative_location != now.relative_location or was.root != now.root
    aspects: list[Aspect] = []
    if moved or was.source[: was.body_offset] != now.source[: now.body_offset]:
        aspects.append("catalog")
    if was.source[was.body_offset :] != now.source[now.body_offset :]:
        aspects.append("instructions")
    differing = sorted({file.path for file in set(was.files) ^ set(now.files)} - {SKILL_FILE})
    if differing:
        aspects.append("files")
    if moved:
        return tuple(aspects), tuple(sorted({*_paths(was, was.files), *_paths(now, now.files)}))
    paths = [now.directory / path for path in differing]
    if was.source != now.source:
        paths.append(now.location)
    return tuple(aspects), tuple(sorted(paths))


def _paths(skill: Skill, files: Iterable[SkillFile]) -> tuple[Path, ...]:
    return tuple(skill.directory / file.path for file in files)


def _other_changes(old: Snapshot, new: Snapshot, names: list[str]) -> Iterable[SkillChange]:
    """Changes to relevant files that belong to no skill, before or after; `names` are of skills that differ."""
    found: dict[Kind, list[str]] = {"added": [], "changed": [], "removed": []}
    for path in differing_names(old.files, new.files):
        kind: Kind = "added" if path not in old.files else "removed" if path not in new.files else "changed"
        found[kind].append(path)
    # A file that left a skill, or came into one, is told with that skill.
    if found["added"]:
        was_in_skills = _skill_paths(old, names)
        found["added"] = [path for path in found["added"] if path not in was_in_skills]
    if found["removed"]:
        now_in_skills = _skill_paths(new, names)
        found["removed"] = [path for path in found["removed"] if path not in now_in_skills]
    for kind, paths in found.items():
        if paths:
            yield SkillChange(None, kind, ("files",), tuple(Path(path) for path in paths))


def _skill_paths(snapshot: Snapshot, names: list[str]) -> frozenset[str]:
    skills = [skill for name in names if (skill := snapshot.skills.get(name)) is not None]
    return frozenset(os.path.join(skill.directory, file.path) for skill in skills for file in skill.files)
