"""`Directory`: what one relevant directory held when it was last listed, and `Lister`, which lists it.

Nothing here knows of other directories: entering, limits and order are the tree's. Listing judges each entry by the
filter, each link by where it leads, and reads the files that may differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from .filters import SKILL_FILE, SkillFilter
from .problems import Problem, problem
from .reading import FileEntry, Signature, is_racy, read_file, signature_of
from .roots import Root
from .settings import Settings


class Directory:
    """One directory of the plan.

    `path` is its real path, `relative` the way to it below the root ("" for the root itself), `parent` the real path of
    the directory through which it was entered. `above` is the real path of the skill that it lies inside of, `skill`
    that of the skill it belongs to: the same, or itself where it holds a `SKILL.md`.

    `files` maps names to relevant files, `children` names to the real paths of directories that may be entered, `links`
    the names of links that matter to where they lead (None: nowhere). `hidden` are hidden directories that hold skills.
    """

    __slots__ = (
        "above", "children", "files", "hidden", "links", "parent", "path", "problems", "racy", "relative", "signature",
        "skill", "undecodable",
    )  # fmt: skip

    def __init__(self, path: str, relative: str, parent: str | None, above: str | None) -> None:
        self.path = path
        self.relative = relative
        self.parent = parent
        self.above = above
        self.skill = above
        self.signature: Signature | None = None
        self.racy = False
        self.files: dict[str, FileEntry] = {}
        self.children: dict[str, str] = {}
        self.links: dict[str, str | None] = {}
        self.hidden: tuple[str, ...] = ()
        self.problems: tuple[Problem, ...] = ()
        self.undecodable = False

    @property
    def depth(self) -> int:
        """How many levels below the root it lies."""
        return self.relative.count("/") + 1 if self.relative else 0

    def holds(self, name: str) -> bool:
        """Whether `name` was relevant when the directory was listed."""
        return name in self.files or name in self.children or name in self.links


class Lister:
    """Lists directories of one root. Stateless but for what it was made with."""

    def __init__(self, root: Root, real_path: str, skill_filter: SkillFilter, settings: Settings) -> None:
        self._root = root.path
        self._filter = skill_filter
        self._skill_bytes = settings.max_skill_bytes
        self._allowed = tuple(os.path.realpath(path) for path in (real_path, *settings.allow_link_targets))

    def shown(self, relative: str, name: str = "") -> str:
        """The path to show to a user: below the root as the user wrote it."""
        return os.path.join(self._root, *filter(None, (*relative.split("/"), name)))

    def read(self, directory: Directory, known: Directory | None, touched: Collection[str]) -> bool:
        """Fills `directory` from the disk, or returns False where it is gone.

        Files whose signature is that in `known` are not opened again, unless their name is `touched`. A directory that
        can no longer be read keeps what is known of it, and says so.
        """
        try:
            # Before the listing, so that whatever is added meanwhile leaves another signature behind.
            directory.signature = signature_of(os.stat(directory.path))
            directory.racy = is_racy(directory.signature)
            with os.scandir(directory.path) as scan:
                entries = list(scan)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            message = f"cannot be listed: {error.strerror}"
            self._keep(directory, known, problem("unreadable", self.shown(directory.relative), message))
            return True
        if directory.above is None and any(entry.name == SKILL_FILE for entry in entries):
            directory.skill = directory.path
        listing = _Listing(self, directory, known, touched)
        for entry in entries:
            listing.add(entry)
        listing.finish()
        return True

    @staticmethod
    def _keep(directory: Directory, known: Directory | None, found: Problem) -> None:
        if known is not None:
            directory.files, directory.children, directory.links = known.files, known.children, known.links
            directory.hidden = known.hidden
            directory.skill = known.skill
        directory.problems = (found,)

    def leads_outside(self, target: str) -> bool:
        """Whether the real path `target` lies neither in the root nor below an allowed link target."""
        return not any(target == base or target.startswith(base.rstrip(os.sep) + os.sep) for base in self._allowed)

    def prunes(self, relative: str, in_skill: bool) -> bool:
        return self._filter.prunes(relative, in_skill=in_skill)

    def reads(self, relative: str) -> bool:
        return self._filter.reads(relative)

    def file(
        self, path: str, name: str, known: FileEntry | None, fresh: bool, follow: bool, stat: Callable[[], os.stat_result]
    ) -> FileEntry | None:
        """The file at `path`, read only where it may differ from `known`; None where it is gone."""
        try:
            if known is not None and not fresh and not known.racy and signature_of(stat()) == known.signature:
                return known
            return read_file(path, keep_bytes=self._skill_bytes if name == SKILL_FILE else 0, follow=follow)
        except FileNotFoundError:
            return None


class _Listing:
    """One directory being filled."""

    def __init__(self, lister: Lister, directory: Directory, known: Directory | None, touched: Collection[str]) -> None:
        self._lister = lister
        self._directory = directory
        self._known = {} if known is None else known.files
        self._touched = touched
        self._prefix = directory.relative + "/" if directory.relative else ""
        self._problems: list[Problem] = []
        self._hidden: list[str] = []
        self._miscased: str | None = None

    def add(self, entry: os.DirEntry[str]) -> None:
        name = entry.name
        if not name.isascii() and any("\udc80" <= character <= "\udcff" for character in name):
            self._directory.undecodable = True
            self._tell("undecodable-name", name, "the name is not UTF-8")
        if entry.is_symlink():
            self._add_link(entry)
        elif entry.is_dir(follow_symlinks=False):
            self._add_directory(entry)
        elif self._lister.reads(self._prefix + name):
            self._add_file(entry, regular=entry.is_file(follow_symlinks=False))

    def finish(self) -> None:
        directory = self._directory
        if self._miscased is not None and directory.skill is None:
            self._tell("miscased-skill-file", self._miscased, "is not read as a skill: its name is not SKILL.md")
        directory.hidden = tuple(sorted(self._hidden))
        directory.problems = tuple(self._problems)

    def _add_directory(self, entry: os.DirEntry[str]) -> None:
        name = entry.name
        if name == SKILL_FILE:
            self._directory.files[name] = FileEntry(None, error=("not-a-file", "is a directory, not a file"))
        elif not self._lister.prunes(self._prefix + name, self._directory.skill is not None):
            self._directory.children[name] = os.path.join(self._directory.path, name)
        elif name.startswith(".") and self._directory.skill is None and hidden_skills(entry.path):
            self._hidden.append(name)
            self._tell("hidden-skills", os.path.join(name, "skills"), "lies in a hidden directory and is not searched")

    def _add_file(self, entry: os.DirEntry[str], *, regular: bool, follow: bool = False) -> None:
        name = entry.name
        if not regular:
            found = FileEntry(None, error=("not-a-file", "is not a regular file"))
            self._directory.files[name] = found
        else:
            read = self._lister.file(
                entry.path, name, self._known.get(name), name in self._touched, follow, entry.stat
            )
            if read is None:
                return
            self._directory.files[name] = found = read
        if name != SKILL_FILE:
            if found.error is not None:
                self._tell(found.error[0], name, found.error[1])
            if name.lower() == SKILL_FILE.lower():
                self._miscased = name

    def _add_link(self, entry: os.DirEntry[str]) -> None:
        name = entry.name
        relative = self._prefix + name
        in_skill = self._directory.skill is not None
        try:
            is_directory = entry.is_dir()
            exists = is_directory or os.path.exists(entry.path)
        except OSError:  # a loop of links
            is_directory = exists = False
        if name != SKILL_FILE and (
            self._lister.prunes(relative, in_skill) if is_directory or not exists else not self._lister.reads(relative)
        ):
            return
        target = os.path.realpath(entry.path) if exists else None
        self._directory.links[name] = target
        if target is None:
            self._refuse(name, "dangling-link", "is a link to nothing")
        elif self._lister.leads_outside(target):
            self._refuse(name, "escaping-link", f"is a link to {target}, outside of the root")
        elif not is_directory:
            self._add_file(entry, regular=entry.is_file(), follow=True)
        elif name == SKILL_FILE:
            self._refuse(name, "not-a-file", "is a link to a directory")
        else:
            self._directory.children[name] = target

    def _refuse(self, name: str, code: str, message: str) -> None:
        if name == SKILL_FILE:
            self._directory.files[name] = FileEntry(None, error=(code, message))
        else:
            self._tell(code, name, message)

    def _tell(self, code: str, name: str, message: str) -> None:
        self._problems.append(problem(code, self._lister.shown(self._directory.relative, name), message))


def hidden_skills(path: str) -> bool:
    """Whether the hidden directory `path` holds a directory `skills`, as those of many agents do."""
    return os.path.isdir(os.path.join(path, "skills"))
