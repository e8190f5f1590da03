"""The JSON shapes of skills, snapshots, changes and health, the same behind every door."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from .changes import hidden_differ, problems_differ
from .escaping import printable
from .freezing import plain
from .health import RootHealth
from .model import Skill, SkillsChanged, Snapshot
from .problems import Problem

JsonObject = dict[str, object]


def path_json(path: Path) -> str:
    """A path as text; bytes that are not UTF-8 are escaped, for no JSON can hold them."""
    return printable(str(path)) if any("\ud800" <= character <= "\udfff" for character in str(path)) else str(path)


def problem_json(found: Problem) -> JsonObject:
    """One problem."""
    return {
        "code": found.code,
        "severity": found.severity,
        "path": path_json(found.path),
        "message": found.message,
    }


def problems_json(found: Iterable[Problem]) -> list[JsonObject]:
    """Problems, in their order."""
    return [problem_json(item) for item in found]


def skill_json(skill: Skill) -> JsonObject:
    """One skill as a list shows it; `files` counts its relevant files, `SKILL.md` among them."""
    return {
        "name": skill.name,
        "description": skill.description,
        "location": path_json(skill.location),
        "root": path_json(skill.root),
        "digest": skill.digest,
        "files": len(skill.files),
    }


def skill_details_json(skill: Skill) -> JsonObject:
    """One skill with everything that is known of it."""
    return {
        **skill_json(skill),
        "frontmatter": plain(skill.frontmatter),
        "files": [file._asdict() | {"path": path_json(Path(file.path))} for file in skill.files],
        "instructions": skill.instructions(),
    }


def snapshot_json(snapshot: Snapshot) -> JsonObject:
    """A snapshot's digest, skills and problems, and what is hidden, if anything is."""
    return {
        "digest": snapshot.digest,
        "skills": [skill_json(skill) for skill in snapshot.skills.values()],
        "problems": problems_json(snapshot.problems),
        **hidden_json(snapshot),
    }


def hidden_json(snapshot: Snapshot) -> JsonObject:
    """`hidden`: the skills that are hidden, each with its reason; nothing where there are none."""
    if not snapshot.hidden:
        return {}
    return {
        "hidden": [
            {"name": name, "location": path_json(hidden.skill.location), "reason": hidden.reason}
            for name, hidden in snapshot.hidden.items()
        ]
    }


def complete_json(snapshot: Snapshot, since: Snapshot | None) -> JsonObject:
    """All that a snapshot holds, to be made again elsewhere; with `since`, an earlier one, only the skills that differ
    from those there, and the names of those that are gone. `hidden`, if any are, tells all of them."""
    known = {} if since is None else since.skills
    encoded: JsonObject = {
        "version": snapshot.version,
        "prompt_version": snapshot.prompt_version,
        "digest": snapshot.digest,
        "previous": None if since is None else since.version,
        "skills": [_complete_skill(skill) for name, skill in snapshot.skills.items() if known.get(name) is not skill],
        "removed": [name for name in known if name not in snapshot.skills],
        "problems": [
            problem_json(found) | {"path": str(found.path), "cure": found.cure} for found in snapshot.problems
        ],
        "files": {path: list(file) for path, file in snapshot.files.items()},
    }
    if snapshot.hidden:
        encoded["hidden"] = [
            {"skill": _complete_skill(hidden.skill), "reason": hidden.reason} for hidden in snapshot.hidden.values()
        ]
    return encoded


def _complete_skill(skill: Skill) -> JsonObject:
    """One skill with all its bytes; paths as they are, with lone surrogates for what is not UTF-8."""
    return {
        "name": skill.name,
        "description": skill.description,
        "root": str(skill.root),
        "relative_location": skill.relative_location,
        "files": [list(file) for file in skill.files],
        "frontmatter": plain(skill.frontmatter),
        "source": b64encode(skill.source).decode("ascii"),
        "body_offset": skill.body_offset,
    }


def health_json(health: RootHealth) -> JsonObject:
    """One root's health."""
    return health._asdict() | {"path": path_json(health.path)}


def ready_json(snapshot: Snapshot, roots: Iterable[RootHealth]) -> JsonObject:
    """The first line of `watch`."""
    return {
        "type": "ready",
        "version": snapshot.version,
        "digest": snapshot.digest,
        "skills": len(snapshot.skills),
        "roots": [health_json(health) for health in roots],
        "problems": problems_json(snapshot.problems),
        **hidden_json(snapshot),
    }


def changed_json(change: SkillsChanged) -> JsonObject:
    """One change; `problems` and `hidden` are there only when they differ from those before."""
    encoded: JsonObject = {
        "type": "changed",
        "version": change.version,
        "previous": change.previous,
        "reason": change.reason,
        "digest": change.snapshot.digest,
        "skills": len(change.snapshot.skills),
        "changes": [
            {
                "skill": item.skill,
                "kind": item.kind,
                "aspects": list(item.aspects),
                "paths": [path_json(path) for path in item.paths],
            }
            for item in change.changes
        ],
    }
    if change.before is None or problems_differ(change.before, change.snapshot):
        encoded["problems"] = problems_json(change.snapshot.problems)
    if change.before is None:
        encoded |= hidden_json(change.snapshot)
    elif hidden_differ(change.before, change.snapshot):
        encoded |= {"hidden": [], **hidden_json(change.snapshot)}
    return encoded


def health_line_json(health: RootHealth) -> JsonObject:
    """A root whose mode or reason has changed."""
    return {"type": "health", **health_json(health)}
