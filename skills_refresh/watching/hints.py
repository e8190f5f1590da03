"""Events become dirty directories: which directories must be read again, and which names in them were touched.

An event never changes state. Its kind is hardly looked at: a directory that was itself deleted or created is no longer
the one that is watched, and that is all that a kind decides.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from ..directory import Directory
from ..filters import IGNORE_FILE, SkillFilter
from ..tree import Tree
from .base import ADDED, MODIFIED, Event

Dirty = dict[str, set[str]]


def dirty_directories(events: Iterable[Event], tree: Tree, skill_filter: SkillFilter) -> Dirty:
    """The directories of `tree` that `events` make dirty, each with the touched names."""
    dirty: Dirty = {}
    for kind, path in events:
        for holder, link in tree.link_targets.get(path, ()):
            dirty.setdefault(holder, set()).add(link)
        known = tree.directories.get(path)
        if known is not None and kind == MODIFIED:
            dirty.setdefault(path, set())  # permissions, perhaps: list it again
            continue
        above, _, name = path.rpartition(os.sep)
        directory = tree.directories.get(above)
        if directory is None:
            continue
        if known is not None or directory.holds(name) or name in directory.hidden:
            dirty.setdefault(above, set()).add(name)
        elif _is_relevant(kind, path, name, directory, skill_filter):
            dirty.setdefault(above, set()).add(name)
            if name.startswith("."):
                _mark_links(tree, dirty)
    return dirty


def directories_below_changed(events: Iterable[Event], tree: Tree) -> set[str]:
    """The directories below those whose permissions changed, perhaps: whether they can be read may be another now, and
    nothing else tells."""
    stack = [path for kind, path in events if kind == MODIFIED and path in tree.directories]
    below: set[str] = set()
    while stack:
        directory = tree.directories.get(stack.pop())
        if directory is not None:
            stack.extend(path for path in directory.children.values() if path not in below)
            below.update(directory.children.values())
    return below


def touches_ignore_file(events: Iterable[Event], tree: Tree) -> bool:
    """Whether the root's own `.skillsignore` was touched: then everything must be judged anew."""
    path = os.path.join(tree.real_path, IGNORE_FILE)
    return any(event[1] == path for event in events)


def _is_relevant(kind: int, path: str, name: str, directory: Directory, skill_filter: SkillFilter) -> bool:
    """Whether something unknown so far may be relevant."""
    relative = f"{directory.relative}/{name}" if directory.relative else name
    if skill_filter.reads(relative):
        return True
    if kind != ADDED:
        return False
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    if stat.S_ISLNK(mode):
        return True
    return stat.S_ISDIR(mode) and not skill_filter.prunes(relative, in_skill=directory.skill is not None)


def _mark_links(tree: Tree, dirty: Dirty) -> None:
    """A hidden link appeared: links elsewhere may lead through it (Kubernetes flips `..data`)."""
    for directory in tree.directories.values():
        if directory.links:
            dirty.setdefault(directory.path, set())
