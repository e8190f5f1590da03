"""`Lister`: lists one directory.

Nothing here knows of other directories: entering, limits and order are the tree's. Listing judges each entry by the
filter, each link by where it leads, and reads the files that may differ, all through one descriptor of the directory.
"""

from __future__ import annotations

import heapq
import math
import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from .directory import MAX_LINKS, Directory, follow_link, hidden_skills
from .filters import SKILL_FILE, SkillFilter, is_hidden
from .opening import DirectoryOpener, is_below, means_gone
from .problems import Problem, problem
from .reading import (
    FileEntry,
    Signature,
    is_racy,
    read_file,
    read_target,
    signature_of,
    signature_or_none,
    why_unreadable,
)
from .roots import Root
from .settings import Settings

# No directory of a real skill comes near these; they bound what a hostile one costs. A look at so many entries takes
# 0.2 s, which ones are looked at beyond that is the file system's order.
MAX_ENTRIES = 100_000
MAX_FILES = 10_000
# Who has a hundred problems in one directory mends what is behind them all.
MAX_PROBLEMS = 100
# A path has at most so many bytes, the last of them NUL: longer ones can be neither watched nor audited.
PATH_MAX = os.pathconf(os.sep, "PC_PATH_MAX") if hasattr(os, "pathconf") else 32_767
NAME_MAX = 255
# Of one character in UTF-8, or in what stands for a byte that is none.
MAX_BYTES = 4


class _Look:
    """One look into `directory`: its open `descriptor` (None where there are no such), what is `known` of its files,
    the names that `waited` since the look before, and those that were `touched`."""

    __slots__ = ("descriptor", "directory", "known", "touched", "waited")

    def __init__(
        self,
        directory: Directory,
        descriptor: int | None,
        known: Mapping[str, FileEntry],
        waited: Iterable[str],
        touched: Collection[str],
    ) -> None:
        self.directory = directory
        self.descriptor = descriptor
        self.known = known
        self.waited = waited
        self.touched = touched


