"""What `doctor` tells: per root what is watched, what is left out and how much that saves, and what is slow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .directory import Directory
from .filters import SkillFilter
from .problems import Problem
from .watched_root import WatchedRoot

# Files below pruned directories are counted to show what is saved; a count that takes longer says "at least".
COUNT_AT_MOST = 200_000
COUNT_FOR_S = 2.0
SLOWEST = 3
# The problems that keep a path out by themselves, and those that keep out what lies below their path.
_REFUSALS = {
    "unreadable", "no-descriptor", "not-a-file", "dangling-link", "escaping-link", "foreign-hard-link", "path-too-long",
    "too-large", "skill-limit", "no-frontmatter", "unclosed-frontmatter", "invalid-yaml", "missing-description",
    "shadowed", "miscased-skill-file",
}  # fmt: skip
_LIMITS = {"entry-limit", "file-limit", "link-limit"}


class Pruned(NamedTuple):
    """A directory that is left out: the rule that says so, and how many files lie below it.

    `complete` is False where counting ended at its bound.
    """

    path: Path
    rule: str
    files: int
    complete: bool


class Slow(NamedTuple):
    """How long looking at one directory took, in seconds."""

    path: Path
    seconds: float


class Diagnosis(NamedTuple):
    """What there is to know of one root beside its health."""

    path: Path
    directories: int
    files: int
    pruned: tuple[Pruned, ...]
    slowest: tuple[Slow, ...]


def diagnose(watched: WatchedRoot) -> Diagnosis:
    """Looks at a root that was opened. Reads no file."""
    directories = list(watched.tree.directories.values()) if watched.tree is not None else []
    deadline = time.monotonic() + COUNT_FOR_S
    pruned = tuple(
        Pruned(Path(path), rule, *_count_files(path, deadline))
        for directory in directories
        for path, rule in _pruned(directory, watched.filter)
    )
    timed = sorted(
        (Slow(Path(directory.path), _time(directory)) for directory in directories), key=lambda slow: -slow[1]
    )
    files = sum(len(directory.files) for directory in directories)
    return Diagnosis(Path(watched.root.path), len(directories), files, pruned, tuple(timed[:SLOWEST]))


def explain(path: str, opened: list[WatchedRoot]) -> str:
    """Which rule decides over `path`, in one sentence."""
    absolute = os.path.abspath(os.path.expanduser(path))
    for watched in opened:
        root = watched.root.path
        if absolute == root or absolute.startswith(root.rstrip(os.sep) + os.sep):
            if watched.tree is None:
                return f"the root {root} is missing"
            return _explain_below(absolute[len(root) :].strip(os.sep).split(os.sep), watched)
    return f"it lies below none of the roots: {', '.join(watched.root.path for watched in opened)}"


def _explain_below(parts: list[str], watched: WatchedRoot) -> str:
    assert watched.tree is not None
    by_relative = {directory.relative: directory for directory in watched.tree.directories.values()}
    if parts == [""]:
        return "it is a root"
    for count in range(1, len(parts) + 1):
        relative, above = "/".join(parts[:count]), by_relative.get("/".join(parts[: count - 1]))
        if relative in by_relative:
            continue
        if above is None:
            return "the directory above it is not read"
        name = parts[count - 1]
        shown = os.path.join(watched.root.path, *parts[:count])
        refused = _refusal(shown, name in above.files, watched)
        if refused is not None:
            return f"{shown} {refused.message} [{refused.code}]"
        if name in above.files:
            owner = f"part of the skill in {above.skill}" if above.skill else "outside of any skill"
            return f"it is relevant: a file that is read, {owner}"
        if os.path.isdir(shown):
            rule = watched.filter.why_pruned(relative, in_skill=above.skill is not None)
            return f"{shown} is left out: {rule or 'a limit, or a link to what is found elsewhere; see the problems'}"
        if not os.path.lexists(shown):
            return "it does not exist"
        return f"it is not read: {watched.filter.why_skipped(relative) or 'it is no file; see the problems'}"
    return "it is relevant: a directory that is watched"


def _refusal(shown: str, read: bool, watched: WatchedRoot) -> Problem | None:
    """The problem that keeps what is `shown` out: its own, or that of the directory above it, where a limit was reached
    and it was not `read`."""
    problems = watched.catalog.problems if watched.catalog is not None else ()
    own = (found for found in problems if str(found.path) == shown and found.code in _REFUSALS)
    above = (found for found in problems if str(found.path) == os.path.dirname(shown) and found.code in _LIMITS)
    return next(own, None) or (None if read else next(above, None))


def _pruned(directory: Directory, skill_filter: SkillFilter) -> Iterator[tuple[str, str]]:
    prefix = directory.relative + "/" if directory.relative else ""
    try:
        with os.scandir(directory.path) as scan:
            entries = [entry for entry in scan if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for entry in entries:
        rule = skill_filter.why_pruned(prefix + entry.name, in_skill=directory.skill is not None)
        if rule is not None:
            yield entry.path, rule


def _count_files(path: str, deadline: float) -> tuple[int, bool]:
    count = 0
    for _, _, files in os.walk(path):
        count += len(files)
        if count >= COUNT_AT_MOST or time.monotonic() > deadline:
            return count, False
    return count, True


def _time(directory: Directory) -> float:
    began = time.perf_counter()
    try:
        os.listdir(directory.path)
        for name in directory.files:
            os.stat(os.path.join(directory.path, name))
    except OSError:
        pass  # it is gone or unreadable; how long it took to learn that is its time
    return time.perf_counter() - began
