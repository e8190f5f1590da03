"""`scan_skills`: every skill below a root, loaded or not, each with what one scan found of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from ..filters import SKILL_FILE
from ..fresh_scan import scan
from ..model import Skill, SkillFile, Snapshot
from ..problems import Problem
from ..settings import Settings


class FoundSkill(NamedTuple):
    """A directory with a `SKILL.md`: its problems; its relevant files, with paths relative to it; and the skill, None
    where it cannot be loaded, or another one has its name."""

    directory: Path
    problems: tuple[Problem, ...]
    files: tuple[SkillFile, ...]
    skill: Skill | None


class FoundSkills(NamedTuple):
    """The skills below a root by their directories, and the problems that belong to none of them."""

    skills: dict[Path, FoundSkill]
    problems: tuple[Problem, ...]


def scan_skills(root: Path, settings: Settings) -> FoundSkills:
    """What there is below `root` now."""
    snapshot = scan([root], settings).snapshot
    loaded = {skill.directory: skill for skill in snapshot.skills.values()}
    directories = loaded.keys() | _not_loaded(snapshot)
    problems: defaultdict[Path | None, list[Problem]] = defaultdict(list)
    for found in snapshot.problems:
        problems[_skill_of(found.path, directories)].append(found)
    files: defaultdict[Path | None, list[SkillFile]] = defaultdict(list)
    for name, file in snapshot.files.items():
        directory = _skill_of(Path(name), directories)
        if directory is not None:
            files[directory].append(file._replace(path=Path(name).relative_to(directory).as_posix()))
    skills = {}
    for directory in directories:
        skill = loaded.get(directory)
        relevant = tuple(files[directory]) if skill is None else skill.files
        skills[directory] = FoundSkill(directory, tuple(problems[directory]), relevant, skill)
    return FoundSkills(skills, tuple(problems[None]))


def _skill_of(path: Path, directories: Collection[Path]) -> Path | None:
    """The skill to which `path` belongs, or None."""
    return next((above for above in (path, *path.parents) if above in directories), None)


def _not_loaded(snapshot: Snapshot) -> set[Path]:
    """The directories whose `SKILL.md` was found, but made no skill of this snapshot."""
    # One below another skill is part of that. One whose name is not UTF-8 cannot name a test: its root tells of it.
    return {
        found.path.parent
        for found in snapshot.problems
        if found.path.name == SKILL_FILE and found.code != "nested-skill" and _is_utf8(found.path)
    }


def _is_utf8(path: Path) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in str(path))