class Lister:
    """Lists directories of one root. Used within `with reading()`, at the end of which all that it opened is closed."""

    def __init__(self, root: Root, real_path: str, skill_filter: SkillFilter, settings: Settings) -> None:
        self._root = root.path
        self._filter = skill_filter
        self._skill_bytes = settings.max_skill_bytes
        self._allowed = (real_path, *(os.path.realpath(path) for path in settings.allow_link_targets))
        self._opener = DirectoryOpener(self._allowed)
        self._seconds_left = math.inf
        self._must_read_one = False

    @contextmanager
    def reading(self, seconds: float | None) -> Iterator[None]:
        """Within it directories are listed, and files are read for at most so many seconds, but at least one; those for
        which there was no time are left in `unread_files`."""
        self._seconds_left = math.inf if seconds is None else seconds
        self._must_read_one = True
        with self._opener:
            yield

    def shown(self, relative: str, name: str = "") -> str:
        """The path to show to a user: below the root as the user wrote it."""
        return os.path.join(self._root, *filter(None, (*relative.split("/"), name)))

    def read(self, directory: Directory, known: Directory | None, touched: Collection[str]) -> bool:
        """Fills `directory` from the disk, or returns False where it is gone or another has taken its place.

        Files whose signature is that in `known` are not opened again, unless their name is `touched`. A directory that
        can no longer be read keeps what is known of it, and says so.
        """
        descriptor = None
        try:
            descriptor = self._opener.open(directory.path, to_list=True)
            # Before the listing, so that whatever is added meanwhile leaves another signature behind.
            status = os.stat(directory.path) if descriptor is None else os.fstat(descriptor)
            directory.signature, directory.device, directory.owner = signature_of(status), status.st_dev, status.st_uid
            directory.racy = is_racy(directory.signature)
            with os.scandir(directory.path if descriptor is None else descriptor) as scan:
                entries = list(islice(scan, MAX_ENTRIES))
                more = len(entries) == MAX_ENTRIES and next(scan, None) is not None
            # Who owns the directory decides which hard links are foreign.
            same = known is not None and known.owner == directory.owner
            files = known.files if known and same else {}
            look = _Look(directory, descriptor, files, known.unread_files if known else (), touched)
            self._judge(look, entries, more)
            if directory.unread_files:
                directory.signature = None  # so that an audit finds it too
        except OSError as error:
            if means_gone(error):
                return False
            directory.signature = directory.signature or signature_or_none(directory.path)
            code, message = why_unreadable(error, "listed")
            _keep(directory, known, problem(code, self.shown(directory.relative), message))
        finally:
            if descriptor is not None:
                self._opener.close(directory.path, descriptor, enter=bool(directory.children))
        return True

    def _judge(self, look: _Look, entries: list[os.DirEntry[str]], more: bool) -> None:
        directory = look.directory
        files: list[str] = []
        links: list[str] = []
        if more or directory.above is None:
            has_skill_file = SKILL_FILE in [entry.name for entry in entries]
            if more:
                self._tell(directory, "", "entry-limit", f"more than {MAX_ENTRIES:,} entries; no others are looked at")
                has_skill_file = has_skill_file or self._add_skill_file_beyond(look, files, links)
            if has_skill_file and directory.above is None:
                directory.skill = directory.path
        in_skill = directory.skill is not None
        prefix = directory.relative + "/" if directory.relative else ""
        tight = len(directory.path) * MAX_BYTES + NAME_MAX + 2 > PATH_MAX
        for entry in entries:
            name = entry.name
            if not name.isascii():
                self._check_name(directory, name)
            if tight and len(os.fsencode(directory.path)) + len(os.fsencode(name)) + 2 > PATH_MAX:
                self._tell(directory, name, "path-too-long", f"its path has {PATH_MAX:,} bytes or more; it is left out")
            elif entry.is_file(follow_symlinks=False):
                if self._filter.why_skipped(prefix + name) is None:
                    files.append(name)
            elif entry.is_dir(follow_symlinks=False):
                if name == SKILL_FILE:
                    self._refuse(directory, name, "not-a-file", "is a directory, not a file")
                elif self._filter.why_pruned(prefix + name, in_skill=in_skill) is None:
                    directory.children[name] = f"{directory.path}{os.sep}{name}"
                elif not in_skill and is_hidden(name):
                    self._add_hidden(directory, name)
            elif entry.is_symlink():
                links.append(name)
            elif self._filter.why_skipped(prefix + name) is None:
                self._refuse(directory, name, "not-a-file", "is not a regular file")
        if len(links) > MAX_LINKS:
            links = self._first(MAX_LINKS, links, directory, "link-limit", "links")
        targets: dict[str, str] = {}
        for name in links:
            self._add_link(directory, name, targets)
        if len(files) > MAX_FILES:
            files = self._first(MAX_FILES, files, directory, "file-limit", "relevant files")
        names = [*targets, *files]
        for name in _in_order_of_reading(look, names):
            self._add_file(look, name, targets.get(name))
        # In the order of the listing, whichever was read first.
        for name in names:
            self._tell_error(directory, name)
        if not in_skill:
            self._check_case(directory, names)

    def _first(self, limit: int, names: list[str], directory: Directory, code: str, what: str) -> list[str]:
        """The first `limit` of `names`, a `SKILL.md` before all others; tells of those that are left out."""
        self._tell(directory, "", code, f"more than {limit:,} {what}; the last by name are left out")
        return heapq.nsmallest(limit, names, key=lambda name: (name != SKILL_FILE, name))

    def _add_skill_file_beyond(self, look: _Look, files: list[str], links: list[str]) -> bool:
        """Looks for a `SKILL.md` among the entries that were not listed; returns whether there is one."""
        path = SKILL_FILE if look.descriptor is not None else f"{look.directory.path}{os.sep}{SKILL_FILE}"
        try:
            mode = os.stat(path, dir_fd=look.descriptor, follow_symlinks=False).st_mode
        except OSError:
            return False
        if stat.S_ISLNK(mode):
            links.append(SKILL_FILE)
        elif stat.S_ISREG(mode):
            files.append(SKILL_FILE)
        else:
            self._refuse(look.directory, SKILL_FILE, "not-a-file", "is not a regular file")
        return True

    def _add_file(self, look: _Look, name: str, target: str | None) -> None:
        """Reads the file `name`, or that at `target`, where the link of that name leads."""
        directory, descriptor = look.directory, look.descriptor
        path = name if descriptor is not None else f"{directory.path}{os.sep}{name}"
        entry = look.known.get(name)
        now = None
        if entry is not None:
            now = signature_or_none(path, descriptor) if target is None else signature_or_none(target)
        if self._is_read_now(look, name, entry, now):
            keep_bytes = self._skill_bytes if name == SKILL_FILE else 0
            began = time.monotonic()
            try:
                if target is None:
                    entry = read_file(path, descriptor, directory.owner, keep_bytes)
                else:
                    entry = read_target(target, self._opener, keep_bytes)
            except FileNotFoundError:
                return
            finally:
                self._seconds_left -= time.monotonic() - began
                self._must_read_one = False
        if entry is not None:
            directory.files[name] = entry
            directory.racy = directory.racy or entry.racy

    def _is_read_now(self, look: _Look, name: str, entry: FileEntry | None, now: Signature | None) -> bool:
        """Whether the file `name`, of which `entry` is known and whose signature is `now`, is to be read, and there is
        time for it; notes it as unread where there is none."""
        differs = entry is None or name in look.touched or now != entry.signature
        if not differs:  # at most suspected to: then whoever looks next suspects it too
            return entry is not None and entry.racy and self._seconds_left > 0
        if self._must_read_one or self._seconds_left > 0:
            return True
        look.directory.unread_files[name] = None
        return False

    def _tell_error(self, directory: Directory, name: str) -> None:
        entry = directory.files.get(name)
        if entry is not None and entry.error is not None and name != SKILL_FILE:
            self._tell(directory, name, *entry.error)

    def _add_link(self, directory: Directory, name: str, targets: dict[str, str]) -> None:
        """Notes where the link `name` leads; in `targets`, where that is a file to read."""
        link = target, mode = follow_link(f"{directory.path}{os.sep}{name}")
        is_directory = stat.S_ISDIR(mode)
        relative = f"{directory.relative}/{name}" if directory.relative else name
        if name != SKILL_FILE and self._filter.prunes(relative, in_skill=directory.skill is not None):
            return
        directory.links[name] = link  # even where it means nothing now: what it leads to may become something else
        if name != SKILL_FILE and mode and not is_directory and not self._filter.reads(relative):
            return
        if not mode:
            self._refuse(directory, name, "dangling-link", "is a link to nothing")
        elif self._leads_outside(target):
            self._refuse(directory, name, "escaping-link", f"is a link to {target}, outside of the root")
        elif is_directory and name != SKILL_FILE:
            directory.children[name] = target
        elif stat.S_ISREG(mode):
            targets[name] = target
        else:
            self._refuse(directory, name, "not-a-file", "is a link to something that is not a regular file")

    def _leads_outside(self, target: str) -> bool:
        return not any(is_below(target, base) for base in self._allowed)

    def _add_hidden(self, directory: Directory, name: str) -> None:
        directory.hidden[name] = hidden_skills(os.path.join(directory.path, name))
        for file in directory.hidden[name]:
            self._tell(
                directory, os.path.join(name, file), "hidden-skill", "is not loaded: it lies in a hidden directory"
            )

    def _check_name(self, directory: Directory, name: str) -> None:
        if any("\udc80" <= character <= "\udcff" for character in name):
            directory.undecodable = True
            self._tell(directory, name, "undecodable-name", "the name is not UTF-8")

    def _check_case(self, directory: Directory, names: list[str]) -> None:
        for name in names:
            if name in directory.files and name.lower() == SKILL_FILE.lower():
                message = "is not read as a skill: its name is not SKILL.md"
                self._tell(directory, name, "miscased-skill-file", message)

    def _refuse(self, directory: Directory, name: str, code: str, message: str) -> None:
        """Notes an entry that cannot be read. What is wrong with a `SKILL.md` is for the catalog to tell."""
        if name == SKILL_FILE:
            directory.files[name] = FileEntry(None, error=(code, message))
        else:
            self._tell(directory, name, code, message)

    def _tell(self, directory: Directory, name: str, code: str, message: str) -> None:
        if len(directory.problems) < MAX_PROBLEMS:
            directory.problems += (problem(code, self.shown(directory.relative, name), message),)
        elif len(directory.problems) == MAX_PROBLEMS:
            message = f"more than {MAX_PROBLEMS} problems in this directory; the others are not told"
            directory.problems += (problem("problem-limit", self.shown(directory.relative), message),)


def _in_order_of_reading(look: _Look, names: list[str]) -> list[str]:
    """What matters most, then what waits longest, then what was never read: so what is written all the time keeps
    nothing waiting for ever."""
    if not look.known:
        return names
    waited = {name: place for place, name in enumerate(look.waited)}
    return sorted(names, key=lambda name: (name != SKILL_FILE, waited.get(name, len(waited)), name in look.known))


def _keep(directory: Directory, known: Directory | None, found: Problem) -> None:
    if known is not None:
        directory.files, directory.children, directory.links = known.files, known.children, known.links
        directory.hidden, directory.skill, directory.unread_files = known.hidden, known.skill, known.unread_files
    directory.unlisted = True
    directory.problems = (found,)
    directory.racy = True  # whatever the reason was, it may be over without leaving a trace
