"""`scan_skills`: every skill below a root, loaded or not, each with what one scan found of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..fresh_scan import scan_roots
from ..model import SkillFile
from ..problems import Problem
from ..roots import resolve_roots
from ..settings import Settings


class FoundSkill(NamedTuple):
    """A directory with a `SKILL.md`: its problems, and its relevant files by their paths relative to it."""

    directory: Path
    problems: tuple[Problem, ...]
    files: Mapping[str, SkillFile]


class FoundSkills(NamedTuple):
    """The skills below a root by their directories, and the problems that belong to none of them."""

    skills: dict[Path, FoundSkill]
    problems: tuple[Problem, ...]


def scan_skills(root: Path, settings: Settings) -> FoundSkills:
    """What there is below `root` now."""
    snapshot, (watched,) = scan_roots(resolve_roots([root]), settings)
    built = () if watched.catalog is None else watched.catalog.built
    # A name that is not UTF-8 cannot be that of a test, for no report could hold it: the root tells of what is there.
    by_directory = {root.joinpath(*skill.order): skill for skill in built if _is_utf8("".join(skill.order))}
    problems: defaultdict[Path | None, list[Problem]] = defaultdict(list)
    for found in snapshot.problems:
        above = (directory for directory in (found.path, *found.path.parents) if directory in by_directory)
        problems[next(above, None)].append(found)
    skills = {
        directory: FoundSkill(directory, tuple(problems[directory]), skill.files)
        for directory, skill in by_directory.items()
    }
    return FoundSkills(skills, tuple(problems[None]))


def _is_utf8(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)
