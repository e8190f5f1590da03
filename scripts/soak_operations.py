"""What people and programs do to whole skills and roots: they come, go, move, are linked, checked out and ignored.

One operation a function; each takes the disk of `soak.py` and does one thing to it, chosen at random. Where there is
nothing to do it to, it does nothing.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from soak_disk import NAMES, Disk, remove
from soak_edits import EDITS, Operation

# Between the files of a skill that is written slowly: longer than the engine takes to publish the one before.
SLOWLY_S = 0.03


def write_skill(disk: Disk) -> None:
    """A new skill, at once."""
    if path := disk.free():
        disk.write_skill(path, files=disk.random.randint(1, 8))


def write_slowly(disk: Disk) -> None:
    """A new skill, file by file; `SKILL.md` comes last, and in two parts."""
    if path := disk.free():
        (path / "references").mkdir(parents=True)
        for number in range(4):
            time.sleep(SLOWLY_S)
            (path / f"references/note-{number}.md").write_bytes(b"A note.\n")
        text = disk.text(path.name)
        with (path / "SKILL.md").open("wb", buffering=0) as file:
            file.write(text[:20])
            time.sleep(SLOWLY_S)
            file.write(text[20:])


def rename_in(disk: Disk) -> None:
    """A finished skill, renamed in from a staging directory."""
    if path := disk.free():
        staged = disk.new(disk.staging)
        disk.write_skill(staged, files=5)
        (staged / "SKILL.md").write_bytes(disk.text(path.name))
        path.parent.mkdir(exist_ok=True)
        staged.rename(path)


def rename(disk: Disk) -> None:
    """A skill, moved to another place, perhaps in another root."""
    if (source := disk.skill()) and (path := disk.free()):
        path.parent.mkdir(exist_ok=True)
        source.rename(path)


def move_out(disk: Disk) -> None:
    """A skill, moved out of its root, and edited there."""
    if source := disk.skill():
        moved = disk.new(disk.outside)
        source.rename(moved)
        if moved.is_dir():
            (moved / "later.md").write_bytes(b"Nobody should see this.\n")


def delete(disk: Disk) -> None:
    """A skill, gone."""
    if path := disk.skill():
        remove(path)


def delete_and_copy(disk: Disk) -> None:
    """`rm -rf` and `cp -r`: the same path, and perhaps the same inode, but another directory."""
    if (path := disk.skill()) and not path.is_symlink():
        kept = disk.new(disk.staging)
        shutil.copytree(path, kept, symlinks=True)
        shutil.rmtree(path)
        shutil.copytree(kept, path, symlinks=True)
        (path / "copied.md").write_bytes(b"Once more.\n")


def checkout(disk: Disk) -> None:
    """Another branch: many files replaced, some deleted, some new, as git does it, which unlinks and writes."""
    if root := disk.root():
        for name in NAMES:
            path = root / name
            choice = disk.random.random()
            if (path / "SKILL.md").is_file() and not path.is_symlink():
                if choice < 0.2:
                    shutil.rmtree(path)
                else:
                    (path / "SKILL.md").unlink()
                    disk.write_skill(path, files=6)
            elif choice < 0.3 and not os.path.lexists(path):
                disk.write_skill(path, files=6)


def write_deep(disk: Disk) -> None:
    """A skill far down, written at once, and files far below one."""
    if root := disk.root():
        disk.write_skill(root / "category/deep/er" / disk.random.choice(NAMES), files=4)
    if path := disk.skill():
        below = path / "references/a/b/c/d/e/f"
        below.mkdir(parents=True, exist_ok=True)
        (below / "note.md").write_bytes(b"%d\n" % disk.random.getrandbits(32))


def link(disk: Disk) -> None:
    """A link to a skill, to a file, or to nothing, added, removed or led elsewhere."""
    if root := disk.root():
        path = root / disk.random.choice(["link-1", "link-2", f"{NAMES[0]}/linked.md"])
        if path.is_symlink() and disk.random.random() < 0.4:
            path.unlink()
        elif path.parent.is_dir():
            targets = [*(root / name for name in NAMES[:6]), disk.outside, root / NAMES[1] / "SKILL.md", root / "none"]
            _link(disk, disk.random.choice(targets), path)


def flip_data(disk: Disk) -> None:
    """A volume of Kubernetes: `..data` leads to a new directory from one moment to the next."""
    if root := disk.root():
        volume = root / "volume"
        volume.mkdir(exist_ok=True)
        new = disk.new(volume)
        new = new.with_name(f"..{new.name}")
        new.mkdir()
        (new / "SKILL.md").write_bytes(disk.text("volume"))
        (new / "note.md").write_bytes(b"%d\n" % disk.random.getrandbits(32))
        old = volume / "..data"
        gone = volume / os.readlink(old) if old.is_symlink() else None
        _link(disk, Path(new.name), old)
        for name in ("SKILL.md", "note.md"):
            if not os.path.lexists(volume / name):
                (volume / name).symlink_to(f"..data/{name}")
        if gone is not None:
            remove(gone)


def ignore(disk: Disk) -> None:
    """A `.skillsignore` that is written, changed, broken or removed."""
    if root := disk.root():
        file = root / ".skillsignore"
        lines = disk.random.choice(
            [b"", b"*.py\n", b"skill-0*/\n", b"!node_modules/\n", b"skill-01/\n*.txt\n", b"\xff"]
        )
        if lines:
            file.write_bytes(lines)
        else:
            remove(file)


def _link(disk: Disk, target: Path, path: Path) -> None:
    """Lets `path` lead to `target` from one moment to the next, if it is a link or nothing."""
    if path.is_symlink() or not os.path.lexists(path):
        temporary = disk.new(disk.staging)
        temporary.symlink_to(target)
        temporary.replace(path)


OPERATIONS: tuple[Operation, ...] = (
    *EDITS,
    write_skill,
    write_slowly,
    rename_in,
    rename,
    move_out,
    delete,
    delete_and_copy,
    checkout,
    write_deep,
    link,
    flip_data,
    ignore,
)
