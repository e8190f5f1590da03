"""`skills-refresh show`."""

from __future__ import annotations

import difflib
from typing import Any

import click

from ..encoding import skill_details_json
from ..errors import ConfigError
from ..escaping import printable, printable_block
from ..freezing import plain
from ..model import Skill, Snapshot
from .options import json_flag, read_config, root_arguments
from .output import to_json
from .scanning import scan_configured


@click.command("show")
@click.argument("name")
@root_arguments
@json_flag
def command(name: str, as_json: bool, **arguments: Any) -> None:
    """One skill: its fields, files and instructions."""
    snapshot = scan_configured(read_config(arguments)).snapshot
    skill = snapshot.skills.get(name)
    if skill is None:
        raise ConfigError(_why_not(name, snapshot))
    if as_json:
        click.echo(to_json(skill_details_json(skill)))
    else:
        _print(skill)


def _why_not(name: str, snapshot: Snapshot) -> str:
    for found in snapshot.problems:
        if found.severity == "error" and found.path.parent.name == name:
            return f"{printable(str(found.path))}: cannot be loaded: {found.message}; {found.cure}"
    nearest = difflib.get_close_matches(name, snapshot.skills, n=1)
    hint = f"did you mean {printable(nearest[0])!r}?" if nearest else "`skills-refresh list` shows what there is"
    return f"no skill is called {printable(name)!r}; {hint}"


def _print(skill: Skill) -> None:
    for label, text in (
        ("name", skill.name),
        ("description", skill.description),
        ("location", str(skill.location)),
        ("digest", skill.digest),
        *(
            (key, to_json(plain(value)))
            for key, value in skill.frontmatter.items()
            if key not in ("name", "description")
        ),
    ):
        click.echo(f"{click.style(printable(label) + ':', bold=True)} {printable(text)}")
    click.echo(click.style("files:", bold=True))
    for file in skill.files:
        click.echo(f"  {printable(file.path)}  {file.size:,} bytes")
    click.echo()
    click.echo(printable_block(skill.instructions()))
