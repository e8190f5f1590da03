"""The relevant part of one root as it was last read: directories, and the signature and hash of each relevant file.

Rules of this file:

- Nothing here watches. A directory is told as added when it enters the plan; whoever arms it afterwards lets
  `watching.audit` look once more, so nothing written in between is lost.
- Directories are known by their real path, because the kernel watches inodes: two ways to one directory are one
  directory, that without a link wins, then the first by path. `relative` is the way that won.
- What a directory means depends on whether it lies inside a skill: only outside of skills are depth and number limited,
  only inside are `build` and its like excluded.
- What one skill may hold is bounded too, so that a hostile one costs little and takes nothing from the others.
- After any sequence of `read_again`, the tree equals what a new one would read. Where links or limits make one
  directory depend on another far away, the whole root is read again.
"""

from __future__ import annotations

import heapq
import math
import os
import stat
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping

from .directory import Directory
from .filters import SkillFilter
from .listing import Lister
from .problems import Problem, problem
from .roots import Root
from .settings import Settings
from .tree_change import TreeChange
from .tree_limits import MAX_LEVELS_IN_SKILL, TreeLimits

# Where to read, what is known of it (None: it is new), and the names that were touched in it.
_Place = tuple[Directory, "Directory | None", set[str]]


class _TooEntangled(Exception):
    """One directory's meaning depends on others; the whole root must be read again."""


