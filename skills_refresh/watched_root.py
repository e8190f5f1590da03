"""`WatchedRoot`: one root as the engine holds it. It opens, follows and forgets; threads and time are the engine's."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from .catalog import KeptSkills, RootCatalog
from .causes import explain_cause
from .errors import ConfigError
from .filters import IGNORE_FILE, SkillFilter, ignore_file_patterns
from .health import CAUSES, Cause, EngineHealth, Mode, RootHealth
from .problems import Problem, problem
from .reading import Signature, signature_of
from .roots import Root
from .settings import Settings
from .tree import Tree
from .tree_change import TreeChange
from .watching.base import DELETED, Event
from .watching.hints import Dirty, directories_below_changed, dirty_directories, touches_ignore_file

# The signature of what cannot even be looked at: no file's, and not that of none.
_UNKNOWN: Signature = (-1, -1, -1, -1)


class WatchedRoot:
    """The tree, the catalog and the health of `root`. Owned by the engine's thread.

    `tree` is None while the root is missing or no directory; `absence` says which. `unreachable` says that permissions
    forbid to look, so that what was known is kept, `failing` that a bug was hit in it and it was not read again since.
    `problems` are those of the root itself; `rules_unread` says that there is a `.skillsignore` that could not be read,
    which may be over without a trace. `users` counts the workspaces that hold it, `kept` is what an earlier one knew of
    it.

    `poll` is what was configured: always, never, or None for where events do not tell. `polled` are directories that
    are not watched, each with why; `file_system` is the type of the mount where that is why.
    """

    def __init__(self, root: Root, settings: Settings, engine_health: EngineHealth | None = None) -> None:
        self.root = root
        self.users = 0
        self.kept: KeptSkills | None = None
        self.tree: Tree | None = None
        self.catalog: RootCatalog | None = None
        self.problems: tuple[Problem, ...] = ()
        self.absence: Cause = "missing"
        self.unreachable = False
        self.failing = False
        self.poll = settings.poll if root.poll is None else root.poll
        self.polled: dict[str, Cause] = {}
        self.file_system = ""
        self.last_event: float | None = None
        self.last_audit: float | None = None
        self.found_by_audit = 0
        self._settings = settings
        self._engine = engine_health or EngineHealth()
        self._identity: tuple[int, int, bool] | None = None
        self._rules: Signature | None = None
        self.rules_unread = False
        self._patterns: tuple[str, ...] = ()
        self.filter = SkillFilter(root.path)

    def moved(self) -> bool:
        """Whether the root's path leads to another directory than when it was opened, or to none, or to one at last."""
        # What was read while the path led nowhere is gone from the tree, its root too, whoever is back there by now.
        lost = self.tree is not None and self.tree.real_path not in self.tree.directories
        return lost or _identify(self.root.path) != self._identity

    def replaced(self, events: set[Event]) -> bool:
        """Whether `events` say that the root's directory itself was deleted or moved away. Another one may have taken
        its place meanwhile, and even its inode, so it must be opened as if it had never been seen."""
        if self.tree is None or (DELETED, self.tree.real_path) not in events:
            return False
        self.forget()
        return True

    def open(self, seconds: float | None = None) -> tuple[TreeChange, set[str]]:
        """Reads the root from the start; returns what entered and left the plan, and the names that may differ.

        What was known of the same directory is used again, so only what differs is read. `seconds` bounds the reading
        of files, as in `Tree.read_all`: skills that are not read yet stay as they were.
        """
        before, previous = self.tree, self.kept if self.catalog is None else self.catalog.kept()
        identity = _identify(self.root.path)
        same = identity == self._identity
        names = set(previous.skills) if previous is not None else set()
        change = TreeChange()
        tree, catalog, self.problems = self._open_tree(before if same else None, previous)
        self.unreachable = self.absence == "unreadable" and tree is None and before is not None
        if self.unreachable:  # not gone: what was known of it stays in use
            self._identity = identity
            return change, names
        if tree is not None and catalog is not None:
            change = tree.read_all(seconds=seconds)
            names |= catalog.update(change)
        if before is not None and (tree is None or not same):
            change.removed.update(before.directories)
        # Only now, when nothing can fail any more: what was known is needed for the next try.
        self.tree, self.catalog, self._identity, self.kept = tree, catalog, identity, None
        return change, names

    def dirty(self, events: set[Event]) -> Dirty:
        """The directories that `events` make dirty."""
        return {} if self.tree is None else dirty_directories(events, self.tree, self.filter)

    def below_changed(self, events: set[Event]) -> set[str]:
        """The directories below those that were themselves changed, according to `events`, as by `chmod`."""
        return set() if self.tree is None else directories_below_changed(events, self.tree)

    def rules_changed(self, events: set[Event] | None = None) -> bool:
        """Whether the root's `.skillsignore` was touched, so that the root must be opened anew: according to `events`,
        or, without them, by its signature."""
        if self.tree is None:
            return False
        if events is not None:
            return touches_ignore_file(events, self.tree)
        return _signature_of_rules(self.tree.real_path) not in (self._rules, _UNKNOWN)

    def forget(self) -> None:
        """Makes the next `open` take the root for one that was never seen, so that all of it is watched anew."""
        self._identity = None

    def health(self) -> RootHealth:
        """How the root is watched just now. Safe from any thread."""
        tree, polled, engine = self.tree, self.polled, self._engine
        total = len(tree.directories) if tree is not None else 0
        mode, cause = self._mode(total, polled)
        message, cure = explain_cause(cause, self.file_system)
        if polled and cause in polled.values():
            message = f"{len(polled)} of {total} directories {'is' if len(polled) == 1 else 'are'} polled: {message}"
        return RootHealth(
            path=Path(self.root.path),
            mode=mode,
            reason=cause,
            message=message,
            cure=cure,
            watched_dirs=total - len(polled),
            polled_dirs=len(polled),
            poll_interval=engine.poll_interval if polled else None,
            poll_seconds=engine.poll_seconds if polled else None,
            last_event=self.last_event,
            last_audit=self.last_audit,
            found_by_audit=self.found_by_audit,
            instances_replaced=engine.instances_replaced,
            failures=engine.failures,
        )

    def _mode(self, total: int, polled: dict[str, Cause]) -> tuple[Mode, Cause]:
        if self.tree is None:
            return "missing", self.absence
        if self.failing or self._engine.failing:
            return "degraded", "failure"
        top = self.tree.directories.get(self.tree.real_path)
        if self.unreachable or (top is not None and top.unlisted):
            return "degraded", "unreadable"
        if not polled:
            return "native", ""
        return "degraded" if len(polled) < total else "polling", min(polled.values(), key=CAUSES.index)

    def _open_tree(
        self, known: Tree | None, previous: KeptSkills | None
    ) -> tuple[Tree | None, RootCatalog | None, tuple[Problem, ...]]:
        """A tree, not yet read, and its catalog, or None, and the problems of the root itself."""
        path = self.root.path
        try:
            is_directory = stat.S_ISDIR(os.stat(path).st_mode)
            real_path = os.path.realpath(path)
        except (FileNotFoundError, NotADirectoryError):
            self.absence = "missing"
            what = "is a link to nothing" if os.path.islink(path) else "does not exist"
            missing = problem("missing-root", path, f"{what}; it is waited for")
            return None, None, () if self.root.optional else (missing,)
        except OSError as error:
            if error.errno == errno.ELOOP:
                self.absence = "missing"
                return None, None, (problem("missing-root", path, "is a link that leads back to itself"),)
            self.absence = "unreadable"
            kept = "; what was known of it stays in use" if self.tree is not None else ""
            return None, None, (problem("unreadable", path, f"cannot be looked at: {error.strerror}{kept}"),)
        if not is_directory:
            self.absence = "not-a-directory"
            found = problem("root-not-a-directory", path, "is a file, not a directory that holds skills")
            return None, None, (found,)
        self.filter, problems = self._make_filter(real_path)
        tree = Tree(self.root, real_path, self.filter, self._settings)
        if known is not None and known.real_path == real_path:
            tree.directories = known.directories
        return tree, RootCatalog(tree, self._settings, previous), problems

    def _make_filter(self, real_path: str) -> tuple[SkillFilter, tuple[Problem, ...]]:
        settings = self._settings
        self._rules = _signature_of_rules(real_path)

        def make(patterns: tuple[str, ...]) -> SkillFilter:
            return SkillFilter(self.root.path, extensions=settings.extensions, names=settings.names, patterns=patterns)

        self.rules_unread = False
        if self._rules is None:
            self._patterns = ()
        if self._rules is None or self._rules == _UNKNOWN:  # the latter is told of the root itself
            return make(settings.exclude + self._patterns), ()
        try:
            patterns = ignore_file_patterns(real_path)
            found = make(settings.exclude + patterns)
            self._patterns = patterns
            return found, ()
        except (ConfigError, OSError, UnicodeError) as error:
            self.rules_unread = isinstance(error, OSError)
            path = os.path.join(self.root.path, IGNORE_FILE)
            message = f"cannot be used: {error}" + ("; its last good version stays in use" if self._patterns else "")
            return make(settings.exclude + self._patterns), (problem("invalid-ignore-file", path, message),)


def _identify(path: str) -> tuple[int, int, bool]:
    """What tells one root from another at the same path: device, inode, and whether it is a directory, since a file and
    a directory may have the same inode one after the other. Where there is none: why, and whether there is a link."""
    try:
        status = os.stat(path)
    except OSError as error:
        return (-1, error.errno or 0, os.path.islink(path))
    return (status.st_dev, status.st_ino, stat.S_ISDIR(status.st_mode))


def _signature_of_rules(real_path: str) -> Signature | None:
    """The signature of a root's `.skillsignore`; None where there is none."""
    try:
        return signature_of(os.stat(os.path.join(real_path, IGNORE_FILE)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return _UNKNOWN
