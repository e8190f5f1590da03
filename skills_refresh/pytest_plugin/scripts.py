"""Whether a file parses as what its name says it is. Nothing of it is run.

Python is read by this interpreter, shell scripts by `bash -n` where there is a bash, data by the parsers that the
library has anyway. JavaScript is left alone: a Node.js for each file takes longer than all else together.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import PurePath
from typing import NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# It only parses; a file of a megabyte takes a tenth of a second.
_BASH_TIMEOUT_S = 10.0
_BASH_LINE = re.compile(r"line ([0-9]+): (.*)")
_TOML_LINE = re.compile(r"\(at line ([0-9]+)")
_SHELLS = re.compile(rb"#!.*\b(?:ba|da|k)?sh\b")
# PyYAML and its libyaml take time that grows with the square of the nesting: 19 s for 100 kB of brackets.
_MAX_YAML_DEPTH = 100
# JSON in name alone: TypeScript reads comments and trailing commas in its settings, and people write them there.
_NO_JSON = re.compile(r"[jt]sconfig\b.*\.json", re.IGNORECASE)


class Broken(NamedTuple):
    """Why a file does not parse, and its line, counted from 1; None where the parser does not say."""

    message: str
    line: int | None


def why_broken(name: str, content: bytes) -> Broken | None:
    """Why `content` is not what the file name `name` says; None where it is, or where nobody here can tell."""
    path = PurePath(name)
    check = None if _NO_JSON.fullmatch(path.name) else _CHECKS.get(path.suffix.lower())
    return None if check is None else check(content)


def _why_no_python(content: bytes) -> Broken | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape is no fault of whoever runs the tests
            compile(content, "script", "exec", dont_inherit=True)
    except SyntaxError as error:
        return Broken(f"is no Python: {error.msg}", error.lineno)
    except (ValueError, RecursionError, MemoryError) as error:  # NUL bytes; thousands of brackets
        return Broken(f"is no Python: {str(error) or 'it is nested too deeply'}", None)
    return None


def _why_no_shell_script(content: bytes) -> Broken | None:
    bash = shutil.which("bash")
    if bash is None or (content.startswith(b"#!") and not _SHELLS.match(content.partition(b"\n")[0])):
        return None
    # BASH_ENV names a file that bash reads first, whose mistakes are not this script's.
    environment = {name: value for name, value in os.environ.items() if name != "BASH_ENV"} | {"LC_ALL": "C"}
    try:
        done = subprocess.run(
            [bash, "-n"], input=content, capture_output=True, env=environment, timeout=_BASH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Broken(f"bash -n did not end within {_BASH_TIMEOUT_S:g} s", None)
    if done.returncode == 0:
        return None
    told = done.stderr.decode("utf-8", "replace")
    where = _BASH_LINE.search(told)
    return Broken(f"is no shell script: {where[2]}", int(where[1])) if where else Broken(told.strip(), None)


def _why_no_json(content: bytes) -> Broken | None:
    try:
        json.loads(content)
    except json.JSONDecodeError as error:
        return Broken(f"is no JSON: {error.msg}", error.lineno)
    except (ValueError, RecursionError) as error:
        return Broken(f"is no JSON: {error}", None)
    return None


def _why_no_toml(content: bytes) -> Broken | None:
    try:
        tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        where = _TOML_LINE.search(str(error))
        return Broken(f"is no TOML: {error}", int(where[1]) if where else None)
    return None


def _why_no_yaml(content: bytes) -> Broken | None:
    import yaml

    depth = 0
    try:
        # Events alone: tags that only some program knows are fine, and aliases are not unfolded.
        for event in yaml.parse(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_YAML_DEPTH:
                return Broken("is no YAML that programs read: it is nested too deeply", None)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        return Broken(f"is no YAML: {error.problem or error.context}", None if mark is None else mark.line + 1)
    except (yaml.YAMLError, ValueError) as error:
        return Broken(f"is no YAML: {str(error).partition(chr(10))[0]}", None)
    return None


_CHECKS: dict[str, Callable[[bytes], Broken | None]] = {
    ".py": _why_no_python,
    ".pyi": _why_no_python,
    ".sh": _why_no_shell_script,
    ".bash": _why_no_shell_script,
    ".json": _why_no_json,
    ".toml": _why_no_toml,
    ".yaml": _why_no_yaml,
    ".yml": _why_no_yaml,
}
