"""`skills-refresh list`."""

from __future__ import annotations

from typing import Any

import click

from ..encoding import snapshot_json
from .options import json_flag, read_config, root_arguments
from .output import count, print_problems, print_table, to_json
from .scanning import refuse_files, scan_configured


@click.command("list")
@root_arguments
@json_flag
def command(as_json: bool, **arguments: Any) -> None:
    """What skills there are, and what is wrong with them."""
    config = read_config(arguments)
    found = scan_configured(config)
    snapshot = found.snapshot
    if as_json:
        shown = snapshot_json(snapshot)
        click.echo(to_json({"digest": shown.pop("digest"), "files_digest": found.files_digest, **shown}))
    else:
        print_table(
            (skill.name, count(len(skill.files), "file"), skill.description) for skill in snapshot.skills.values()
        )
        if not snapshot.skills:
            click.echo(f"No skills in {', '.join(root.path for root in config.roots)}.", err=True)
        print_problems(snapshot.problems, with_cure=False, err=True)
    refuse_files(config, snapshot)
