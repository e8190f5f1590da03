"""Skills become instructions to a model: nothing outside of the roots and the allowed link targets is ever read.

Each test tries it as somebody would who may write below a root and wants the gateway to read what lies beside it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from skills_refresh import Settings, Snapshot, Workspace, opening, scan
from skills_refresh.encoding import snapshot_json
from skills_refresh.watching.limits import open_descriptors

from .conftest import SkillsRoot, age, skill_text, wait_for
from .oracle import assert_fresh

Opener = Callable[..., Workspace]
Swap = Callable[[], None]

SECRET = skill_text("secret", body="The password is 1234.\n").encode()
# How often a scan races against somebody who swaps names; a window of microseconds is met hundreds of times.
ROUNDS = 3_000

posix_only = pytest.mark.skipif(not opening.HAS_DESCRIPTORS, reason="no descriptors of directories on this platform")
as_root = pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="needs root, to give files away")


def leaks(snapshot: Snapshot) -> bool:
    """Whether anything of the secret is in `snapshot`: its bytes, its hash, its size."""
    files = [file for skill in snapshot.skills.values() for file in skill.files] + list(snapshot.files.values())
    hashed = {file.sha256 for file in files}
    text = json.dumps(snapshot_json(snapshot)) + "".join(skill.instructions() for skill in snapshot.skills.values())
    return sha256(SECRET).hexdigest() in hashed or len(SECRET) in {file.size for file in files} or "1234" in text


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A directory beside the root, which looks like a skill: SKILL.md, and the same in `references`."""
    directory = tmp_path / "private" / "secret"
    (directory / "references").mkdir(parents=True)
    for path in (directory / "SKILL.md", directory / "references" / "notes.md"):
        path.write_bytes(SECRET)
    return directory


# -- links ------------------------------------------------------------------------------------------------------------

LINKS: dict[str, tuple[str, str]] = {
    "a file": ("pdf/notes.md", "{secret}/SKILL.md"),
    "a SKILL.md": ("other/SKILL.md", "{secret}/SKILL.md"),
    "a directory": ("linked", "{secret}"),
    "a directory inside a skill": ("pdf/references", "{secret}/references"),
    "relative": ("linked", "../../{base}/private/secret"),
    "through a link that stays inside": ("pdf/notes.md", "../pdf/../way/SKILL.md"),
    "through a link that is hidden": ("pdf/notes.md", ".hidden/SKILL.md"),
    "a sibling with the same beginning": ("linked", "../skills-private/secret"),
    "a magic link": ("linked", "/proc/self/root{secret}"),
    "a magic link inside a skill": ("pdf/notes.md", "/proc/self/root{secret}/SKILL.md"),
}


@pytest.mark.parametrize(("place", "target"), LINKS.values(), ids=LINKS)
def test_a_link_out_is_told_and_not_followed(
    skills_root: SkillsRoot, secret: Path, tmp_path: Path, place: str, target: str
) -> None:
    skills_root.add("pdf")
    (skills_root.path / "way").symlink_to(secret)
    (skills_root.path / "pdf" / ".hidden").symlink_to(secret)
    SkillsRoot(tmp_path / "skills-private").add("secret")
    path = skills_root.path / place
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(target.format(secret=secret, base=tmp_path.name))
    snapshot = scan([skills_root.path]).snapshot
    assert not leaks(snapshot)
    assert list(snapshot.skills) == ["pdf"]
    assert ("escaping-link", path) in [(found.code, found.path) for found in snapshot.problems]


def test_a_link_leads_where_its_text_says(skills_root: SkillsRoot, secret: Path) -> None:
    """A magic link is followed by the kernel to a file that its text does not name: here to one that was deleted."""
    skills_root.add("pdf")
    descriptor = os.open(secret / "SKILL.md", os.O_RDONLY)
    try:
        if not os.path.exists(f"/proc/self/fd/{descriptor}"):
            pytest.skip("needs /proc")
        (secret / "SKILL.md").rename(skills_root.path / "pdf" / "moved.md")
        (skills_root.path / "pdf" / "notes.md").symlink_to(f"/proc/self/fd/{descriptor}")
        (skills_root.path / "pdf" / "moved.md").unlink()
        dangling = scan([skills_root.path]).snapshot
        skills_root.write("pdf/moved.md (deleted)", "Harmless.\n")
        snapshot = scan([skills_root.path]).snapshot
    finally:
        os.close(descriptor)
    assert [found.code for found in dangling.problems] == ["dangling-link"]
    assert sha256(b"Harmless.\n").hexdigest() in {file.sha256 for file in snapshot.skills["pdf"].files}
    assert not leaks(dangling)
    assert not leaks(snapshot)