class Tree:
    """The relevant part of `root`, whose real path is `real_path`. Owned by one thread.

    `directories` maps real paths to what was read there. `limits` counts what is held, and tells which limits were
    reached. `undecodable` are directories with a name in them that is not UTF-8: watchfiles cannot watch those.
    `link_targets` maps the real paths that links lead to, to the directories and names of those links: no event tells
    of a link when what it leads to changes.
    """

    def __init__(self, root: Root, real_path: str, skill_filter: SkillFilter, settings: Settings) -> None:
        self.root = root
        self.real_path = real_path
        self.directories: dict[str, Directory] = {}
        self.undecodable: set[str] = set()
        self.link_targets: dict[str, set[tuple[str, str]]] = {}
        self._settings = settings
        self._lister = Lister(root, real_path, skill_filter, settings)
        self.limits = self._new_limits()
        self._linked = False

    def read_all(self, rearm: Collection[str] = (), seconds: float | None = None) -> TreeChange:
        """Reads the whole root. Files whose signature is the same as before are not opened.

        `rearm` are directories that must be told as removed and added even if they were known. `seconds` bounds the
        reading of files, of which at least one is read; all directories are listed, however long that takes. What was
        not read is in `unread` of what it returns; see `read_again`.
        """
        known, self.directories = self.directories, {}
        self._linked, self.limits = False, self._new_limits()
        self.undecodable, self.link_targets = set(), {}
        with self._lister.reading(seconds):
            self._read_whole(known)
        removed = {path for path in known if path not in self.directories}
        removed.update(path for path in rearm if path in known)
        added = {path for path in self.directories if path not in known or path in removed}
        change = TreeChange(added, removed)
        everything = (*known.values(), *self.directories.values())
        change.skills.update([directory.skill for directory in everything if directory.skill is not None])
        change.loose.update([directory.path for directory in everything if directory.skill is None])
        for directory in self.directories.values():
            _note_unread(directory, change)
        return change

    def read_again(self, dirty: Mapping[str, set[str]], seconds: float | None = None) -> TreeChange:
        """Reads the directories `dirty` again; the names in each were touched and are read whatever their signature.

        A touched name that is a planned directory was itself deleted or created: it and all below it are told as
        removed and, where they still exist, added.

        `seconds` bounds the reading of files and the listing of directories, of which at least one is read. Only what
        lies below a touched name is listed in any case, and all directories where the whole root must be read again.
        The rest is in `unread` of what it returns: whoever reads that again until nothing is left has the tree that one
        reading would have given. Meanwhile files that are not read yet are as they were, new ones not there.
        """
        change = TreeChange()
        try:
            with self._lister.reading(seconds):
                self._read_dirty(dirty, change, math.inf if seconds is None else time.monotonic() + seconds)
        except _TooEntangled:
            rearm = {path for parent, names in dirty.items() for path in self._touched_subtrees(parent, names)}
            change.extend(self.read_all(rearm, seconds))
            change.added.intersection_update(self.directories)
        return change

    def files_below(self, skill: str) -> Iterator[Directory]:
        """The directories that belong to the skill at the real path `skill`, its own first."""
        top = self.directories.get(skill)
        stack = [top] if top is not None else []
        while stack:
            directory = stack.pop()
            yield directory
            for path in directory.children.values():
                child = self.directories.get(path)
                if child is not None and child.parent == directory.path:
                    stack.append(child)

    def _read_whole(self, known: Mapping[str, Directory]) -> None:
        queue = deque([Directory(self.real_path, "", None, None)])
        links: list[tuple[list[str], Directory]] = []
        while queue or links:
            directory = queue.popleft() if queue else heapq.heappop(links)[1]
            if directory.path in self.directories or not self._may_enter(directory):
                continue
            if not self._lister.read(directory, known.get(directory.path), ()):
                continue
            self._keep(directory, None)
            if not directory.children:
                continue
            below = []
            for name, child in self._entered(directory):
                if name in directory.links:
                    self._linked = True
                    heapq.heappush(links, (child.relative.split("/"), child))
                else:
                    below.append(child)
            if directory.skill is None:
                queue.extend(below)  # level by level, because limits count
            else:
                queue.extendleft(reversed(below))  # at once, while the directory above is still open

    def _read_dirty(self, dirty: Mapping[str, set[str]], change: TreeChange, until: float) -> None:
        dropped: dict[str, Directory] = {}
        # A look takes as long as there are names, and whoever has few must not wait for those with many.
        known_dirty = [(self.directories[path], names) for path, names in dirty.items() if path in self.directories]
        known_dirty.sort(key=lambda item: (len(item[0].files) + len(item[0].children), item[0].path))
        # One whose name is touched in the directory above may come before that one: then it is listed twice, and the
        # second time its files are known.
        queue: deque[_Place] = deque((directory, directory, names) for directory, names in known_dirty)
        late: list[_Place] = []
        progress = False
        while queue:
            place, known, touched = queue.popleft()
            if self.directories.get(place.path) is not known:
                continue  # read already on the way down from above, or gone with what is above it
            # What was dropped is listed all the same: with it, skills that are still there would be missing.
            if progress and place.path not in dropped and time.monotonic() >= until:
                late.append((place, known, touched))
                continue
            new = Directory(place.path, place.relative, place.parent, place.above)
            if known is None and not self._may_enter(new):
                raise _TooEntangled
            if not self._lister.read(new, known or dropped.get(new.path), touched):
                if known is not None:
                    self._drop(new.path, change, dropped)
                    parent = self.directories.get(new.parent or "")
                    if parent is not None:
                        queue.append((parent, parent, set()))
                continue
            self._tell_once(new)
            self._check_entanglement(new, known, touched)
            change.note(new)
            if known is not None:
                change.note(known)
                for name, path in known.children.items():
                    if new.children.get(name) != path or name in touched or known.skill != new.skill:
                        self._drop(path, change, dropped)
            self._keep(new, known)
            if known is None or known.device != new.device:  # something was mounted there, or unmounted
                change.added.add(new.path)
                if known is not None:
                    change.removed.add(new.path)
            _note_unread(new, change)
            entered = [child for _, child in self._entered(new) if child.path not in self.directories]
            queue.extendleft((child, None, set()) for child in entered)
            # One that only leads on is dirty again as long as anything below it is unread.
            progress = progress or not entered
        self._put_off(late, change)

    def _put_off(self, late: Iterable[_Place], change: TreeChange) -> None:
        for place, known, touched in late:
            # A new directory is entered when that above it is listed again.
            again = self.directories.get(place.path if known is not None else place.parent or "")
            if again is None or self.directories.get(place.path) is not known:
                continue  # gone, or read already
            again.signature = None  # so that an audit finds it too
            names = change.unread.setdefault(again.path, set())
            if known is None:
                again.unread_directories.add(place.name)
            else:
                names.update(touched, (os.curdir,))

    def _keep(self, directory: Directory, known: Directory | None) -> None:
        self.directories[directory.path] = directory
        self.limits.add(directory)
        if known is not None:
            self.limits.remove(known)
            self._forget_links(known)
            self.undecodable.discard(directory.path)
        for name, (target, _) in directory.links.items():
            self.link_targets.setdefault(target, set()).add((directory.path, name))
        if directory.undecodable:
            self.undecodable.add(directory.path)

    def _forget_links(self, directory: Directory) -> None:
        for name, (target, _) in directory.links.items():
            holders = self.link_targets.get(target, set())
            holders.discard((directory.path, name))
            if not holders:
                self.link_targets.pop(target, None)

    def _check_entanglement(self, new: Directory, known: Directory | None, touched: set[str]) -> None:
        same = (
            known is not None
            and known.children == new.children
            and known.links == new.links
            and (known.skill is None) == (new.skill is None)
            and touched.isdisjoint(new.children)
        )
        leads_on = any(stat.S_ISDIR(mode) for _, mode in new.links.values())
        if not same and (self._linked or leads_on or self.limits.problems):
            raise _TooEntangled
        if self.limits.differs(new, known):
            raise _TooEntangled

    def _tell_once(self, directory: Directory) -> None:
        """What cannot be listed because that above it cannot is told of that above alone."""
        above = self.directories.get(directory.parent or "")
        if directory.unlisted and above is not None and above.unlisted:
            directory.problems = ()

    def _may_enter(self, directory: Directory) -> bool:
        skill = None if directory.above is None else self.directories.get(directory.above)
        return self.limits.admit(directory, len(self.directories), skill)

    def _new_limits(self) -> TreeLimits:
        return TreeLimits(self._settings.max_directories, self._lister.shown)

    @property
    def limit_problems(self) -> tuple[Problem, ...]:
        """Which limits were reached."""
        return self.limits.problems

    def _entered(self, directory: Directory) -> Iterable[tuple[str, Directory]]:
        """The directories below `directory` that are in the plan, each with the name by which it is entered."""
        if directory.skill is None and directory.children and directory.depth >= self._settings.max_depth:
            message = f"what lies deeper than {self._settings.max_depth} levels is not searched"
            found = problem("depth-limit", self._lister.shown(directory.relative), message)
            directory.problems = (*directory.problems, found)
            return
        if not directory.children:
            return
        if directory.skill is not None and directory.depth - self._depth(directory.skill) >= MAX_LEVELS_IN_SKILL:
            message = f"what lies deeper than {MAX_LEVELS_IN_SKILL} levels in a skill is left out"
            found = problem("nesting-limit", self._lister.shown(directory.relative), message)
            directory.problems = (*directory.problems, found)
            return
        prefix = directory.relative + "/" if directory.relative else ""
        for name, path in sorted(directory.children.items()):
            yield name, Directory(path, prefix + name, directory.path, directory.skill)

    def _depth(self, path: str) -> int:
        directory = self.directories.get(path)
        return directory.depth if directory is not None else 0

    def _is_way(self, directory: Directory, path: str) -> bool:
        child = self.directories.get(path)
        return child is not None and child.parent == directory.path

    def _drop(self, path: str, change: TreeChange, dropped: dict[str, Directory]) -> None:
        stack = [path]
        while stack:
            directory = self.directories.pop(stack.pop(), None)
            if directory is not None:
                self.limits.remove(directory)
                dropped[directory.path] = directory
                self.undecodable.discard(directory.path)
                self._forget_links(directory)
                change.added.discard(directory.path)
                change.removed.add(directory.path)
                change.note(directory)
                stack.extend(directory.children.values())

    def _touched_subtrees(self, parent: str, names: set[str]) -> Iterator[str]:
        directory = self.directories.get(parent)
        stack = [] if directory is None else [path for name, path in directory.children.items() if name in names]
        while stack:
            below = self.directories.get(stack.pop())
            if below is not None:
                yield below.path
                stack.extend(path for path in below.children.values() if self._is_way(below, path))


def _note_unread(directory: Directory, change: TreeChange) -> None:
    # What cannot be listed is not tried again and again: an audit finds when that is over.
    if directory.unread_files and not directory.unlisted:
        change.unread.setdefault(directory.path, set()).update(directory.unread_files)
