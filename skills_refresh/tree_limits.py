"""`TreeLimits`: what one root, and each skill in it, may hold; and the problems that say which limits were reached.

Only what is bounded over several directories is here; what one directory may hold is bounded where it is listed.
"""

from __future__ import annotations

from collections.abc import Callable

from .directory import Directory
from .problems import Problem, problem

# Real skills hold some hundred names that matter, at most nine levels deep. These limits bound what a hostile one
# costs: 20,000 names take 10 MB, and 0.3 s to look at.
MAX_LEVELS_IN_SKILL = 64
MAX_NAMES_IN_SKILL = 20_000
# Below all skills of a root, and outside of them: what hostile skills hold takes no skill's own directory away. Each
# directory takes a kernel watch besides.
MAX_NAMES = 200_000
MAX_DIRECTORIES = 20_000
# Each look at a link follows it again, with a call for each name on the way.
NAMES_FOR_A_LINK = 20


class TreeLimits:
    """Counts what a tree holds. Owned by one thread.

    `searched` is the most directories that are searched for skills; `shown` makes a relative path one for users.
    `names` counts the files, directories and links that matter below each skill, and, for None, outside of them
    together with the skills' own directories. `problems` tells which limits were reached.
    """

    def __init__(self, searched: int, shown: Callable[[str], str]) -> None:
        self.names: dict[str | None, int] = {}
        self.problems: tuple[Problem, ...] = ()
        self._max_searched = searched
        self._shown = shown
        self._searched = 0
        self._inside = 0
        self._told: set[tuple[str, str]] = set()

    def admit(self, directory: Directory, planned: int, skill: Directory | None) -> bool:
        """Whether there is room for `directory`, which lies in `skill`, beside the `planned` ones; tells if not."""
        if directory.above is None and self._searched >= self._max_searched:
            message = f"more than {self._max_searched} directories; the rest is not searched for skills"
            self._tell("directory-limit", "", message)
        elif self.names.get(directory.above, 0) >= _most_names(directory.above):
            code, relative = ("root-size-limit", "") if skill is None else ("skill-size-limit", skill.relative)
            limit = _most_names(directory.above)
            self._tell(code, relative, f"more than {limit:,} files, directories and links; the rest is left out")
        elif directory.above is not None and (self._inside >= MAX_NAMES or planned >= MAX_DIRECTORIES):
            message = (
                f"more than {MAX_DIRECTORIES:,} directories, or {MAX_NAMES:,} files, directories and links in skills"
            )
            self._tell("root-size-limit", "", f"{message}; the rest is left out")
        else:
            return True
        return False

    def differs(self, new: Directory, known: Directory | None) -> bool:
        """Whether what `new` holds instead of `known` may change what there is room for elsewhere."""
        more = _size(new) - (0 if known is None else _size(known))
        if not more:
            return False
        if self.problems or self.names.get(new.above, 0) + more >= _most_names(new.above):
            return True
        return new.above is not None and self._inside + more >= MAX_NAMES

    def add(self, directory: Directory) -> None:
        """Counts a directory that entered the plan."""
        skill, size = directory.above, _size(directory)
        self.names[skill] = self.names.get(skill, 0) + size
        if skill is None:
            self._searched += 1
        else:
            self._inside += size

    def remove(self, directory: Directory) -> None:
        """Counts a directory that left the plan."""
        skill, size = directory.above, _size(directory)
        self.names[skill] -= size
        if skill is None:
            self._searched -= 1
        else:
            self._inside -= size
            if not self.names[skill]:
                del self.names[skill]

    def _tell(self, code: str, relative: str, message: str) -> None:
        if (code, relative) not in self._told:
            self._told.add((code, relative))
            self.problems += (problem(code, self._shown(relative), message),)


def _most_names(skill: str | None) -> int:
    return MAX_NAMES if skill is None else MAX_NAMES_IN_SKILL


def _size(directory: Directory) -> int:
    # With what is not read yet: else each slice of it would look like a change of what there is room for.
    files = len(directory.files) + len(directory.unread_files.keys() - directory.files.keys())
    return 1 + files + len(directory.children) + NAMES_FOR_A_LINK * len(directory.links)
