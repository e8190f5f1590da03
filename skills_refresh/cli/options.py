"""The arguments that all verbs share, and what they become: roots and settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config import KEYS, Config, load_config

_Command = TypeVar("_Command", bound=Callable[..., Any])

# The flags for settings that hold several values; each may be given more than once.
_FLAGS = {
    "extensions": "--extension",
    "names": "--name",
    "exclude": "--exclude",
    "allow_link_targets": "--allow-link-target",
}


def root_arguments(command: _Command) -> _Command:
    """ROOT... and the flags of all settings, as the arguments that `read_config` takes."""
    for key, described in reversed(KEYS.items()):
        if described.kind in ("roots", "workspaces"):
            continue
        if described.kind == "switch":
            choices = click.Choice(["true", "false", "auto"], case_sensitive=False)
            command = click.option("--" + key, key, type=choices, help=described.help)(command)
        elif described.kind == "number":
            flag = "--" + key.replace("_", "-")
            command = click.option(flag, key, type=int, metavar="N", help=described.help)(command)
        else:
            metavar = "DIR" if described.kind == "paths" else "PATTERN" if key == "exclude" else "TEXT"
            command = click.option(_FLAGS[key], key, multiple=True, metavar=metavar, help=described.help)(command)
    command = click.option(
        "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="Read settings from this file."
    )(command)
    return click.argument("roots", nargs=-1, metavar="[ROOT]...", type=click.Path(readable=False))(command)


json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def read_config(arguments: dict[str, Any]) -> Config:
    """The configuration from the arguments that `root_arguments` added. Raises `ConfigError`."""
    config_file = arguments.pop("config_file")
    return load_config(arguments, config_file=config_file)