def test_an_allowed_target_does_not_allow_what_lies_beside_it(skills_root: SkillsRoot, secret: Path) -> None:
    allowed = SkillsRoot(secret.parent / "shared")
    (allowed.add("docx") / "references").symlink_to("../../secret/references")
    (skills_root.path / "docx").symlink_to(allowed.path / "docx")
    snapshot = scan([skills_root.path], Settings(allow_link_targets=(allowed.path,))).snapshot
    assert list(snapshot.skills) == ["docx"]
    assert not leaks(snapshot)
    assert [found.code for found in snapshot.problems] == ["escaping-link"]


def test_a_hidden_directory_is_not_a_window_to_names_outside(skills_root: SkillsRoot, secret: Path) -> None:
    (skills_root.path / ".agents").mkdir()
    (skills_root.path / ".agents" / "skills").symlink_to(secret.parent)
    assert scan([skills_root.path]).snapshot.problems == ()


# -- swapped between look and read ------------------------------------------------------------------------------------


@contextmanager
def swapped_before_opening(monkeypatch: pytest.MonkeyPatch, names: set[str], swap: Swap) -> Iterator[None]:
    """Calls `swap` once, right before the first of `names` is opened: after it was judged, before it is read."""
    real_open, pending = os.open, [swap]

    def open_late(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if pending and os.path.basename(path) in names:
            pending.pop()()
        return real_open(path, flags, mode, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_late)
        yield
    assert not pending, "nothing was opened by that name"


def swap_for_link(path: Path, target: Path) -> Swap:
    def swap() -> None:
        path.rename(path.with_name(f".{path.name}.aside"))
        path.symlink_to(target)

    return swap


SWAPS = {
    "the SKILL.md": ("pdf/SKILL.md", "SKILL.md", {"SKILL.md"}),
    "a file": ("pdf/references/notes.md", "references/notes.md", {"notes.md"}),
    "a directory": ("pdf/references", "references", {"references"}),
    "the skill": ("pdf", "", {"pdf"}),
    "a directory above the one that is opened": ("pdf", "", {"references"}),
    "a directory above the file that is opened": ("pdf", "", {"notes.md"}),
}


@posix_only
@pytest.mark.parametrize(("place", "target", "names"), SWAPS.values(), ids=SWAPS)
@pytest.mark.parametrize("live", [False, True])
def test_what_is_swapped_for_a_link_between_look_and_read_is_not_followed(
    skills_root: SkillsRoot,
    secret: Path,
    tmp_path: Path,
    open_workspace: Opener,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    target: str,
    names: set[str],
    live: bool,
) -> None:
    skills_root.add("docx")
    skill = skills_root.path / "pdf"
    workspace = open_workspace(skills_root.path) if live else None
    new = SkillsRoot(tmp_path / "new").add("pdf", files={"references/notes.md": "Harmless.\n"})
    with swapped_before_opening(monkeypatch, names, swap_for_link(skills_root.path / place, secret / target)):
        new.rename(skill)
        snapshot = workspace.sync() if workspace else scan([skills_root.path]).snapshot
    assert not leaks(snapshot)
    assert "docx" in snapshot.skills
    if workspace is not None:
        wait_for(lambda: "escaping-link" in [found.code for found in workspace.sync().problems])
        assert not leaks(workspace.snapshot)
        assert_fresh(workspace)


@posix_only
def test_the_target_of_a_link_that_is_swapped_is_not_read(
    skills_root: SkillsRoot, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link may lead to another place below the root; that place is then swapped, or what is above it."""
    skills_root.add("pdf")
    for number, (place, target, name) in enumerate(
        [("shared/references/notes.md", "references/notes.md", "notes.md"), ("shared", "", "notes.md")]
    ):
        skills_root.write("shared/references/notes.md", "Harmless.\n")
        link = skills_root.path / "pdf" / f"linked-{number}.md"
        link.symlink_to(skills_root.path / "shared/references/notes.md")
        with swapped_before_opening(monkeypatch, {name}, swap_for_link(skills_root.path / place, secret / target)):
            assert not leaks(scan([skills_root.path]).snapshot)
        link.unlink()
        (skills_root.path / place).unlink()


@posix_only
@pytest.mark.parametrize("place", ["pdf/SKILL.md", "pdf/references", "pdf"])
def test_a_race_of_thousands_of_rounds_never_shows_the_secret(
    skills_root: SkillsRoot, secret: Path, open_workspace: Opener, place: str
) -> None:
    skills_root.add("pdf", files={"references/notes.md": "Harmless.\n"})
    workspace = open_workspace(skills_root.path)
    seen = []
    workspace.subscribe(lambda change: seen.append(leaks(change.snapshot)))
    path = skills_root.path / place
    aside, link = path.with_name(".aside"), path.with_name(".link")
    link.symlink_to(secret / Path(place).relative_to("pdf"))
    done = threading.Event()

    def swap_for_ever() -> None:
        while not done.is_set():
            path.rename(aside)
            link.rename(path)
            path.rename(link)
            aside.rename(path)

    thread = threading.Thread(target=swap_for_ever)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread.start()
    try:
        for _ in range(ROUNDS):
            assert not leaks(scan([skills_root.path]).snapshot)
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)
    workspace.sync()
    assert_fresh(workspace)
    assert list(workspace.snapshot.skills) == ["pdf"]
    assert not any(seen)


def test_a_link_that_goes_away_while_it_is_followed_takes_nothing_else_away(
    skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`os.path.realpath` fails then, even where it is told not to."""
    skills_root.add("pdf")
    link = skills_root.path / "linked"
    link.symlink_to("pdf")
    with monkeypatch.context() as patch:
        patch.setattr(os.path, "realpath", realpath_of_a_link_that_goes_away(os.path.realpath, link))
        assert list(scan([skills_root.path]).snapshot.skills) == ["pdf"]


def realpath_of_a_link_that_goes_away(real: Callable[..., str], link: Path) -> Callable[..., str]:
    def realpath(path: str, *, strict: bool = False) -> str:
        if os.fspath(path) == str(link):
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path, strict=strict)

    return realpath


def test_a_platform_without_descriptors_of_directories_judges_paths_once_more(
    skills_root: SkillsRoot, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skills_root.add("pdf", files={"references/notes.md": "Harmless.\n"})
    (skills_root.path / "linked.md").symlink_to("pdf/SKILL.md")
    with_descriptors = scan([skills_root.path])
    monkeypatch.setattr(opening, "HAS_DESCRIPTORS", False)
    without = scan([skills_root.path])
    assert without.files_digest == with_descriptors.files_digest
    assert without.snapshot.digest == with_descriptors.snapshot.digest
    (skills_root.path / "pdf").rename(skills_root.path / ".aside")
    (skills_root.path / "pdf").symlink_to(secret)
    opener = opening.DirectoryOpener([str(skills_root.path)])
    with pytest.raises(FileNotFoundError):
        opener.open(str(skills_root.path / "pdf" / "references"), to_list=True)


# -- files that are none, or too much ---------------------------------------------------------------------------------


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o20666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root may make device nodes")


@pytest.mark.parametrize("make", [make_fifo, make_socket, make_device])
@pytest.mark.parametrize("name", ["SKILL.md", "notes.md"])
def test_what_is_no_file_is_told_and_blocks_nobody(
    skills_root: SkillsRoot, make: Callable[[Path], None], name: str
) -> None:
    skills_root.add("good")
    skills_root.write("bad/other.md", "x")
    make(skills_root.path / "bad" / name)
    snapshot = scan([skills_root.path]).snapshot
    assert [(found.code, found.path.name) for found in snapshot.problems] == [("not-a-file", name)]
    assert list(snapshot.skills) == ["good"]


@posix_only
@pytest.mark.parametrize("make", [make_fifo, make_device])
def test_what_is_swapped_for_no_file_is_not_read(
    skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    path = skills_root.add("pdf") / "SKILL.md"

    def swap() -> None:
        path.unlink()
        make(path)

    with swapped_before_opening(monkeypatch, {"SKILL.md"}, swap):
        snapshot = scan([skills_root.path]).snapshot
    assert [found.code for found in snapshot.problems] == ["not-a-file"]


def test_a_sparse_file_of_10_gb_is_not_read(skills_root: SkillsRoot) -> None:
    for path in (skills_root.path / "bad" / "SKILL.md", skills_root.path / "bad" / "notes.md"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(SECRET)
        os.truncate(path, 10_000_000_000)
    snapshot = scan([skills_root.path]).snapshot
    assert [found.code for found in snapshot.problems] == ["too-large"]
    assert {file.sha256 for file in snapshot.files.values()} == {None}


def test_a_file_that_grows_while_it_is_read_is_read_to_its_bound(
    skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = skills_root.add("pdf") / "SKILL.md"
    real_read, taken = os.read, []

    def read_slowly(descriptor: int, count: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"x" * 400_000)
        taken.append(real_read(descriptor, count))
        return taken[-1]

    with monkeypatch.context() as patch:
        patch.setattr(os, "read", read_slowly)
        snapshot = scan([skills_root.path]).snapshot
    assert [found.code for found in snapshot.problems] == ["too-large"]
    assert sum(map(len, taken)) <= 1_000_001


# -- hard links -------------------------------------------------------------------------------------------------------


@as_root
@pytest.mark.parametrize("name", ["SKILL.md", "notes.md"])
def test_a_hard_link_to_a_file_of_somebody_else_is_not_read(
    skills_root: SkillsRoot, secret: Path, open_workspace: Opener, name: str
) -> None:
    skills_root.add("good")
    skills_root.write("bad/other.md", "x")
    skills_root.write("bad/SKILL.md", skill_text("bad")).with_name(name).unlink(missing_ok=True)
    os.chown(secret / "SKILL.md", 12345, -1)
    os.link(secret / "SKILL.md", skills_root.path / "bad" / name)
    workspace = open_workspace(skills_root.path)
    assert [(found.code, found.path.name) for found in workspace.snapshot.problems] == [("foreign-hard-link", name)]
    snapshot_text = json.dumps(snapshot_json(workspace.snapshot))
    assert sha256(SECRET).hexdigest() not in snapshot_text
    age(secret / "SKILL.md")  # what was read a moment after its last change is read again whatever happens
    os.chown(skills_root.path / "bad", 12345, -1)
    assert workspace.sync().problems == scan([skills_root.path]).snapshot.problems
    assert "foreign-hard-link" not in [found.code for found in workspace.snapshot.problems]
    os.chown(skills_root.path / "bad", 0, -1)
    workspace.sync()
    assert_fresh(workspace)
    assert "foreign-hard-link" in [found.code for found in workspace.snapshot.problems]


def test_an_ordinary_hard_link_is_fine(skills_root: SkillsRoot, tmp_path: Path) -> None:
    """Package managers and git make them by the thousand."""
    store = tmp_path / "store.md"
    store.write_bytes(skill_text("pdf").encode())
    (skills_root.path / "pdf").mkdir()
    os.link(store, skills_root.path / "pdf" / "SKILL.md")
    snapshot = scan([skills_root.path]).snapshot
    assert list(snapshot.skills) == ["pdf"]
    assert snapshot.problems == ()


# -- nothing is executed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.mkdir [{path}]",
        "!!python/object/new:os.mkdir [{path}]",
        "!!python/name:os.mkdir",
        "!!python/module:os",
    ],
)
def test_frontmatter_makes_no_objects(skills_root: SkillsRoot, tmp_path: Path, value: str) -> None:
    made = tmp_path / "made"
    text = f"---\nname: bad\ndescription: {value.format(path=made)}\n---\n"
    skills_root.write("bad/SKILL.md", text)
    snapshot = scan([skills_root.path]).snapshot
    assert [found.code for found in snapshot.problems] == ["invalid-yaml"]
    assert not made.exists()


# -- .skillsignore ----------------------------------------------------------------------------------------------------


def ignore_by_link_out(path: Path, secret: Path) -> None:
    path.symlink_to(secret / "SKILL.md")


def ignore_by_fifo(path: Path, secret: Path) -> None:
    os.mkfifo(path)


def ignore_by_size(path: Path, secret: Path) -> None:
    path.write_bytes(SECRET)
    os.truncate(path, 10_000_000_000)


def ignore_by_lines(path: Path, secret: Path) -> None:
    path.write_text("x\n" * 2_000)


def ignore_by_directory(path: Path, secret: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (ignore_by_link_out, "outside of the root"),
        (ignore_by_fifo, "not a regular file"),
        (ignore_by_size, "has over 64,000 bytes"),
        (ignore_by_lines, "or 1,000 lines"),
        (ignore_by_directory, "not a regular file"),
    ],
)
def test_an_ignore_file_that_may_not_be_read_is_told_and_not_used(
    skills_root: SkillsRoot, secret: Path, make: Callable[[Path, Path], None], why: str
) -> None:
    skills_root.add("pdf")
    make(skills_root.path / ".skillsignore", secret)
    snapshot = scan([skills_root.path]).snapshot
    assert [found.code for found in snapshot.problems] == ["invalid-ignore-file"]
    assert why in snapshot.problems[0].message
    assert list(snapshot.skills) == ["pdf"]
    assert not leaks(snapshot)


def test_an_ignore_file_may_be_a_link_that_stays_in_the_root(skills_root: SkillsRoot) -> None:
    """A mounted ConfigMap has only such files."""
    skills_root.add("pdf")
    skills_root.add("docx")
    skills_root.write("..2026/.skillsignore", "docx/\n")
    (skills_root.path / ".skillsignore").symlink_to("..2026/.skillsignore")
    assert list(scan([skills_root.path]).snapshot.skills) == ["pdf"]


# -- descriptors ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_descriptor_outlives_a_scan(skills_root: SkillsRoot, secret: Path, tmp_path: Path) -> None:
    skills_root.add("pdf", files={"a/b/c/notes.md": "x", "references/notes.md": "x"})
    (skills_root.path / "pdf" / "out.md").symlink_to(secret / "SKILL.md")
    (skills_root.path / "pdf" / "in.md").symlink_to("a/b/c/notes.md")
    os.mkfifo(skills_root.path / "pdf" / "fifo.md")
    scan([skills_root.path])
    before = open_descriptors()
    for _ in range(10):
        scan([skills_root.path])
    assert open_descriptors() == before
