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
from ..health import Cause, RootHealth
from ..model import Snapshot
from ..probe import probe
from ..watching.limits import kernel_watches, limit_for, open_descriptors
from .options import json_flag, read_config, root_arguments
from .output import count, print_problems, sign_of_life, to_json
from .scanning import refuse_files

_PRUNED_SHOWN = 10


@click.command("doctor")
@root_arguments
@click.option("--why", metavar="PATH", help="Say which rule decides over PATH, and end.")
@click.option("--probe", "only_probe", is_flag=True, help="Prove in a temporary directory that events arrive, and end.")
@json_flag
def command(as_json: bool, why: str | None, only_probe: bool, **arguments: Any) -> int:
    """What is watched, what is left out, what it costs, and how to mend each problem.

    With --probe, ends with 1 if an event does not arrive on this machine.
    """
    if only_probe:
        return _probe(as_json)
    config = read_config(arguments)
    snapshot, opened = scan_roots(config.roots, config.settings)
    refuse_files(config, snapshot)
    if why is not None:
        answer = explain(why, opened)
        click.echo(to_json({"path": why, "answer": answer}) if as_json else f"{printable(why)}: {printable(answer)}")
        return 0
    with sign_of_life("looking closely"):
        descriptors_before = open_descriptors()
        with watch(*config.roots, settings=config.settings) as workspace:
            workspace.sync()  # by then what is polled was looked at once, and it is known what that costs
            health, watches, descriptors = workspace.health, kernel_watches(), open_descriptors()
        diagnoses = [diagnose(watched) for watched in opened]
    costs: dict[str, int | None] = {
        "kernel_watches": watches,
        "max_user_watches": _value("watch-limit"),
        "max_user_instances": _value("instance-limit"),
        "descriptors": None if descriptors is None or descriptors_before is None else descriptors - descriptors_before,
    }
    if as_json:
        click.echo(to_json(_as_json(snapshot, health, diagnoses, costs, config.sources)))
    else:
        _print(snapshot, health, diagnoses, costs, config.sources)
    return 0


def _probe(as_json: bool) -> int:
    """Prints each step as it is done; returns 1 where one was not told."""
    steps = []
    for step in probe():
        steps.append(step)
        if not as_json:
            told = "not told" if step.seconds is None else f"{step.seconds * 1_000:.1f} ms"
            click.echo(f"{step.name:<30}  {click.style(told, fg='red' if step.seconds is None else 'green')}")
            if step.hint:
                click.echo(f"  {step.hint}")
    missed = [step for step in steps if step.seconds is None]
    if as_json:
        click.echo(to_json({"native": not missed, "steps": [step._asdict() for step in steps]}))
    elif missed:
        click.echo(
            "Events do not arrive here. Skills are still found, by looking every 15 s, or more often with poll = true."
        )
    else:
        click.echo("Events arrive on this machine.")
    return 1 if missed else 0


def _value(cause: Cause) -> int | None:
    limit = limit_for(cause)
    return None if limit is None else limit.value


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
        reason = f" ({state.reason}): {state.message}" if state.reason else ""
        click.echo(f"{click.style(printable(str(state.path)), bold=True)}  {state.mode}{reason}")
        if state.cure:
            click.echo(f"  cure      {state.cure}")
        click.echo(f"  watched   {count(state.watched_dirs, 'directory')}, {count(found.files, 'relevant file')}")
        if state.polled_dirs:
            click.echo(f"  polled    {count(state.polled_dirs, 'directory')}{_polling(state)}")
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


def _polling(state: RootHealth) -> str:
    """How often polled directories are looked at, and what it costs."""
    if state.poll_interval is None or state.poll_seconds is None:
        return ""
    share = state.poll_seconds / state.poll_interval
    every = f"every {state.poll_interval:.1f} s" if state.poll_interval < 60 else f"every {state.poll_interval:.0f} s"
    return f", {every}, {state.poll_seconds * 1_000:.2f} ms each time ({share:.2%} of a processor)"


def _print_pruned(found: Diagnosis) -> None:
    files = sum(pruned.files for pruned in found.pruned)
    at_least = "" if all(pruned.complete for pruned in found.pruned) else "at least "
    click.echo(f"  left out  {count(len(found.pruned), 'directory')} with {at_least}{count(files, 'file')}")
    for pruned in sorted(found.pruned, key=lambda pruned: -pruned.files)[:_PRUNED_SHOWN]:
        click.echo(f"            {pruned.files:>8,}  {printable(str(pruned.path))}  ({pruned.rule})")
