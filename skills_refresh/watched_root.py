"""`WatchedRoot`: one root as the engine holds it. It opens, follows and forgets; threads and time are the engine's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .catalog import RootCatalog
from .errors import ConfigError
from .filters import SkillFilter, ignore_file_patterns
from .health import Mode, RootHealth
from .problems import Problem, problem
from .roots import Root
from .settings import Settings
from .tree import Tree, TreeChange
from .watching.base import Event
from .watching.hints import Dirty, dirty_directories, touches_ignore_file


class WatchedRoot:
    """The tree, the catalog and the health of `root`. Owned by the engine's thread.

    `tree` is None while the root is missing or no directory. `problems` are those of the root itself. `users` counts
    the workspaces that hold it.
    """

    def __init__(self, root: Root, settings: Settings) -> None:
        self.root = root
        self.users = 0
        self.tree: Tree | None = None
        self.catalog: RootCatalog | None = None
        self.problems: tuple[Problem, ...] = ()
        self.polled: set[str] = set()
        self.last_event: float | None = None
        self.last_audit: float | None = None
        self.found_by_audit = 0
        self._settings = settings
        self._identity: tuple[int, int] | None = None
        self.filter = SkillFilter(root.path)

    def moved(self) -> bool:
        """Whether the root's path leads to another directory than when it was opened, or to none, or to one at last."""
        return _identify(self.root.path) != self._identity

    def open(self) -> tuple[TreeChange, set[str]]:
        """Reads the root from the start; returns what entered and left the plan, and the names that may differ.

        What was known of the same directory is used again, so only what differs is read.
        """
        before = self.tree
        previous = self.catalog
        identity = _identify(self.root.path)
        self.tree = self.catalog = None
        self.problems = ()
        gone = set(before.directories) if before is not None else set()
        same = identity == self._identity
        self._identity = identity
        names = set(previous.skills) if previous is not None else set()
        if not self._open_tree(before if same else None, previous) or self.tree is None or self.catalog is None:
            return TreeChange(removed=gone), names
        change = self.tree.read_all()
        if not same:
            change.removed |= gone
        return change, names | self.catalog.update(change)

    def dirty(self, events: set[Event]) -> Dirty:
        """The directories that `events` make dirty."""
        return {} if self.tree is None else dirty_directories(events, self.tree, self.filter)

    def rules_changed(self, events: set[Event]) -> bool:
        """Whether `events` touch the root's `.skillsignore`, so that the root must be opened anew."""
        return self.tree is not None and touches_ignore_file(events, self.tree)

    def health(self) -> RootHealth:
        """How the root is watched just now."""
        mode, reason = self._mode()
        total = len(self.tree.directories) if self.tree is not None else 0
        return RootHealth(
            path=Path(self.root.path),
            mode=mode,
            reason=reason,
            watched_dirs=total - len(self.polled),
            polled_dirs=len(self.polled),
            last_event=self.last_event,
            last_audit=self.last_audit,
            found_by_audit=self.found_by_audit,
        )

    def _mode(self) -> tuple[Mode, str]:
        if self.tree is None:
            return "missing", self.problems[0].message if self.problems else "does not exist; it is waited for"
        if not self.polled:
            return "native", ""
        reason = f"{len(self.polled)} of {len(self.tree.directories)} directories cannot be watched and are polled"
        return ("degraded" if len(self.polled) < len(self.tree.directories) else "polling"), reason

    def _open_tree(self, known: Tree | None, previous: RootCatalog | None) -> bool:
        path = self.root.path
        try:
            is_directory = stat.S_ISDIR(os.stat(path).st_mode)
            real_path = os.path.realpath(path)
        except (FileNotFoundError, NotADirectoryError):
            if not self.root.optional:
                self.problems = (problem("missing-root", path, "does not exist; it is waited for"),)
            return False
        except OSError as error:
            self.problems = (problem("unreadable", path, f"cannot be looked at: {error.strerror}"),)
            return False
        if not is_directory:
            self.problems = (problem("root-not-a-directory", path, "is a file, not a directory that holds skills"),)
            return False
        self.filter = self._make_filter(real_path)
        self.tree = Tree(self.root, real_path, self.filter, self._settings)
        if known is not None and known.real_path == real_path:
            self.tree.directories = known.directories
        self.catalog = RootCatalog(self.tree, self._settings, previous)
        return True

    def _make_filter(self, real_path: str) -> SkillFilter:
        settings = self._settings
        try:
            patterns = settings.exclude + ignore_file_patterns(real_path)
            return SkillFilter(
                self.root.path, extensions=settings.extensions, names=settings.names, patterns=patterns
            )
        except (ConfigError, OSError, UnicodeError) as error:
            path = os.path.join(self.root.path, ".skillsignore")
            self.problems = (problem("invalid-ignore-file", path, f"is not used: {error}"),)
            return SkillFilter(
                self.root.path, extensions=settings.extensions, names=settings.names, patterns=settings.exclude
            )


def _identify(path: str) -> tuple[int, int] | None:
    """What tells one directory from another at the same path: device and inode; None where there is nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
