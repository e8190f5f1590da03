"""`Settings`: what a user can change about finding skills. Plain data with good defaults; `config.py` fills it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    """How skills are found. Immutable.

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
