"""`Directory`: what one relevant directory held when it was last listed, and where links in it led.

Nothing here lists or reads; `Lister` fills a directory, the tree holds it, an audit compares it with the disk.
"""

from __future__ import annotations

import os
import stat
from itertools import islice

from .filters import SKILL_FILE
from .problems import Problem
from .reading import FileEntry, Signature

# No directory of a real skill comes near so many links; each look follows each of them again.
MAX_LINKS = 1_000

#: Where a link leads, as a real path, and the type of what is there (`stat.S_IFMT`), 0 where nothing is.
Link = tuple[str, int]


class Directory:
    """One directory of the plan.

    `path` is its real path, `relative` the way to it below the root ("" for the root itself), `parent` the real path of
    the directory through which it was entered. `above` is the real path of the skill that it lies inside of, `skill`
    that of the skill it belongs to: the same, or itself where it holds a `SKILL.md`.

    `device` is the number of the file system that it lies on.

    `files` maps names to relevant files, `children` names to the real paths of directories that may be entered, `links`
    the names of links that matter to where they lead, `hidden` the names of hidden directories outside of skills to the
    `SKILL.md` files that are left out there. `owner` is the id of the user that it belongs to. `unlisted` says that it
    could not be listed; then all that was known of it is kept.

    There may be no time for everything: `unread_files` are the names of files that are still to be read, what waits
    longest first; what was known of them is kept. `unread_directories` are the names by which new directories are still
    to be entered.
    """

    __slots__ = (
        "above", "children", "device", "files", "hidden", "links", "owner", "parent", "path", "problems", "racy",
        "relative", "signature", "skill", "undecodable", "unlisted",
        "unread_directories", "unread_files",
    )  # fmt: skip

    def __init__(self, path: str, relative: str, parent: str | None, above: str | None) -> None:
        self.path = path
        self.relative = relative
        self.parent = parent
        self.above = above
        self.skill = above
        self.signature: Signature | None = None
        self.device = 0
        self.owner: int | None = None
        self.racy = False
        self.files: dict[str, FileEntry] = {}
        self.children: dict[str, str] = {}
        self.links: dict[str, Link] = {}
        self.hidden: dict[str, tuple[str, ...]] = {}
        self.problems: tuple[Problem, ...] = ()
        self.undecodable = False
        self.unlisted = False
        self.unread_files: dict[str, None] = {}
        self.unread_directories: set[str] = set()

    @property
    def name(self) -> str:
        """The name by which it was entered; "" for the root."""
        return self.relative.rpartition("/")[2]

    @property
    def depth(self) -> int:
        """How many levels below the root it lies."""
        return self.relative.count("/") + 1 if self.relative else 0

    @property
    def whole(self) -> bool:
        """Whether nothing in it waits to be read for the first time."""
        return not self.unread_directories and self.unread_files.keys() <= self.files.keys()

    def holds(self, name: str) -> bool:
        """Whether `name` was relevant when the directory was listed."""
        return name in self.files or name in self.children or name in self.links


def follow_link(path: str) -> Link:
    """Where the link at `path` leads, and what is there.

    Looked at by the path it leads to, not through the link: one such as `/proc/1/root` leads elsewhere than it says.
    """
    try:
        target = os.path.realpath(path, strict=True)
        return target, stat.S_IFMT(os.lstat(target).st_mode)
    except OSError:
        pass
    try:
        return os.path.realpath(path), 0
    except OSError:  # a link that goes away between two calls of realpath makes it fail even so
        return path, 0


def hidden_skills(path: str) -> tuple[str, ...]:
    """The `SKILL.md` files in `skills/*` below the hidden directory `path`, relative to it; there agents keep them.

    Looks at names alone, and not through a link in the place of `skills`: that leads to where they are found anyway, or
    to where nobody should look.
    """
    try:
        if not stat.S_ISDIR(os.lstat(os.path.join(path, "skills")).st_mode):
            return ()
        with os.scandir(os.path.join(path, "skills")) as scan:
            names = sorted(entry.name for entry in islice(scan, MAX_LINKS))
    except OSError:
        return ()
    found = (os.path.join("skills", name, SKILL_FILE) for name in names)
    return tuple(file for file in found if os.path.lexists(os.path.join(path, file)))
