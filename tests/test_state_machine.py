"""Fresh: whatever is done to the disk, after `sync()` the snapshot equals a fresh scan."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from skills_refresh import Settings, Snapshot, watch

from .conftest import skill_text
from .oracle import assert_fresh

# Few names, so that operations meet: skills, categories, excluded and hidden directories, allowed and other files.
NAMES = st.sampled_from(["pdf", "docx", "tools", "build", "node_modules", ".venv", ".hidden"])
FILES = st.sampled_from(["SKILL.md", "run.py", "notes.md", "logo.svg", "Makefile", ".secret.md", "skill.md"])
TEXTS = st.sampled_from(
    [
        skill_text("pdf"),
        skill_text("docx", body="Other.\n"),
        skill_text("shared-name"),
        "no frontmatter\n",
        "---\nname: pdf\ndescription: a: b\n---\nBody\n",
        "print('hello')\n",
        "",
    ]
)
DIRECTORIES = st.lists(NAMES, max_size=4)  # mostly short, so that operations meet
PATHS = st.tuples(DIRECTORIES, FILES)

# Small limits, so that they are reached.
SETTINGS = Settings(max_depth=3, max_directories=12, max_skills=4)


class Disk(RuleBasedStateMachine):
    """Two roots, a place beside them to move things out to, and a workspace that lives through it all."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="skills-refresh-"))
        self.roots = [self.base / "first", self.base / "second"]
        self.outside = self.base / "outside"
        for directory in (*self.roots, self.outside):
            directory.mkdir()
        self.workspace = watch(*self.roots, settings=SETTINGS).start()
        self.previous = self.workspace.snapshot
        self.moved = 0

    def teardown(self) -> None:
        try:
            self.check()
        finally:
            self.workspace.close()
            shutil.rmtree(self.base, ignore_errors=True)

    def at(self, root: int, directories: list[str], name: str = "") -> Path:
        return self.roots[root].joinpath(*directories, name)

    @rule(root=st.integers(0, 1), path=PATHS, text=TEXTS)
    def write(self, root: int, path: tuple[list[str], str], text: str) -> None:
        target = self.at(root, *path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        except OSError:
            pass  # a file is where a directory should be: not this time

    @rule(root=st.integers(0, 1), path=PATHS)
    def append(self, root: int, path: tuple[list[str], str]) -> None:
        target = self.at(root, *path)
        if target.is_file():
            with target.open("a") as file:
                file.write("more\n")

    @rule(root=st.integers(0, 1), path=PATHS, text=TEXTS)
    def replace(self, root: int, path: tuple[list[str], str], text: str) -> None:
        target = self.at(root, *path)
        if target.parent.is_dir() and not target.is_dir():
            temporary = target.with_name(target.name + ".tmp~")
            temporary.write_text(text)
            temporary.replace(target)

    @rule(root=st.integers(0, 1), path=PATHS)
    def delete(self, root: int, path: tuple[list[str], str]) -> None:
        target = self.at(root, *path)
        if target.is_file() or target.is_symlink():
            target.unlink()

    @rule(root=st.integers(0, 1), directories=DIRECTORIES)
    def make_directory(self, root: int, directories: list[str]) -> None:
        try:
            self.at(root, directories).mkdir(parents=True, exist_ok=True)
        except OSError:
            pass

    @rule(root=st.integers(0, 1), directories=DIRECTORIES)
    def remove_tree(self, root: int, directories: list[str]) -> None:
        target = self.at(root, directories)
        if not target.is_symlink():
            shutil.rmtree(target, ignore_errors=True)

    @rule(root=st.integers(0, 1), directories=DIRECTORIES, other=st.integers(0, 1), to=DIRECTORIES)
    def rename(self, root: int, directories: list[str], other: int, to: list[str]) -> None:
        source, destination = self.at(root, directories), self.at(other, to)
        if source.exists() and destination.parent.is_dir() and not os.path.lexists(destination):
            try:
                source.rename(destination)
            except OSError:
                pass  # into itself

    @rule(root=st.integers(0, 1), directories=DIRECTORIES.filter(bool))
    def move_out(self, root: int, directories: list[str]) -> None:
        source = self.at(root, directories)
        if source.exists():
            self.moved += 1
            source.rename(self.outside / str(self.moved))

    @rule(root=st.integers(0, 1), directories=DIRECTORIES, number=st.integers(1, 5))
    def move_in(self, root: int, directories: list[str], number: int) -> None:
        source = self.outside / str(number)
        destination = self.at(root, directories)
        if source.exists() and destination.parent.is_dir() and not os.path.lexists(destination):
            source.rename(destination)

    @rule(root=st.integers(0, 1), path=PATHS, to=PATHS)
    def link_file(self, root: int, path: tuple[list[str], str], to: tuple[list[str], str]) -> None:
        self.link(self.at(root, *path), self.at(root, *to))

    @rule(root=st.integers(0, 1), directories=DIRECTORIES.filter(bool), to=DIRECTORIES)
    def link_directory(self, root: int, directories: list[str], to: list[str]) -> None:
        self.link(self.at(root, directories), self.at(root, to))

    @rule(root=st.integers(0, 1), directories=DIRECTORIES.filter(bool))
    def link_outside(self, root: int, directories: list[str]) -> None:
        self.link(self.at(root, directories), self.outside)

    def link(self, path: Path, target: Path) -> None:
        if path.parent.is_dir() and not os.path.lexists(path):
            path.symlink_to(target)

    @rule(root=st.integers(0, 1), path=PATHS, mode=st.sampled_from([0o600, 0o644, 0o755]))
    def chmod(self, root: int, path: tuple[list[str], str], mode: int) -> None:
        target = self.at(root, *path)
        if target.is_file():
            target.chmod(mode)

    @rule(root=st.integers(0, 1), path=PATHS)
    def touch(self, root: int, path: tuple[list[str], str]) -> None:
        target = self.at(root, *path)
        if target.exists():
            os.utime(target)

    @rule(root=st.integers(0, 1), path=PATHS)
    def read(self, root: int, path: tuple[list[str], str]) -> None:
        target = self.at(root, *path)
        if target.is_file():
            target.read_bytes()

    @rule(
        root=st.integers(0, 1), lines=st.lists(st.sampled_from(["docx/", "!build/", "*.py", "!.hidden/"]), max_size=2)
    )
    def ignore(self, root: int, lines: list[str]) -> None:
        if self.roots[root].is_dir():
            (self.roots[root] / ".skillsignore").write_text("\n".join(lines))

    @rule(root=st.integers(0, 1))
    def restore_root(self, root: int) -> None:
        if not os.path.lexists(self.roots[root]):
            self.roots[root].mkdir()

    @rule()
    def sync(self) -> None:
        self.check()

    def check(self) -> None:
        snapshot = self.workspace.sync(timeout=20)
        assert_fresh(self.workspace, SETTINGS)
        self.check_sharing(snapshot)

    def check_sharing(self, snapshot: Snapshot) -> None:
        """Versions only increase, and a skill of which no byte changed is the very same object."""
        before, self.previous = self.previous, snapshot
        assert snapshot is before if snapshot.version == before.version else snapshot.version > before.version
        for name, skill in snapshot.skills.items():
            old = before.skills.get(name)
            if old is not None and (old.location, old.files, old.source) == (skill.location, skill.files, skill.source):
                assert old is skill

    @invariant()
    def reading_never_fails(self) -> None:
        assert self.workspace.snapshot.version >= self.previous.version


class DiskByEvents(Disk):
    """The same without a barrier: events alone must bring the snapshot there, long before the first audit.

    No links: the kernel says nothing of what happens to a link's target.
    """

    link_file = link_directory = link_outside = None  # type: ignore[assignment]  # taken out of the rules

    def check(self) -> None:
        deadline = time.monotonic() + 5.0
        while True:
            try:
                assert_fresh(self.workspace, SETTINGS)
                break
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
        self.check_sharing(self.workspace.snapshot)


TestDisk = Disk.TestCase
TestDiskByEvents = DiskByEvents.TestCase
