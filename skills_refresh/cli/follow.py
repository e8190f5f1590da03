"""What `watch` prints: a first line, and then a line for every change of skills or health."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from pathlib import Path

import click

from ..changes import merge
from ..config import Config
from ..encoding import changed_json, health_line_json, ready_json
from ..engine import watch
from ..escaping import printable
from ..health import RootHealth
from ..model import SkillChange, SkillsChanged
from ..problems import Problem
from ..workspace import Workspace
from .output import count, print_problems, sign_of_life, to_json
from .scanning import refuse_files
from .stdout import Follower

_KIND_COLOURS = {"added": "green", "changed": "yellow", "removed": "red"}
_PATHS_SHOWN = 3


class _News:
    """What waits to be printed. Changes that wait are merged, so a slow reader gets fewer lines and misses nothing."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._lock = threading.Lock()
        self._change: SkillsChanged | None = None
        self._health: deque[RootHealth] = deque(maxlen=1_000)

    def on_change(self, change: SkillsChanged) -> None:
        with self._lock:
            self._change = change if self._change is None else merge(self._change, change)
        self._follower.poke()

    def on_health(self, health: RootHealth) -> None:
        with self._lock:
            self._health.append(health)
        self._follower.poke()

    def take(self) -> tuple[SkillsChanged | None, list[RootHealth]]:
        with self._lock:
            change, self._change = self._change, None
            health = list(self._health)
            self._health.clear()
        return change, health


def follow(config: Config, follower: Follower, *, as_json: bool, with_digest: bool) -> None:
    """Prints what happens below the configured roots until `follower` ends. Raises `Ended`, `ConfigError`."""
    workspace = watch(*config.roots, settings=config.settings)
    try:
        _start(workspace, follower)
        refuse_files(config, workspace.snapshot)
        _print_all(workspace, follower, as_json, with_digest, config)
    finally:
        workspace.close()


def _start(workspace: Workspace, follower: Follower) -> None:
    """Starts `workspace` on a thread of its own, so that a signal is heard meanwhile. Raises `Ended`."""
    failures: list[BaseException] = []

    def start() -> None:
        try:
            workspace.start()
        except BaseException as error:
            failures.append(error)
        follower.poke()

    starter = threading.Thread(target=start, name="skills-refresh start", daemon=True)
    with sign_of_life("reading skills"):
        starter.start()
        follower.sleep()
    starter.join()
    if failures:
        raise failures[0]


def _print_all(workspace: Workspace, follower: Follower, as_json: bool, with_digest: bool, config: Config) -> None:
    news = _News(follower)
    workspace.subscribe_health(news.on_health)
    first = workspace.snapshot
    workspace.subscribe(news.on_change, since=first.version, name="watch")

    def write(line: dict[str, object]) -> None:
        if with_digest:
            line["files_digest"] = workspace.files_digest()
        follower.write(to_json(line))

    if as_json:
        write(ready_json(first, workspace.health))
    else:
        follower.write(_paint(_greeting(workspace, config)))
        for state in workspace.health:
            if state.mode in ("polling", "degraded"):
                follower.write(_paint(_describe_health(state)))
        # That a root is missing was said above.
        told = [found for found in first.problems if found.code != "missing-root"]
        print_problems(told, with_cure=False, err=True)
    while True:
        follower.sleep()
        change, health = news.take()
        if change is not None:
            if as_json:
                write(changed_json(change))
            else:
                for text in _lines(change, [root.path for root in config.roots]):
                    follower.write(_paint(text))
        for item in health:
            if as_json:
                write(health_line_json(item))
            else:
                follower.write(_paint(_describe_health(item)))


def _greeting(workspace: Workspace, config: Config) -> str:
    directories = count(sum(health.watched_dirs for health in workspace.health), "directory")
    missing = [printable(str(health.path)) for health in workspace.health if health.mode == "missing"]
    watching = f"{count(len(workspace.snapshot.skills), 'skill')} in {count(len(config.roots) - len(missing), 'root')}"
    waiting = f"; waiting for {', '.join(missing)}" if missing else ""
    return f"{_clock()}  watching {watching}, {directories}{waiting}"


def _describe_health(health: RootHealth) -> str:
    why = ". ".join(text for text in (health.message, health.cure) if text)
    return f"{_clock()}  {printable(str(health.path))} is {health.mode}{': ' if why else ''}{printable(why)}"


def _lines(change: SkillsChanged, roots: list[str]) -> list[str]:
    """A line per skill: time, version, what happened to which skill, and which files."""
    start = f"{_clock()}  {change.version}"
    lines = [f"{start}  {_describe(item, roots)}" for item in change.changes]
    before = set(change.before.problems) if change.before is not None else set()
    after = set(change.snapshot.problems)
    lines += [f"{start}  {_problem('problem', 'red', found, roots)}" for found in sorted(after - before)]
    lines += [f"{start}  {_problem('solved', 'green', found, roots)}" for found in sorted(before - after)]
    return lines


def _describe(item: SkillChange, roots: list[str]) -> str:
    kind = click.style(item.kind.ljust(7), fg=_KIND_COLOURS[item.kind])
    name = click.style(printable(item.skill), bold=True) if item.skill is not None else "(no skill)"
    shown = [_relative(path, roots) for path in item.paths[:_PATHS_SHOWN]]
    more = f" and {len(item.paths) - _PATHS_SHOWN} more" if len(item.paths) > _PATHS_SHOWN else ""
    return f"{kind}  {name}  {', '.join(item.aspects)}  {', '.join(shown)}{more}"


def _problem(word: str, colour: str, found: Problem, roots: list[str]) -> str:
    return f"{click.style(word.ljust(7), fg=colour)}  {_relative(found.path, roots)}: {found.message} [{found.code}]"


def _relative(path: Path, roots: list[str]) -> str:
    """`path` below its root, which is shorter and still says where."""
    root = next((root for root in roots if path.is_relative_to(root)), None)
    return printable(str(path.relative_to(root) if root is not None and str(path) != root else path))


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def _paint(text: str) -> str:
    """`text` without its colours where standard output is no terminal or the user wants none."""
    context = click.get_current_context()
    coloured = sys.stdout.isatty() if context.color is None else context.color
    return text if coloured else click.unstyle(text)
