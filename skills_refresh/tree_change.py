"""`TreeChange`: what a reading of the tree found, for the watches to follow and the catalog to build again."""

from __future__ import annotations

from collections.abc import Iterable

from .directory import Directory


class TreeChange:
    """What one reading found: directories that entered or left the plan, and where anything may differ.

    `skills` are the directories of skills to build again, `loose` those outside of any skill. `unread` are directories
    that there was no time for, to be read again next: each with the names in it that must be read whatever their
    signature, and with `os.curdir` among them where it was not even listed.
    """

    def __init__(self, added: Iterable[str] = (), removed: Iterable[str] = ()) -> None:
        self.added = set(added)
        self.removed = set(removed)
        self.skills: set[str] = set()
        self.loose: set[str] = set()
        self.unread: dict[str, set[str]] = {}

    def extend(self, later: TreeChange) -> None:
        """Makes this say what both say, `later` being what was found after it. `unread` is that of `later` alone: the
        caller has kept what this left unread, or had it read by `later`."""
        self.unread = later.unread
        self.removed |= later.removed
        self.added = (self.added - later.removed) | later.added
        self.skills |= later.skills
        self.loose |= later.loose

    def note(self, directory: Directory) -> None:
        """Whatever `directory` belongs to may differ."""
        if directory.skill is None:
            self.loose.add(directory.path)
        else:
            self.skills.add(directory.skill)
