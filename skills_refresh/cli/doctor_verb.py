"""`skills-refresh doctor`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from ..diagnosis import Diagnosis, diagnose, explain
from ..encoding import health_json, path_json, problems_json
from ..engine import watch
from ..escaping import printable
from ..fresh_scan import scan_roots
from ..health import RootHealth
from ..model import Snapshot
from ..watching.limits import inotify_limit, kernel_watches, open_descriptors
from .options import json_flag, read_config, root_arguments
from .output import count, print_problems, sign_of_life, to_json
from .scanning import refuse_files

_PRUNED_SHOWN = 10


@click.command("doctor")
@root_arguments
@click.option("--why", metavar="PATH", help="Say which rule decides over PATH, and end.")
@json_flag
def command(as_json: bool, why: str | None, **arguments: Any) -> None:
    """What is watched, what is left out, what it costs, and how to mend each problem."""
    config = read_config(arguments)
    snapshot, opened = scan_roots(config.roots, config.settings)
    refuse_files(config, snapshot)
    if why is not None:
        answer = explain(why, opened)
        click.echo(to_json({"path": why, "answer": answer}) if as_json else f"{printable(why)}: {printable(answer)}")
        return
    with sign_of_life("looking closely"):
        descriptors_before = open_descriptors()
        with watch(*config.roots, settings=config.settings) as workspace:
            health, watches, descriptors = workspace.health, kernel_watches(), open_descriptors()
        diagnoses = [diagnose(watched) for watched in opened]
    costs: dict[str, int | None] = {
        "kernel_watches": watches,
        "max_user_watches": inotify_limit("max_user_watches"),
        "max_user_instances": inotify_limit("max_user_instances"),
        "descriptors": None if descriptors is None or descriptors_before is None else descriptors - descriptors_before,
    }
    if as_json:
        click.echo(to_json(_as_json(snapshot, health, diagnoses, costs, config.sources)))
    else:
        _print(snapshot, health, diagnoses, costs, config.sources)


def _as_json(
    snapshot: Snapshot,
    health: tuple[RootHealth, ...],
    diagnoses: list[Diagnosis],
    costs: dict[str, int | None],
    sources: tuple[str, ...],
) -> dict[str, object]:
    roots = [
        {
            **health_json(state),
            "files": found.files,
            "pruned": [pruned._asdict() | {"path": path_json(pruned.path)} for pruned in found.pruned],
            "slowest": [{"path": path_json(slow.path), "seconds": slow.seconds} for slow in found.slowest],
        }
        for state, found in zip(health, diagnoses, strict=True)
    ]
    return {"roots": roots, **costs, "problems": problems_json(snapshot.problems), "configured_by": list(sources)}


def _print(
    snapshot: Snapshot,
    health: tuple[RootHealth, ...],
    diagnoses: list[Diagnosis],
    costs: dict[str, int | None],
    sources: tuple[str, ...],
) -> None:
    for state, found in zip(health, diagnoses, strict=True):
        reason = f": {state.reason}" if state.reason else ""
        click.echo(f"{click.style(printable(str(state.path)), bold=True)}  {state.mode}{reason}")
        click.echo(f"  watched   {count(state.watched_dirs, 'directory')}, {count(found.files, 'relevant file')}")
        if state.polled_dirs:
            click.echo(f"  polled    {count(state.polled_dirs, 'directory')}")
        _print_pruned(found)
        for slow in found.slowest:
            click.echo(f"  slowest   {slow.seconds * 1_000:.2f} ms  {printable(str(slow.path))}")
    if costs["kernel_watches"] is not None and costs["max_user_watches"] is not None:
        share = costs["kernel_watches"] / costs["max_user_watches"]
        click.echo(f"kernel watches  {costs['kernel_watches']:,} of {costs['max_user_watches']:,} ({share:.2%})")
    if costs["descriptors"] is not None:
        click.echo(f"descriptors     {costs['descriptors']}, however many files there are")
    click.echo(f"configured by   {', '.join(sources) or 'defaults'}")
    counted = Counter(found.severity for found in snapshot.problems)
    told = ", ".join(count(number, severity) for severity, number in sorted(counted.items()) if severity != "info")
    click.echo(f"skills          {len(snapshot.skills):,}; problems: {told or 'none'}")
    print_problems(snapshot.problems, with_cure=True)


def _print_pruned(found: Diagnosis) -> None:
    files = sum(pruned.files for pruned in found.pruned)
    at_least = "" if all(pruned.complete for pruned in found.pruned) else "at least "
    click.echo(f"  left out  {count(len(found.pruned), 'directory')} with {at_least}{count(files, 'file')}")
    for pruned in sorted(found.pruned, key=lambda pruned: -pruned.files)[:_PRUNED_SHOWN]:
        click.echo(f"            {pruned.files:>8,}  {printable(str(pruned.path))}  ({pruned.rule})")
