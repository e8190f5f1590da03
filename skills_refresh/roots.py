"""`Root`: a directory that holds skills, as the user wrote it, and the roots that are searched by default."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .errors import ConfigError

# Where agents and their users keep skills, nearest first: the project's before the user's own.
DEFAULT_ROOTS = (".agents/skills", ".claude/skills", "~/.agents/skills", "~/.claude/skills")


class Root(NamedTuple):
    """A directory that holds skills.

    `path` is absolute but not resolved: a root may be a link that is flipped. An `optional` root (one of the defaults)
    is no problem when it is missing. `poll` is True to look at it again and again instead of watching it, False to
    watch it wherever it lies, and None for what `Settings.poll` says.
    """

    path: str
    optional: bool = False
    poll: bool | None = None


def make_roots(paths: Iterable[str | os.PathLike[str]], *, base: str | os.PathLike[str] = ".") -> tuple[Root, ...]:
    """Roots for `paths`, in order and without repetition. `~` is expanded; relative paths start at `base`.

    Raises `ConfigError` for what cannot be a path.
    """
    paths = tuple(paths)
    for path in paths:
        if not os.fspath(path) or "\0" in os.fspath(path):
            raise ConfigError(f"{os.fspath(path)!r}: not a path; name a directory, such as . for this one")
    absolute = (os.path.abspath(os.path.join(base, os.path.expanduser(os.fspath(path)))) for path in paths)
    return tuple(Root(path) for path in dict.fromkeys(absolute))


def default_roots() -> tuple[Root, ...]:
    """The roots of a user who named none; those that do not exist are waited for."""
    return tuple(Root(str(Path(path).expanduser().absolute()), optional=True) for path in DEFAULT_ROOTS)


Roots = str | os.PathLike[str] | Iterable[str | os.PathLike[str] | Root]


def resolve_roots(roots: Roots) -> tuple[Root, ...]:
    """`roots` in order and without repetition; the default ones where there are none. A single path is one root.

    Raises `ConfigError` for what cannot be a path.
    """
    given = (roots,) if isinstance(roots, (str, os.PathLike)) else tuple(roots)
    if not given:
        return default_roots()
    return tuple(dict.fromkeys(root if isinstance(root, Root) else make_roots([root])[0] for root in given))
