"""How verbs print: JSON for programs; aligned, coloured text for people; and a sign of life when it takes long."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from ..escaping import printable
from ..problems import Problem, Severity

_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "info": "blue"}
# A scan that is quicker shows nothing.
_PATIENCE_S = 1.0


def to_json(value: object) -> str:
    """One line of JSON. ASCII alone, so that no terminal and no encoding can spoil it."""
    return json.dumps(value, separators=(", ", ": "))


def print_table(rows: Iterable[tuple[str, str, str]]) -> None:
    """Three columns; the last takes what is left of the terminal's width."""
    rows = [(printable(first), printable(second), printable(" ".join(third.split()))) for first, second, third in rows]
    first_width = max((len(row[0]) for row in rows), default=0)
    second_width = max((len(row[1]) for row in rows), default=0)
    room = max(shutil.get_terminal_size((100, 24)).columns - first_width - second_width - 4, 20)
    for first, second, third in rows:
        last = third if len(third) <= room else third[: room - 1] + "…"
        click.echo(f"{click.style(first.ljust(first_width), bold=True)}  {second.rjust(second_width)}  {last}")


def print_problems(problems: Iterable[Problem], *, with_cure: bool, err: bool = False) -> None:
    """Problems with their codes; the path first, so that editors can follow it."""
    for found in problems:
        severity = click.style(found.severity, fg=_COLOURS[found.severity], bold=True)
        click.echo(f"{printable(str(found.path))}: {severity}: {found.message} [{found.code}]", err=err)
        if with_cure:
            click.echo(f"    {found.cure}", err=err)


def count(number: int, noun: str) -> str:
    """`1 skill`, `2 skills`, `2 directories`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


@contextmanager
def sign_of_life(text: str) -> Iterator[None]:
    """Shows `text` and the seconds that have passed, on a terminal, once something has taken longer than a second."""
    done = threading.Event()
    if not sys.stderr.isatty():
        yield
        return

    def spin() -> None:
        passed = _PATIENCE_S
        if done.wait(_PATIENCE_S):
            return
        while True:
            for frame in "|/-\\":
                click.echo(f"\r{frame} {text} ({passed:.0f} s)", nl=False, err=True)
                if done.wait(0.1):
                    click.echo("\r\033[K", nl=False, err=True)
                    return
                passed += 0.1

    spinner = threading.Thread(target=spin, name="skills-refresh spinner", daemon=True)
    spinner.start()
    try:
        yield
    finally:
        done.set()
        spinner.join()
