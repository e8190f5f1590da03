"""What goes wrong beneath and around skills, one fault a context manager: the other half of `soak.py`.

A fault lasts while its block runs, and operations happen inside of it. When the block ends, what was taken away is
back; what the fault left on the disk stays. A fault that must not happen to a machine happens to a namespace: see
`NAMESPACE_FAULTS`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from soak_disk import Disk, remove
from soak_side import Watching

# The kernel's queue holds 16,384 events, and a file that is created makes four.
OVERFLOWING_FILES = 5_000
# The limit of the namespace that the run is in, not the machine's: /proc/sys/fs/inotify would be that of everybody.
WATCH_LIMIT = Path("/proc/sys/user/max_inotify_watches")
FEW_WATCHES = 10

Fault = Callable[[Disk, Watching], AbstractContextManager[None]]


@contextmanager
def suspended(disk: Disk, watching: Watching) -> Iterator[None]:
    """The process is stopped while more is written than the kernel's queue holds."""
    watching.suspend()
    try:
        if skill := disk.skill():
            notes = skill / "references/notes"
            notes.mkdir(parents=True, exist_ok=True)
            for number in range(OVERFLOWING_FILES):
                (notes / f"note-{number}.md").write_bytes(b"%d\n" % number)
            if disk.random.random() < 0.7:
                remove(notes)
        yield
        time.sleep(disk.random.uniform(0.2, 3.0))
    finally:
        watching.resume()


@contextmanager
def root_deleted(disk: Disk, watching: Watching) -> Iterator[None]:
    """A root is deleted and made again, at once or after a while."""
    root = disk.random.choice([disk.first, disk.second])
    remove(root)
    _pause(disk)
    root.mkdir()
    disk.write_skill(root / "made-again", files=3)
    yield


@contextmanager
def root_replaced(disk: Disk, watching: Watching) -> Iterator[None]:
    """A root is renamed away, and another directory takes its place; the old one is written to."""
    root = disk.random.choice([disk.first, disk.second])
    away, new = disk.new(disk.outside), disk.new(disk.staging)
    disk.write_skill(new / "replaced", files=3)
    root.rename(away)
    _pause(disk)
    new.rename(root)
    disk.write_skill(away / "nobody-sees-this", files=3)
    yield


@contextmanager
def root_became_file(disk: Disk, watching: Watching) -> Iterator[None]:
    """A root is a file for a while, and then the directory that it was."""
    root = disk.random.choice([disk.first, disk.second])
    away = disk.new(disk.staging)
    root.rename(away)
    root.write_bytes(b"Not a directory.\n")
    try:
        yield
        _pause(disk)
    finally:
        root.unlink()
        away.rename(root)


@contextmanager
def root_flipped(disk: Disk, watching: Watching) -> Iterator[None]:
    """The link that is a root leads elsewhere from one moment to the next."""
    target = "third-b" if os.readlink(disk.third) == "third-a" else "third-a"
    temporary = disk.new(disk.staging)
    temporary.symlink_to(target)
    temporary.replace(disk.third)
    yield


@contextmanager
def parent_moved(disk: Disk, watching: Watching) -> Iterator[None]:
    """The directory above a root is moved away and, after a while, back; the root is written to meanwhile."""
    away = disk.new(disk.outside)
    disk.first.parent.rename(away)
    try:
        disk.write_skill(away / "first/written-away", files=3)
        yield
        _pause(disk)
    finally:
        away.rename(disk.first.parent)


@contextmanager
def descriptors_exhausted(disk: Disk, watching: Watching) -> Iterator[None]:
    """The process has only a few descriptors left, or none."""
    watching.tell("hoard", disk.random.randint(0, 4))
    try:
        yield
        time.sleep(disk.random.uniform(0.1, 2.5))
    finally:
        watching.tell("release")


@contextmanager
def listener_fails(disk: Disk, watching: Watching) -> Iterator[None]:
    """A listener raises on every change."""
    with _listening(disk, watching, "fail"):
        yield


@contextmanager
def listener_blocks(disk: Disk, watching: Watching) -> Iterator[None]:
    """A listener does not return; the one beside it must hear everything all the same."""
    with _listening(disk, watching, "block"):
        yield


@contextmanager
def _listening(disk: Disk, watching: Watching, how: str) -> Iterator[None]:
    watching.tell(how)
    try:
        yield
        _pause(disk)
    finally:
        watching.tell("unsubscribe")


@contextmanager
def workspaces_come_and_go(disk: Disk, watching: Watching) -> Iterator[None]:
    """More workspaces on the same engine, on some of the roots and on directories inside of them."""
    roots = [*disk.roots, disk.first / "category", disk.outside]
    for _ in range(disk.random.randint(1, 4)):
        watching.tell("open", [str(root) for root in disk.random.sample(roots, disk.random.randint(1, 3))])
    try:
        yield
    finally:
        watching.tell("close")


@contextmanager
def watches_lacking(disk: Disk, watching: Watching) -> Iterator[None]:
    """The kernel refuses all but a few watches."""
    before = WATCH_LIMIT.read_text(encoding="ascii")
    WATCH_LIMIT.write_text(str(FEW_WATCHES), encoding="ascii")
    try:
        yield
        time.sleep(disk.random.uniform(0.1, 2.5))
    finally:
        WATCH_LIMIT.write_text(before, encoding="ascii")


@contextmanager
def mounted_over(disk: Disk, watching: Watching) -> Iterator[None]:
    """Another file system covers a watched directory, is written to, and is unmounted lazily."""
    skill = disk.skill()
    if skill is None or skill.is_symlink():
        yield
        return
    subprocess.run(["mount", "-t", "tmpfs", "soak", skill], check=True)
    try:
        disk.write_skill(skill, files=3)
        _pause(disk)
    finally:
        subprocess.run(["umount", "--lazy", skill], check=True)
    yield


def _pause(disk: Disk) -> None:
    """Mostly too short for anybody to have looked meanwhile, sometimes long enough."""
    time.sleep(disk.random.choice([0.0, 0.0, 0.01, 0.3, 2.0]))


FAULTS: tuple[Fault, ...] = (
    suspended,
    root_deleted,
    root_replaced,
    root_became_file,
    root_flipped,
    parent_moved,
    descriptors_exhausted,
    listener_fails,
    listener_blocks,
    workspaces_come_and_go,
)
# These change limits and mounts, so they need a namespace of their own; there, no privilege is needed.
NAMESPACE_FAULTS: tuple[Fault, ...] = (watches_lacking, mounted_over)
# After these a capability returns, which may take 40 s to be taken up again; after all others it is 15 s.
SLOW_FAULTS: frozenset[Fault] = frozenset((descriptors_exhausted, watches_lacking))
