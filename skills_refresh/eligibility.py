"""Eligibility: which skills may be used. A check is a function that takes a skill and returns None, or why it must be
hidden: one line, for people.

Two are ready-made: what a skill requires of the machine, and which roots are trusted. What a skill says of itself in a
way that cannot be understood is no reason to hide it, but is logged.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import iscoroutinefunction
from pathlib import Path
from typing import cast

from .errors import ConfigError
from .escaping import printable
from .model import Skill

_log = logging.getLogger("skills_refresh")

Check = Callable[[Skill], "str | None"]
# What `open` and `watch` take: a check, or several, of which the first reason counts.
Eligible = Check | Iterable[Check]

# Gateways in whose declarations `always` means that no program and no variable is needed. nanobot means by it that a
# skill is always in the prompt.
_ALWAYS_IS_ELIGIBLE = frozenset({"openclaw", "clawdbot", "clawdis", "moltbot"})
# What else systems are called in skills than by Python.
_SYSTEMS = {"macos": "darwin", "mac": "darwin", "osx": "darwin", "windows": "win32", "win": "win32"}


def checks_of(eligible: Eligible | None) -> tuple[Check, ...]:
    """The checks in `eligible`, in order; none for None. Raises `ConfigError` for what is no function, and for one that
    would have to be awaited."""
    if eligible is None:
        return ()
    checks = tuple(eligible) if isinstance(eligible, Iterable) and not callable(eligible) else (eligible,)
    for check in checks:
        if not callable(check):
            raise ConfigError(f"eligible: {check!r} is no function; give one that takes a skill and returns a reason")
        if iscoroutinefunction(check) or iscoroutinefunction(getattr(check, "__call__", None)):  # noqa: B004
            raise ConfigError(f"eligible: {check!r} is a coroutine function; give a plain one, with `def`")
    return checks


def for_one_asking(checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """`checks` for asking about many skills at one moment: what the ready-made ones look for on this machine, they look
    for once."""
    return tuple(_for_one_asking(check) for check in checks)


def _for_one_asking(check: Check) -> Check:
    if check is requires:
        which = cache(_which)
        return lambda skill: _unmet(skill, which)
    if isinstance(check, _Trusted):
        judged = cache(check.judge)
        return lambda skill: judged(skill.root)
    return check


def requires(skill: Skill) -> str | None:
    """None where this machine has what `skill` declares that it needs; otherwise what is missing, and the cure.

    Declarations are read where skills for OpenClaw, nanobot and their relatives have them: in `metadata`, itself or
    below a gateway's name, be it YAML or a string of JSON. They are `requires.bins` (programs, all of them),
    `requires.anyBins` (one of them), `requires.env` (variables that are set and not empty) and `os` (systems, one of
    them). `requires.config` names settings that only the gateway knows, and is not looked at.

    The machine is looked at each time, so a program that was installed meanwhile counts when `Workspace.invalidate`
    asks again. Safe from any thread.
    """
    return _unmet(skill, _which)


def _unmet(skill: Skill, which: Callable[[str], str | None]) -> str | None:
    for gateway, declared in _declarations(skill.frontmatter.get("metadata")):
        missing = list(_wrong_system(_words(declared.get("os"))))
        if not (declared.get("always") is True and gateway in _ALWAYS_IS_ELIGIBLE):
            missing += _missing(_mapping(declared.get("requires")), which)
        if missing:
            return "; ".join(missing)
    unread = ", ".join(_unread(skill.frontmatter.get("metadata")))
    if unread:
        _log.warning(
            "%s: what it requires cannot be read in %s, so it is shown; write a list of words, or JSON that is whole",
            printable(str(skill.location)),
            printable(unread),
        )
    return None


def trusted(paths: Iterable[str | os.PathLike[str]]) -> Check:
    """A check that hides every skill whose root is none of `paths` and lies in none of them.

    For roots that come with a project, which anybody may have written. All roots are judged, so name those of the user,
    too. `~` is expanded, and relative paths start at the working directory. The real paths of root and `paths` are
    compared when it is asked, so neither `..` nor a link makes a root trusted; it is asked again when a root's path
    leads elsewhere. The check is safe from any thread, and equal to others of the same paths.

    Raises `ConfigError` where `paths` is no list of paths, or one of them is empty.
    """
    if isinstance(paths, (str, os.PathLike)):
        raise ConfigError(f"trusted: {os.fspath(paths)!r} is one path; give a list, such as [path]")
    if not isinstance(paths, Iterable):
        raise ConfigError(f"trusted: {paths!r} is no list of paths; give one, such as [path]")
    return _Trusted(tuple(map(_absolute, paths)))


def _absolute(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text:  # an empty one would be the working directory
        raise ConfigError(f"trusted: {path!r} is no path; leave it out, or give a directory that you trust")
    return os.path.abspath(os.path.expanduser(text))


@dataclass(frozen=True)
class _Trusted:
    """The check that trusts what lies in `above`. Workspaces with equal ones share its answers."""

    above: tuple[str, ...]

    def __call__(self, skill: Skill) -> str | None:
        return self.judge(skill.root)

    def judge(self, path: Path) -> str | None:
        """None where the root at `path` is trusted."""
        root = os.path.realpath(path)
        for above in map(os.path.realpath, self.above):
            if os.path.commonpath([root, above]) == above:
                return None
        return f"its root {path} is not trusted: look at its skills first, then trust it"


def _declarations(metadata: object) -> Iterator[tuple[str, Mapping[str, object]]]:
    """What is declared in `metadata`, each with the gateway that it was written for, empty where it is for all."""
    declared = _mapping(metadata)
    yield "", declared
    for gateway, value in declared.items():
        if gateway not in ("requires", "os"):
            yield gateway, _mapping(value)


def _unread(metadata: object) -> Iterator[str]:
    """Where in `metadata` something is declared that cannot be understood."""
    for key, value in (
        ("metadata", metadata),
        *((f"metadata.{key}", found) for key, found in _mapping(metadata).items()),
    ):
        if isinstance(value, str) and value.lstrip().startswith("{") and _json(value) is None:
            yield key
    for gateway, declared in _declarations(metadata):
        needed = _mapping(declared.get("requires"))
        lists = {"os": declared.get("os"), **{f"requires.{key}": needed.get(key) for key in ("bins", "anyBins", "env")}}
        for key, value in lists.items():
            if not isinstance(value, (str, list, tuple, type(None))):
                yield f"metadata.{gateway}.{key}" if gateway else f"metadata.{key}"


def _mapping(value: object) -> Mapping[str, object]:
    """`value` as a mapping, be it one or a string of JSON; empty where it is neither."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = _json(value)
    return value if isinstance(value, Mapping) else {}


