"""`skills-refresh prompt`."""

from __future__ import annotations

from typing import Any

import click

from .options import json_flag, read_config, root_arguments
from .output import to_json
from .scanning import refuse_files, scan_configured


@click.command("prompt")
@root_arguments
@json_flag
def command(as_json: bool, **arguments: Any) -> None:
    """The text that a model gets to read; nothing where there are no skills."""
    config = read_config(arguments)
    snapshot = scan_configured(config).snapshot
    text = snapshot.prompt()
    if as_json:
        click.echo(to_json({"prompt": text, "characters": len(text), "skills": len(snapshot.skills)}))
    elif text:
        click.echo(text)
    refuse_files(config, snapshot)
