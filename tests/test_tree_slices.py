"""A tree that is read in slices is in the end the one that is read in one go; see `test_slices` for what others see."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

import pytest

from skills_refresh import Root, Settings, listing, tree_limits
from skills_refresh.filters import SkillFilter
from skills_refresh.tree import Tree
from skills_refresh.watching.audit import audit

from .conftest import SkillsRoot, skill_text, wait_for


def make_tree(root: SkillsRoot) -> Tree:
    path = str(root.path)
    return Tree(Root(path), os.path.realpath(path), SkillFilter(path), Settings())


def seen(of: Tree) -> object:
    """All that a tree holds, but when it was looked at."""
    return (
        {
            path: (
                directory.relative,
                directory.parent,
                directory.skill,
                directory.signature,
                directory.children,
                directory.links,
                {name: (entry.signature, entry.sha256, entry.error) for name, entry in directory.files.items()},
                directory.problems,
            )
            for path, directory in of.directories.items()
        },
        of.limit_problems,
        of.limits.names,
    )


def read_in_slices(of: Tree, dirty: dict[str, set[str]]) -> int:
    """Reads with no time at all, as often as it takes; returns how often that was."""
    slices = 0
    while dirty:
        dirty = of.read_again(dirty, seconds=0.0).unread
        slices += 1
        assert slices < 10_000, "it makes no progress"
    return slices


def test_a_large_new_skill_is_read_in_slices(skills_root: SkillsRoot) -> None:
    """Between two of them its caller can publish what others did."""
    skills_root.add("pdf")
    sliced = make_tree(skills_root)
    sliced.read_all()
    skills_root.add("new", files={f"{number}/{part}/notes.md": "x" for number in range(20) for part in "ab"})
    skills_root.add("pdf", body="Edited.\n")
    slices = read_in_slices(sliced, audit(sliced.directories.values()).differing)
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)
    assert slices >= 40  # each of the directories at the ends in one of its own


def test_a_directory_with_few_names_does_not_wait_for_one_with_many(skills_root: SkillsRoot) -> None:
    skills_root.add("a", files={f"{number}.md": "x" for number in range(20)})
    skills_root.add("z")
    sliced = make_tree(skills_root)
    sliced.read_all()
    _, large, small = sliced.directories.values()
    for name in "az":
        skills_root.add(name, body="Edited.\n")
    change = sliced.read_again({large.path: {"SKILL.md"}, small.path: {"SKILL.md"}}, seconds=0.0)
    assert change.unread.keys() == {large.path}


def test_files_that_are_written_all_the_time_do_not_keep_new_ones_waiting(skills_root: SkillsRoot) -> None:
    path = skills_root.add("pdf", files={f"{number}.md": "x" for number in range(20)})
    sliced = make_tree(skills_root)
    sliced.read_all()
    (path / "new.md").write_text("x")
    (path / "SKILL.md").write_text("new")
    busy = {f"{number}.md" for number in range(20)}
    top = sliced.directories[str(path)]
    assert sliced.read_again({str(path): busy}, seconds=0.0).unread[str(path)] == {*busy, "new.md"}
    assert sliced.read_again({str(path): busy}, seconds=0.0).unread[str(path)] == busy
    assert top.files.keys() < sliced.directories[str(path)].files.keys()


def test_a_directory_of_many_files_is_read_in_slices(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    sliced = make_tree(skills_root)
    sliced.read_all()
    skills_root.add("pdf", files={f"{number}.md": str(number) for number in range(30)})
    assert read_in_slices(sliced, audit(sliced.directories.values()).differing) >= 30
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


def test_what_is_not_read_yet_is_found_by_an_audit_too(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    sliced = make_tree(skills_root)
    sliced.read_all()
    skills_root.add("new", files={f"{number}/notes.md": "x" for number in range(5)})
    skills_root.add("pdf", files={f"{number}.md": "x" for number in range(5)})
    change = sliced.read_again(audit(sliced.directories.values()).differing, seconds=0.0)
    while change.unread:
        found = audit(sliced.directories.values()).differing
        assert change.unread.keys() <= found.keys()
        change = sliced.read_again(found, seconds=0.0)
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


def test_where_directories_depend_on_each_other_files_are_read_in_slices(skills_root: SkillsRoot) -> None:
    """A link makes the whole root be listed again; the files in it may wait."""
    skills_root.add("pdf")
    (skills_root.path / "linked").symlink_to("pdf")
    sliced = make_tree(skills_root)
    sliced.read_all()
    skills_root.add("new", files={f"{number}.md": str(number) for number in range(30)})
    assert read_in_slices(sliced, audit(sliced.directories.values()).differing) >= 30
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_slices_of_any_size_end_in_the_same_tree(skills_root: SkillsRoot, seed: int, links: bool) -> None:
    random = Random(seed)
    sliced = make_tree(skills_root)
    sliced.read_all()
    unread: dict[str, set[str]] = {}
    for _ in range(60):
        change_something(skills_root, random, links)
        if random.random() < 0.5:
            found = audit(sliced.directories.values())
            for marks in (found.differing, found.racy):
                for path, names in marks.items():
                    unread.setdefault(path, set()).update(names)
            unread = sliced.read_again(unread, seconds=random.choice([0.0, 0.0002])).unread
    wait_for(lambda: not audit(sliced.directories.values()).racy or not sliced.read_again(racy(sliced)).unread)
    for _ in range(20):  # what is new may lead to what no audit could know
        read_in_slices(sliced, unread)
        unread = audit(sliced.directories.values()).differing
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


def racy(of: Tree) -> dict[str, set[str]]:
    return audit(of.directories.values()).racy


def change_something(root: SkillsRoot, random: Random, links: bool) -> None:
    path = root.path.joinpath(*random.choices("abc", k=random.randint(1, 4)))
    try:
        match random.choice(["skill", "file", "file", "remove", "rename", "link"]):
            case "skill":
                path.mkdir(parents=True, exist_ok=True)
                (path / "SKILL.md").write_text(skill_text(path.name, body=str(random.random())))
            case "file":
                path.mkdir(parents=True, exist_ok=True)
                (path / f"{random.choice('xyz')}.md").write_text(str(random.random()))
            case "remove":
                shutil.rmtree(path, ignore_errors=True)
            case "rename":
                path.rename(root.path.joinpath(*random.choices("abc", k=random.randint(1, 3))))
            case "link" if links:
                path.symlink_to(root.path / random.choice("abc"))
    except OSError:
        pass  # not this time


@pytest.mark.parametrize("links", [False, True])
def test_files_that_are_all_written_all_the_time_are_all_read(
    skills_root: SkillsRoot, tmp_path: Path, links: bool
) -> None:
    path = skills_root.add("pdf")
    names = [f"{number}.md" for number in range(10)]
    for name in names:
        skills_root.write(f"notes/{name}", "At first.")
        if links:
            (path / name).symlink_to(skills_root.path / "notes" / name)
    where = path if links else skills_root.path / "notes"
    sliced = make_tree(skills_root)
    sliced.read_all()
    first = {name: sliced.directories[str(where)].files[name].sha256 for name in names}
    for number in range(12):
        for name in names:
            (skills_root.path / "notes" / name).write_text(f"{number}.")
        sliced.read_again({str(where): set(names)}, seconds=0.0)
    now = sliced.directories[str(where)].files
    assert [name for name in names if now[name].sha256 == first[name]] == []


def test_what_is_still_there_when_directories_are_swapped_stays_in_the_tree(
    skills_root: SkillsRoot, tmp_path: Path
) -> None:
    staged = SkillsRoot(tmp_path / "staged")
    for number in range(5):
        skills_root.add(f"tools/{number}", files={"references/notes.md": "x"})
        staged.add(f"tools/{number}", files={"references/notes.md": "y"})
    sliced = make_tree(skills_root)
    sliced.read_all()
    before = sliced.directories.keys() | set()
    (skills_root.path / "tools").rename(tmp_path / "old")
    (staged.path / "tools").rename(skills_root.path / "tools")
    unread = sliced.read_again({str(skills_root.path): {"tools"}}, seconds=0.0).unread
    assert sliced.directories.keys() == before
    assert unread
    read_in_slices(sliced, unread)
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


def test_files_that_are_not_read_yet_count(skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each slice of a root at its limits would change them, and have the whole root listed again."""
    monkeypatch.setattr(tree_limits, "MAX_NAMES_IN_SKILL", 20)
    skills_root.add("pdf", files={f"{part}/{number}.md": "x" for part in range(5) for number in range(9)})
    sliced = make_tree(skills_root)
    unread = sliced.read_all(seconds=0.0).unread
    names = dict(sliced.limits.names)
    assert [found.code for found in sliced.limit_problems] == ["skill-size-limit"]
    read_in_slices(sliced, unread)
    assert sliced.limits.names == names
    whole = make_tree(skills_root)
    whole.read_all()
    assert seen(sliced) == seen(whole)


def test_of_too_many_problems_the_same_ones_are_told(
    skills_root: SkillsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file is read first."""
    monkeypatch.setattr(listing, "MAX_PROBLEMS", 3)
    path = skills_root.add("pdf", files={f"{number}.md": "x" for number in range(10)})
    for number in range(10):
        make_unreadable(path / f"{number}.md", tmp_path / str(number))
        skills_root.write(f"loose/{'skill'[: number // 2].upper()}{'skill'[number // 2 :]}.{'mM'[number % 2]}d", "x")
    sliced = make_tree(skills_root)
    read_in_slices(sliced, sliced.read_all(seconds=0.0).unread)
    whole = make_tree(skills_root)
    whole.read_all()
    assert len(whole.directories[str(path)].problems) == 4
    assert seen(sliced) == seen(whole)


def make_unreadable(path: Path, other: Path) -> None:
    """Makes a file one that is not read: root may read all but hard links to files of others."""
    if os.geteuid() == 0:
        other.hardlink_to(path)
        os.chown(path, 12_345, 12_345)
    else:
        path.chmod(0)