def _json(text: str) -> object:
    """What `text` holds; None where it is no JSON."""
    import json  # here, as below, because a gateway without this check need not pay for it

    try:
        return cast(object, json.loads(text))
    except (ValueError, RecursionError):
        return None


def _words(value: object) -> list[str]:
    """The words in `value`, a list of them or one string with commas; whatever else is in it is left out."""
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else ()
    words = [item.strip() for item in items if isinstance(item, str)]
    return [word for word in words if word and "\0" not in word]


def _wrong_system(systems: list[str]) -> Iterator[str]:
    names = {_SYSTEMS.get(system.lower(), system.lower()) for system in systems}
    if names and sys.platform not in names:
        yield f"runs on {', '.join(systems)} alone, and this is {sys.platform}: use it there"


def _which(program: str) -> str | None:
    import shutil

    return shutil.which(program)


def _missing(needed: Mapping[str, object], which: Callable[[str], str | None]) -> Iterator[str]:
    for program in _words(needed.get("bins")):
        if which(program) is None:
            yield f"needs the program {program}: install it, or put it on the PATH"
    programs = _words(needed.get("anyBins"))
    if programs and not any(map(which, programs)):
        yield f"needs one of the programs {', '.join(programs)}: install one, or put it on the PATH"
    for variable in _words(needed.get("env")):
        if not os.environ.get(variable):
            yield f"needs the environment variable {variable}: set it where the gateway is started"
