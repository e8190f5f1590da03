"""`SkillsRoot`: a directory in which a test keeps skills, with a method for each thing that people do to them.

Files are written whole, by renaming, as editors do, so that no test depends on whether somebody saw one half written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..escaping import printable
from ..filters import SKILL_FILE
from ..freezing import plain
from ..frontmatter import parse_frontmatter

_DESCRIPTION = "Does it."
_BODY = "Do it.\n"


class SkillsRoot:
    """A directory of skills at `path`, which is made where it does not exist. Can be given wherever a path can.

    A skill is named by its directory relative to the root, such as `"pdf"` or `"team/pdf"`. Methods that need a skill
    raise `FileNotFoundError` where there is none, and those that write `ValueError` for a path that leads out of the
    root. Not for several threads at once on one skill.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"<SkillsRoot {self.path}>"

    def add(
        self,
        name: str,
        *,
        description: str = _DESCRIPTION,
        body: str = _BODY,
        files: Mapping[str, str | bytes] | None = None,
    ) -> Path:
        """Writes the skill `name` and returns its directory. `files` are contents by path relative to that."""
        directory = self._inside(name)
        self.write(f"{name}/{SKILL_FILE}", skill_text(directory.name, description, body))
        self._write_files(name, files)
        return directory

    def edit(
        self,
        name: str,
        *,
        description: str | None = None,
        body: str | None = None,
        files: Mapping[str, str | bytes] | None = None,
    ) -> Path:
        """Changes what is given of the skill `name`; returns its directory. `files` are written beside those there are.

        A new body leaves every byte of the frontmatter as it is, and a new description every byte of the body. A
        `SKILL.md` that cannot be loaded is written anew, with what `add` would write for what is not given.
        """
        directory = self._skill(name)
        source = (directory / SKILL_FILE).read_bytes()
        if description is not None or body is not None:
            self.write(f"{name}/{SKILL_FILE}", _edited(source, directory.name, description, body))
        self._write_files(name, files)
        return directory

    def remove(self, name: str) -> None:
        """Deletes the skill `name` with all that it holds, at once."""
        shutil.rmtree(self._take_out(name))

    def rename(self, name: str, new_name: str) -> Path:
        """Gives the skill `name` another directory, and its `SKILL.md` the name of that; returns the directory.

        It is gone from the old place before it appears, whole, at the new one. Raises `FileExistsError` where something
        is there already.
        """
        self._skill(name)
        directory = self._inside(new_name)
        if directory.exists():
            raise FileExistsError(f"{printable(str(directory))} exists; remove it first, or take another name")
        taken_out = self._take_out(name)
        skill_file = taken_out / SKILL_FILE
        skill_file.write_bytes(_renamed(skill_file.read_bytes(), directory.name))
        directory.parent.mkdir(parents=True, exist_ok=True)
        return taken_out.rename(directory)

    def break_(self, name: str) -> Path:
        """Cuts the `SKILL.md` of the skill `name` off within its frontmatter, as an interrupted write leaves it.

        Returns its path. The problem is `unclosed-frontmatter`; `edit` mends it.
        """
        directory = self._skill(name)
        return self.write(f"{name}/{SKILL_FILE}", f"---\nname: {directory.name}\ndescr")

    def write(self, relative: str, content: str | bytes) -> Path:
        """Writes any file below the root, with the directories above it; returns its path."""
        path = self._inside(relative)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        return temporary.replace(path)

    def _write_files(self, name: str, files: Mapping[str, str | bytes] | None) -> None:
        for path, content in (files or {}).items():
            self.write(f"{name}/{path}", content)

    def _take_out(self, name: str) -> Path:
        """Hides the directory of the skill `name`, by one renaming, and returns where it is now."""
        directory = self._skill(name)
        return directory.rename(directory.with_name(f".{directory.name}.tmp"))

    def _skill(self, name: str) -> Path:
        """The directory of the skill `name`, which must be there."""
        directory = self._inside(name)
        if not (directory / SKILL_FILE).exists():
            raise FileNotFoundError(
                f"there is no skill {name!r}: add it first; {directory / SKILL_FILE} does not exist"
            )
        return directory

    def _inside(self, relative: str) -> Path:
        """The path below the root that is called so. Links are not looked at: a test may have made them on purpose."""
        path = Path(os.path.abspath(self.path / relative))
        if Path(os.path.abspath(self.path)) not in path.parents:
            raise ValueError(f"{relative!r} does not lie below {self.path}; give a path relative to that")
        return path


def skill_text(name: str, description: str = _DESCRIPTION, body: str = _BODY) -> str:
    """A well-formed `SKILL.md`."""
    return _header({"name": name, "description": description}).decode() + f"\n{body}"


def _edited(source: bytes, directory_name: str, description: str | None, body: str | None) -> bytes:
    """`source` with another description, another body, or both."""
    frontmatter, _ = parse_frontmatter(source, directory_name)
    if frontmatter is None:
        return skill_text(directory_name, description or _DESCRIPTION, _BODY if body is None else body).encode()
    header, text = source[: frontmatter.body_offset], source[frontmatter.body_offset :]
    if description is not None:
        header = _header({**frontmatter.fields, "description": description})
    return header + (text if body is None else f"\n{body}".encode())


def _renamed(source: bytes, name: str) -> bytes:
    """`source` with another name; as it is where it cannot be loaded."""
    frontmatter, _ = parse_frontmatter(source, name)
    if frontmatter is None:
        return source
    return _header({**frontmatter.fields, "name": name}) + source[frontmatter.body_offset :]


def _header(fields: Mapping[str, object]) -> bytes:
    """The frontmatter with its fences, each value quoted where YAML needs it."""
    import yaml  # here, because plain tests of a plugin's user need no YAML

    # One line a value: a long description is not folded, as people do not fold theirs.
    text = yaml.safe_dump(plain(fields), sort_keys=False, allow_unicode=True, width=float("inf"))
    return f"---\n{text}---\n".encode()
