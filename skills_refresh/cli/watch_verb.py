"""`skills-refresh watch`."""

from __future__ import annotations

import sys
from typing import Any

import click

from .options import json_flag, read_config, root_arguments
from .stdout import following


@click.command("watch")
@root_arguments
@json_flag
@click.option(
    "--files-digest",
    "with_digest",
    is_flag=True,
    help="Add files_digest to each line; for checking, it takes a full pass.",
)
def command(as_json: bool, with_digest: bool, **arguments: Any) -> None:
    """Follow every change as it happens, until Ctrl-C.

    With --json, each line is an object: first "ready", then "changed" and "health".
    """
    if sys.stdout is None:
        return  # started without a standard output: nobody can ever read it
    with following() as follower:
        # Imported here, so that a signal is heard a moment after the process has begun, not when all is loaded.
        from .follow import follow

        follow(read_config(arguments), follower, as_json=as_json, with_digest=with_digest)
