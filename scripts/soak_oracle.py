"""What `soak.py` compares: everything that a consumer can see of some roots, as plain data.

Both sides describe what they hold in the same way, the watching process its live snapshot, the other one a fresh scan
of the disk. The only thing that a fresh scan cannot know is a last good version, so what is stale is left out, and so
is a root whose `.skillsignore` is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import TypedDict

from skills_refresh import Snapshot
from skills_refresh.model import SkillFile

# A difference of thousands of files is shown by the beginning of its first lines.
SHOWN_LINES = 12
SHOWN_CHARACTERS = 240

FileView = list[object]


class SkillView(TypedDict):
    """One skill: where it is, the digest of its `SKILL.md`, its files, and a hash of its instructions."""

    location: str
    digest: str
    files: list[FileView]
    instructions: str


class View(TypedDict):
    """One snapshot. It survives JSON unchanged, so both sides can be compared by `==`."""

    digest: str
    files_digest: str
    prompt: str
    skills: dict[str, SkillView]
    problems: list[list[str]]
    files: dict[str, FileView]


def view_of(snapshot: Snapshot, files_digest: str) -> View:
    """All that a consumer of `snapshot` can see."""
    return {
        "digest": snapshot.digest,
        "files_digest": files_digest,
        "prompt": _hash(snapshot.prompt()),
        "skills": {
            name: {
                "location": str(skill.location),
                "digest": skill.digest,
                "files": _files(skill.files),
                "instructions": _hash(skill.instructions()),
            }
            for name, skill in snapshot.skills.items()
        },
        "problems": [[found.code, found.severity, str(found.path), found.message] for found in snapshot.problems],
        "files": {path: list(file) for path, file in snapshot.files.items()},
    }


def difference(live: View, fresh: View) -> list[str]:
    """What differs between the two, a line each, at most `SHOWN_LINES`; empty where they agree."""
    stale = {os.path.dirname(path) for code, _, path, _ in live["problems"] if code == "stale"}
    old_rules = tuple(os.path.dirname(path) + os.sep for path in _stale_rules(live))
    kept = {name for name, skill in live["skills"].items() if os.path.dirname(skill["location"]) in stale}
    for view in (live, fresh):
        kept.update(name for name, skill in view["skills"].items() if skill["location"].startswith(old_rules))
    below = (*old_rules, *(directory + os.sep for directory in stale))
    lines = _differing("skill", _skills(live, kept), _skills(fresh, kept))
    lines += _differing("file", _files_outside(live, below), _files_outside(fresh, below))
    lines += _differing("problem", _problems(live, stale, old_rules), _problems(fresh, stale, old_rules))
    if not stale and not old_rules:
        lines += [f"{key} differs" for key in ("digest", "prompt") if live[key] != fresh[key]]
    if not old_rules and live["files_digest"] != fresh["files_digest"]:
        lines.append("files_digest differs")
    if len(lines) > SHOWN_LINES:
        lines[SHOWN_LINES:] = [f"… and {len(lines) - SHOWN_LINES} more"]
    return lines


def _differing(what: str, live: Mapping[str, object], fresh: Mapping[str, object]) -> list[str]:
    lines = []
    for key in sorted(live.keys() | fresh.keys()):
        if key not in live:
            lines.append(f"{what} {key!r} is on disk, and missing in the snapshot: {fresh[key]}")
        elif key not in fresh:
            lines.append(f"{what} {key!r} is in the snapshot, and not on disk: {live[key]}")
        elif live[key] != fresh[key]:
            lines.append(f"{what} {key!r} is in the snapshot {live[key]}")
            lines.append(f"{' ' * len(what)} {' ' * len(repr(key))} and on disk     {fresh[key]}")
    return lines


def _skills(view: View, kept: set[str]) -> dict[str, SkillView]:
    return {name: skill for name, skill in view["skills"].items() if name not in kept}


def _files_outside(view: View, below: tuple[str, ...]) -> dict[str, FileView]:
    return {path: file for path, file in view["files"].items() if not path.startswith(below)}


def _stale_rules(view: View) -> list[str]:
    """The `.skillsignore` files that cannot be used, and of which a last good version is in use."""
    return [path for code, _, path, message in view["problems"] if code == "invalid-ignore-file" and "stays" in message]


def _problems(view: View, stale: set[str], old_rules: tuple[str, ...]) -> dict[str, int]:
    """The problems with how often each is told; which skill is shadowed depends on what is stale."""
    counted: dict[str, int] = {}
    for found in view["problems"]:
        if found[2].startswith(old_rules) or found[0] == "stale":
            continue
        if found[0] != "shadowed" or not (stale or old_rules):
            line = " ".join(found)
            counted[line] = counted.get(line, 0) + 1
    return counted


def _files(files: Iterable[SkillFile]) -> list[FileView]:
    return [list(file) for file in files]


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def summary(lines: Sequence[str]) -> str:
    """`lines`, indented, as one text."""
    return "\n".join(f"    {line[:SHOWN_CHARACTERS]}" for line in lines)
