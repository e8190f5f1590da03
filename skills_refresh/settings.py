"""`Settings`: what a user can change about finding skills. Plain data with good defaults; `config.py` fills it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .arguments import strings, switch, whole_number
from .errors import ConfigError


@dataclass(frozen=True, slots=True)
class Settings:
    """How skills are found. Immutable. Raises `ConfigError` for a value of the wrong type; lists become tuples.

    `extensions` (such as `".svg"`) and `names` (such as `"Justfile"`) are relevant beside the defaults. `exclude` holds
    gitignore-style patterns, matched relative to each root after the built-in excludes; `!pattern` takes an exclude
    back. `allow_link_targets` are directories outside the roots that links may lead to. `max_depth` counts directories
    below the root, `max_directories` those searched for skills per root, `max_skills` is per root, `max_skill_bytes`
    per `SKILL.md`. `poll` is True to look at all roots again and again instead of watching them, False to watch them
    wherever they lie, and None to poll where events do not tell what others write: network mounts and their like.
    """

    extensions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow_link_targets: tuple[Path, ...] = ()
    max_depth: int = 6
    max_directories: int = 2_000
    max_skills: int = 1_000
    max_skill_bytes: int = 256_000
    poll: bool | None = None

    def __post_init__(self) -> None:
        for name in ("extensions", "names", "exclude"):
            object.__setattr__(self, name, strings(name, getattr(self, name)))
        object.__setattr__(self, "allow_link_targets", _paths("allow_link_targets", self.allow_link_targets))
        for name in ("max_depth", "max_directories", "max_skills", "max_skill_bytes"):
            whole_number(name, getattr(self, name))
        switch("poll", self.poll)


def _paths(place: str, value: object) -> tuple[Path, ...]:
    if isinstance(value, (list, tuple)) and all(isinstance(item, (str, os.PathLike)) for item in value):
        return tuple(map(Path, value))
    raise ConfigError(f"{place} is {value!r}; it must be a list of paths")
