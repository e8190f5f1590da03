"""What people and programs do inside of a skill: its files, their bytes, names, times and permissions.

One operation a function; each takes the disk of `soak.py` and does one thing to it, chosen at random. Where there is
nothing to do it to, it does nothing.
"""

from __future__ import annotations

import mmap
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from soak_disk import Disk

Operation = Callable[[Disk], None]

IRRELEVANT_FILES = 5_000

_BROKEN = (
    b"no frontmatter\n",
    b"",
    b"---\nname: open\n",
    b"---\ndescription: 'never ends\n---\n",
    b"---\nname: x\ndescription: a: b\n---\nBody\n",
    b"---\nname: x\n---\nNo description.\n",
    b"\xff\xfe\x00binary\x00",
)


def edit(disk: Disk) -> None:
    """An editor's save: a temporary file, renamed over the old one."""
    if file := disk.skill_file():
        temporary = file.with_name(".SKILL.md.swp")
        temporary.write_bytes(disk.text(file.parent.name))
        temporary.replace(file)


def append(disk: Disk) -> None:
    """A few bytes more."""
    if file := disk.file():
        with file.open("ab") as stream:
            stream.write(b"More.\n")


def rewrite(disk: Disk) -> None:
    """Truncated and written again in place, in two parts: for a moment it is empty."""
    if file := disk.skill_file():
        text = disk.text(file.parent.name)
        with file.open("wb", buffering=0) as stream:
            time.sleep(disk.random.choice([0.0, 0.01]))
            stream.write(text[:30])
            stream.write(text[30:])


def change_mode(disk: Disk) -> None:
    """Permissions, of which a consumer sees nothing as long as the file can be read."""
    if file := disk.file():
        file.chmod(disk.random.choice([0o600, 0o644, 0o755, 0o400]))
        if not os.access(file, os.W_OK):
            file.chmod(0o644)


def touch(disk: Disk) -> None:
    """Times, with no byte changed; sometimes long ago."""
    if file := disk.file():
        os.utime(file, None if disk.random.random() < 0.5 else (1_000_000_000, 1_000_000_000))


def write_by_mmap(disk: Disk) -> None:
    """Through a mapping, of which the kernel tells nobody."""
    if (file := disk.skill_file()) and file.stat().st_size > 0:
        with file.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as mapping:
            mapping[-1:] = b"%d" % disk.random.randint(0, 9)
            mapping.flush()


def write_by_hard_link(disk: Disk) -> None:
    """Through another name of the same file outside of the roots, of which no watch tells."""
    if file := disk.skill_file():
        outside = disk.new(disk.outside)
        os.link(file, outside)
        outside.write_bytes(disk.text(file.parent.name))


def write_broken(disk: Disk) -> None:
    """A `SKILL.md` that cannot be read as one, or only just."""
    if (skill := disk.skill()) and not (skill / "SKILL.md").is_symlink():
        (skill / "SKILL.md").write_bytes(disk.random.choice(_BROKEN))


def write_undecodable(disk: Disk) -> None:
    """A name that is not UTF-8, which ends the native watcher's instance; or its removal."""
    if path := disk.skill():
        name = os.fsencode(path) + b"/bad-\xff\xfe.md"
        if os.path.exists(name):
            os.unlink(name)
        else:
            Path(os.fsdecode(name)).write_bytes(b"A note.\n")


def write_excluded(disk: Disk) -> None:
    """An install into `node_modules`, with a `SKILL.md` in it that is nobody's."""
    if path := disk.skill():
        for number in range(100):
            package = path / f"node_modules/package-{number}"
            package.mkdir(parents=True, exist_ok=True)
            (package / "index.js").write_bytes(b"export default 1;\n")
        (path / "node_modules/SKILL.md").write_bytes(disk.text("nobody"))


def write_irrelevant(disk: Disk) -> None:
    """Thousands of files that no skill is made of, and their end."""
    if path := disk.skill():
        icons = path / "icons"
        icons.mkdir(exist_ok=True)
        for number in range(IRRELEVANT_FILES):
            (icons / f"icon-{number}.svg").write_bytes(b"<svg/>\n")
        if disk.random.random() < 0.7:
            shutil.rmtree(icons)


EDITS: tuple[Operation, ...] = (
    edit,
    append,
    rewrite,
    change_mode,
    touch,
    write_by_mmap,
    write_by_hard_link,
    write_broken,
    write_undecodable,
    write_excluded,
    write_irrelevant,
)
