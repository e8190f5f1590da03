"""What differs between two snapshots, said per skill. Pure: two snapshots in, one `SkillsChanged` out.

A change that merges several is the comparison of the first `before` with the last snapshot, so merging loses nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .filters import SKILL_FILE
from .model import ASPECTS, Aspect, Kind, Reason, Skill, SkillChange, SkillFile, SkillsChanged, Snapshot

_NOTHING = Snapshot(0, 0, {}, (), {})


def compare(before: Snapshot | None, after: Snapshot, *, workspace: str, reason: Reason) -> SkillsChanged:
    """Everything that differs from `before` to `after`; a fresh start where `before` is None."""
    old = _NOTHING if before is None else before
    changes = [*_skill_changes(old, after), *_other_changes(old, after)]
    return SkillsChanged(workspace, reason, tuple(changes), after, before)


def merge(earlier: SkillsChanged, later: SkillsChanged) -> SkillsChanged:
    """One change that says what both say; `later` starts where `earlier` ends."""
    return compare(earlier.before, later.snapshot, workspace=later.workspace, reason=later.reason)


def _differing_names(old: Snapshot, new: Snapshot) -> list[str]:
    if len(old.skills) == len(new.skills):
        # The usual case, an edit: both are sorted by name, so the same skills stand side by side. Looking each one up
        # takes ten times as long, which is what an edit to one of 10,000 skills would cost most.
        pairs = zip(old.skills.values(), new.skills.values(), strict=True)
        differing = [(was.name, now.name) for was, now in pairs if was is not now]
        if all(was == now for was, now in differing):
            return [now for _, now in differing]
    before, after = old.skills_dict(), new.skills_dict()
    names = before.keys() ^ after.keys()
    return sorted(names.union(name for name, skill in after.items() if before.get(name) is not skill))


def _skill_changes(old: Snapshot, new: Snapshot) -> Iterable[SkillChange]:
    for name in _differing_names(old, new):
        was, now = old.skills.get(name), new.skills.get(name)
        if was is None or now is None:
            skill = now or was
            assert skill is not None
            yield SkillChange(
                name, "removed" if now is None else "added", _aspects_of(skill), _paths(skill, skill.files)
            )
        else:
            yield SkillChange(name, "changed", *_difference(was, now))


def _aspects_of(skill: Skill) -> tuple[Aspect, ...]:
    return ASPECTS if len(skill.files) > 1 else ASPECTS[:2]


def _difference(was: Skill, now: Skill) -> tuple[tuple[Aspect, ...], tuple[Path, ...]]:
    moved = was.location != now.location
    aspects: list[Aspect] = []
    if moved or was.source[: was.body_offset] != now.source[: now.body_offset] or was.root != now.root:
        aspects.append("catalog")
    if was.source[was.body_offset :] != now.source[now.body_offset :]:
        aspects.append("instructions")
    differing = sorted({file.path for file in set(was.files) ^ set(now.files)} - {SKILL_FILE})
    if differing:
        aspects.append("files")
    if moved:
        return tuple(aspects), tuple(sorted({*_paths(was, was.files), *_paths(now, now.files)}))
    paths = {now.directory / path for path in differing}
    if was.source != now.source:
        paths.add(now.location)
    return tuple(aspects), tuple(sorted(paths))


def _paths(skill: Skill, files: Iterable[SkillFile]) -> tuple[Path, ...]:
    return tuple(skill.directory / file.path for file in files)


def _other_changes(old: Snapshot, new: Snapshot) -> Iterable[SkillChange]:
    """Changes to relevant files that belong to no skill, neither before nor after."""
    if old.files is new.files:
        return
    # A file that left a skill, or came into one, is told with that skill.
    was_in_skills = _skill_paths(old) if new.files.keys() - old.files.keys() else frozenset()
    now_in_skills = _skill_paths(new) if old.files.keys() - new.files.keys() else frozenset()
    found: dict[Kind, list[str]] = {"added": [], "changed": [], "removed": []}
    for path, file in new.files.items():
        if path not in old.files:
            if path not in was_in_skills:
                found["added"].append(path)
        elif old.files[path] != file:
            found["changed"].append(path)
    found["removed"].extend(path for path in old.files if path not in new.files and path not in now_in_skills)
    for kind, paths in found.items():
        if paths:
            yield SkillChange(None, kind, ("files",), tuple(Path(path) for path in sorted(paths)))


def _skill_paths(snapshot: Snapshot) -> frozenset[str]:
    return frozenset(
        os.path.join(skill.location.parent, file.path) for skill in snapshot.skills.values() for file in skill.files
    )
