"""`skills-refresh check`."""

from __future__ import annotations

from typing import Any

import click

from ..encoding import problems_json
from .options import json_flag, read_config, root_arguments
from .output import count, print_problems, to_json
from .scanning import refuse_files, scan_configured


@click.command("check")
@root_arguments
@json_flag
def command(as_json: bool, **arguments: Any) -> int:
    """Only the problems, each with its cure; ends with 1 if one is an error or a warning."""
    config = read_config(arguments)
    snapshot = scan_configured(config).snapshot
    if as_json:
        click.echo(to_json({"skills": len(snapshot.skills), "problems": problems_json(snapshot.problems)}))
    else:
        print_problems(snapshot.problems, with_cure=True)
        skills = count(len(snapshot.skills), "skill")
        click.echo(f"{skills}, {count(len(snapshot.problems), 'problem') if snapshot.problems else 'no problems'}.")
    refuse_files(config, snapshot)
    return 1 if any(found.severity != "info" for found in snapshot.problems) else 0
