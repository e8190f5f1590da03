"""`Root`: a directory that holds skills, as the user wrote it, and the roots that are searched by default."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, cast

from .arguments import switch
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
    return tuple(Root(path) for path in dict.fromkeys(_absolute(path, base) for path in paths))


def _absolute(path: object, base: str | os.PathLike[str] = ".") -> str:
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if isinstance(text, str) and text and "\0" not in text:
        return os.path.abspath(os.path.join(base, os.path.expanduser(text)))
    cure = "name a directory, such as . for this one"
    if isinstance(path, (list, tuple)):
        cure = "give each of its paths by itself, as in watch(*paths)"
    elif isinstance(path, bytes):
        cure = "decode it with os.fsdecode"
    raise ConfigError(f"{path if text is None else text!r}: not a path; {cure}")


def default_roots() -> tuple[Root, ...]:
    """The roots of a user who named none; those that do not exist are waited for."""
    return tuple(Root(str(Path(path).expanduser().absolute()), optional=True) for path in DEFAULT_ROOTS)


Roots = str | os.PathLike[str] | Root | Iterable[str | os.PathLike[str] | Root]


def resolve_roots(roots: Roots) -> tuple[Root, ...]:
    """`roots` in order and without repetition; the default ones where there are none. A single path is one root.

    Raises `ConfigError` for what cannot be a path.
    """
    one = not isinstance(roots, Iterable) or isinstance(roots, (str, bytes, os.PathLike, Root))
    given = (roots,) if one else tuple(cast("Iterable[object]", roots))
    if not given:
        return default_roots()
    return tuple(dict.fromkeys(map(_root, given)))


def _root(given: object) -> Root:
    if not isinstance(given, Root):
        return Root(_absolute(given))
    switch(f"poll of the root {given.path}", given.poll)
    return given._replace(path=_absolute(given.path))
