"""The disk that `soak.py` works on: three roots, what lies beside them, and how each is made and found.

    parent/first      a root, with a directory above it that can be moved away
    second            a root
    third -> third-a  a root that is a link, which can be flipped to third-b
    staging, outside  where skills are made before they are renamed in, and where they are moved out to

Everything is chosen from sorted names by one seeded `Random`, so a seed repeats a run as long as nothing depends on
time. Nobody writes but this one thread.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from random import Random

# Names are few, so that operations meet, and skills of one name shadow each other.
NAMES = tuple(f"skill-{number:02}" for number in range(40))
BASE_SKILLS = 12


class Disk:
    """The directories below `base`, and the random choices that are made about them."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.random = Random()
        self.first, self.second, self.third = base / "parent/first", base / "second", base / "third"
        self.staging, self.outside = base / "staging", base / "outside"
        self._number = 0

    @property
    def roots(self) -> tuple[Path, Path, Path]:
        """The roots, in the order in which they win."""
        return (self.first, self.second, self.third)

    def reset(self) -> None:
        """The same few skills in every root, whatever was there."""
        self.base.mkdir(exist_ok=True)
        for path in self.base.iterdir():
            remove(path)
        for directory in (self.first, self.second, self.base / "third-a", self.base / "third-b"):
            directory.mkdir(parents=True)
        self.third.symlink_to("third-a")
        self.staging.mkdir()
        self.outside.mkdir()
        for root in self.roots:
            for name in NAMES[:BASE_SKILLS]:
                self.write_skill(root / name, files=3)
        (self.base / "third-b" / NAMES[0]).mkdir()

    # -- choosing -----------------------------------------------------------------------------------------------------

    def root(self) -> Path | None:
        """One of the roots that are directories just now."""
        present = [root for root in self.roots if root.is_dir()]
        return self.random.choice(present) if present else None

    def skill(self) -> Path | None:
        """The directory of a skill at the top of a root."""
        root = self.root()
        found = sorted(path for path in root.iterdir() if (path / "SKILL.md").exists()) if root is not None else []
        return self.random.choice(found) if found else None

    def skill_file(self) -> Path | None:
        """A `SKILL.md` that is a regular file."""
        skill = self.skill()
        file = skill / "SKILL.md" if skill is not None else None
        return file if file is not None and file.is_file() and not file.is_symlink() else None

    def file(self) -> Path | None:
        """A regular file of a skill; some are no business of a watcher."""
        skill = self.skill()
        if skill is None:
            return None
        found = sorted(path for path in skill.rglob("*") if path.is_file() and not path.is_symlink())
        return self.random.choice(found) if found else None

    def free(self) -> Path | None:
        """A path in a root where nothing is; sometimes in a category."""
        root = self.root()
        if root is None:
            return None
        above = root / "category" if self.random.random() < 0.2 else root
        path = above / self.random.choice(NAMES)
        return None if os.path.lexists(path) else path

    def new(self, above: Path) -> Path:
        """A path in `above` that was never used before."""
        self._number += 1
        return above / f"number-{self._number:06}"

    # -- writing ------------------------------------------------------------------------------------------------------

    def text(self, name: str) -> bytes:
        """A `SKILL.md` like no other."""
        number = self.random.getrandbits(48)
        lines = "A line of the instructions.\n" * self.random.randint(1, 30)
        return f"---\nname: {name}\ndescription: Does {number:x}.\n---\n\n{lines}".encode()

    def write_skill(self, directory: Path, *, files: int) -> None:
        """A skill of `files` files, written as fast as possible."""
        (directory / "scripts").mkdir(parents=True, exist_ok=True)
        (directory / "SKILL.md").write_bytes(self.text(directory.name))
        for number in range(files - 1):
            (directory / f"scripts/step_{number}.py").write_bytes(b"print(%d)\n" % self.random.getrandbits(32))


def remove(path: Path) -> None:
    """Deletes `path`, whatever it is; nothing where nothing is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
