"""Where settings come from: flags over `SKILLS_REFRESH_*` over the project's file over the user's file over defaults.

A project's file is the nearest `skills-refresh.toml`, or `pyproject.toml` with a table `[tool.skills-refresh]`, in the
working directory or above. Relative paths in a file start at its directory. An unknown key is an error that names the
nearest known one: a misspelt setting that is silently ignored costs an afternoon.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from .arguments import strings, whole_number
from .errors import ConfigError
from .roots import Root, default_roots, make_roots
from .settings import Settings

PROJECT_FILE = "skills-refresh.toml"
ENVIRONMENT_PREFIX = "SKILLS_REFRESH_"
# Variables with our prefix that are no settings: the file to read instead of the project's, and the server's secret.
CONFIG_VARIABLE = ENVIRONMENT_PREFIX + "CONFIG"
TOKEN_VARIABLE = ENVIRONMENT_PREFIX + "TOKEN"
_NO_SETTINGS = (CONFIG_VARIABLE, TOKEN_VARIABLE)
_NUMBER = re.compile("[0-9]{1,18}")
_WORKSPACE_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class Key(NamedTuple):
    """One setting: its kind (`roots`, `workspaces`, `paths`, `words`, `number` or `switch`) and what it means, for
    `--help` and the documentation."""

    kind: str
    help: str


KEYS: dict[str, Key] = {
    "roots": Key("roots", "Directories that hold skills; earlier ones win."),
    "extensions": Key("words", "File extensions that count beside the built-in ones, such as .svg."),
    "names": Key("words", "File names that count whatever their extension, such as Justfile."),
    "exclude": Key("words", "gitignore-style patterns to leave out; !PATTERN takes a built-in exclude back."),
    "allow_link_targets": Key("paths", "Directories outside of the roots that links may lead to."),
    "max_depth": Key("number", "How many levels below a root skills are searched."),
    "max_directories": Key("number", "How many directories are searched for skills in each root."),
    "max_skills": Key("number", "How many skills each root may hold."),
    "max_skill_bytes": Key("number", "How large a SKILL.md may be, in bytes."),
    "poll": Key("switch", "Look at all roots again and again: true, false, or auto (where events do not tell)."),
    "workspaces": Key("workspaces", "Further lists of roots by name, which `serve` serves below /w/NAME/."),
}
# What a root may say of itself where it is a table: {path = "…", poll = true}.
_ROOT_KEYS = ("path", "poll")
_SWITCH: dict[object, bool | None] = {"true": True, "false": False, "auto": None, True: True, False: False}


class Config(NamedTuple):
    """What was configured: the roots, the settings, the places they came from, the strongest first, and the roots of
    further workspaces by name."""

    roots: tuple[Root, ...]
    settings: Settings
    sources: tuple[str, ...]
    workspaces: Mapping[str, tuple[Root, ...]] = MappingProxyType({})


def load_config(
    flags: Mapping[str, object] | None = None,
    *,
    config_file: Path | None = None,
    directory: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Config:
    """The configuration for a command run in `directory` (the working directory).

    `flags` are values from a command line, by key. `config_file` is read instead of the project's file. Raises
    `ConfigError` for an unknown key, a value of the wrong type, or a file that cannot be read.
    """
    try:
        base = directory or Path.cwd()
    except OSError as error:
        raise ConfigError(f"the working directory: {error.strerror}; change to one that exists") from error
    merged: dict[str, object] = {}
    sources: list[str] = []
    layers = [
        ("flags", {key: value for key, value in (flags or {}).items() if value not in (None, ())}, base),
        ("environment", _from_environment(environment), base),
        *_files(base, config_file, environment),
    ]
    for source, values, relative_to in layers:
        if values:
            sources.append(source)
        for key, value in values.items():
            place = {"flags": f"--{key.replace('_', '-')}", "environment": ENVIRONMENT_PREFIX + key.upper()}.get(source)
            checked = _checked(place or source, key, value, relative_to)
            merged.setdefault(key, checked)
    roots = merged.pop("roots", ())
    workspaces = merged.pop("workspaces", {})
    assert isinstance(roots, tuple)
    assert isinstance(workspaces, dict)
    settings = Settings(**merged)  # type: ignore[arg-type]  # each value was checked against KEYS, whose names a test compares with the fields
    return Config(roots or default_roots(), settings, tuple(sources), workspaces)


def _files(
    base: Path, config_file: Path | None, environment: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, object], Path]]:
    named = environment.get(CONFIG_VARIABLE)
    chosen = config_file or (Path(named).expanduser() if named else None)
    if chosen is not None:
        yield str(chosen), _read(base / chosen), (base / chosen).parent
    else:
        for directory in (base, *base.absolute().parents):
            values = _project_values(directory)
            if values is not None:
                yield values[0], values[1], directory
                break
    import platformdirs  # here, because only the command line reads files

    user_file = platformdirs.user_config_path("skills-refresh") / "config.toml"
    # A service often runs with a home that it may not look into: then it has no file of its own.
    if os.access(user_file, os.F_OK) and user_file.is_file():
        yield str(user_file), _read(user_file), user_file.parent


def _project_values(directory: Path) -> tuple[str, dict[str, object]] | None:
    own = directory / PROJECT_FILE
    if own.is_file():
        return str(own), _read(own)
    shared = directory / "pyproject.toml"
    if shared.is_file():
        tool = _read(shared).get("tool")
        if isinstance(tool, dict) and "skills-refresh" in tool:
            values = tool["skills-refresh"]
            if not isinstance(values, dict):
                raise ConfigError(f"{shared}: tool.skills-refresh is {values!r}; make it a table")
            return f"{shared} [tool.skills-refresh]", values
    return None


def _read(path: Path) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name another file with --config") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}; mend the file") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _NO_SETTINGS or not text:
            continue
        key = variable[len(ENVIRONMENT_PREFIX) :].lower()
        kind = _known(variable, key).kind
        if kind == "workspaces":
            raise ConfigError(f"{variable}: workspaces can be set in a file alone; see --config")
        if kind == "switch":
            found[key] = text.strip().lower()
        elif kind == "number":
            found[key] = int(text) if _NUMBER.fullmatch(text.strip()) else text
        else:
            separator = os.pathsep if kind in ("roots", "paths") else ","
            found[key] = [part.strip() for part in text.split(separator) if part.strip()]
    return found


def _known(source: str, key: str) -> Key:
    known = KEYS.get(key)
    if known is None:
        nearest = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(KEYS)}"
        raise ConfigError(f"{source}: unknown setting {key!r}; {hint}")
    return known


def _checked(source: str, key: str, value: object, base: Path) -> object:
    """`value` as `Settings` wants it."""
    kind = _known(source, key).kind
    if kind == "number":
        return whole_number(f"{source}: {key}", value)
    if kind == "switch":
        return _switch(source, key, value)
    if kind == "workspaces":
        return _workspaces(source, value, base)
    if kind == "roots" and isinstance(value, (list, tuple)):
        return tuple(dict.fromkeys(_root(source, item, base) for item in value))
    several = strings(f"{source}: {key}", value)
    if kind == "paths":
        return tuple(Path(root.path) for root in make_roots(several, base=base))
    return several


def _workspaces(source: str, value: object, base: Path) -> dict[str, tuple[Root, ...]]:
    """Lists of roots by name, from tables such as `[workspaces.alice]` with `roots = […]`."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{source}: workspaces is {value!r}; write a table for each: [workspaces.NAME]")
    found = {}
    for name, table in value.items():
        if not _WORKSPACE_NAME.fullmatch(name):
            raise ConfigError(f"{source}: workspaces holds {name!r}; a name has letters, digits, - and _ alone")
        roots = table.get("roots") if isinstance(table, Mapping) and table.keys() == {"roots"} else None
        if not isinstance(roots, list) or not roots:
            unknown = next((key for key in table if key != "roots"), None) if isinstance(table, Mapping) else None
            what = f"holds {unknown!r}" if unknown is not None else f"is {table!r}"
            raise ConfigError(f"{source}: workspaces.{name} {what}; it must be a table with roots = [DIR, …]")
        found[name] = tuple(dict.fromkeys(_root(source, item, base) for item in roots))
    return found


def _switch(source: str, key: str, value: object) -> bool | None:
    if isinstance(value, (str, bool)) and value in _SWITCH:
        return _SWITCH[value]
    raise ConfigError(f"{source}: {key} is {value!r}; it must be true, false or auto")


def _root(source: str, value: object, base: Path) -> Root:
    """A root from its path, or from a table that also says how it is watched."""
    if isinstance(value, Mapping):
        unknown = next((key for key in value if key not in _ROOT_KEYS), None)
        if unknown is not None:
            raise ConfigError(f"{source}: unknown setting {unknown!r} of a root; known are {', '.join(_ROOT_KEYS)}")
        root = _root(source, value.get("path"), base)
        return root._replace(poll=_switch(source, "poll", value.get("poll", "auto")))
    if isinstance(value, (str, Path)):
        return make_roots([value], base=base)[0]
    raise ConfigError(f"{source}: roots holds {value!r}; it must be a path, or a table with path and poll")
