"""What takes long is read in slices: others are served meanwhile, nothing is shown half, and the end is the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from skills_refresh import Root, Settings, Snapshot, Workspace, reconciler
from skills_refresh.clock import Clock
from skills_refresh.filters import SkillFilter
from skills_refresh.tree import Tree
from skills_refresh.watching.audit import audit
from skills_refresh.watching.strategy import make_watcher

from .conftest import SkillsRoot, skill_text, wait_for

Opener = Callable[..., Workspace]

# -- the tree ---------------------------------------------------------------------------------------------------------


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


# -- what is published ------------------------------------------------------------------------------------------------


def test_a_large_new_skill_is_published_when_it_is_whole_and_others_meanwhile(
    open_workspace: Opener, skills_root: SkillsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "SLICE_S", 0.02)
    monkeypatch.setattr(reconciler, "OPENING_SLICE_S", 0.02)
    large = SkillsRoot(tmp_path / "staged").add("large", files=many_files(6_000))
    skills_root.add("pdf", body="Before.")
    workspace = open_workspace(skills_root.path)
    seen: list[tuple[int, str]] = []
    workspace.subscribe(lambda change: seen.append(sizes_and_body(change.snapshot)))
    large.rename(skills_root.path / "large")
    skills_root.add("pdf", body="Meanwhile.")
    wait_for(lambda: seen and seen[-1][0] == 6_001, "the whole skill", timeout=30)
    assert seen[0] == (0, "Meanwhile.")
    assert {size for size, _ in seen} == {0, 6_001}


def test_skills_of_a_large_root_that_is_replaced_stay_until_the_new_ones_are_read(
    open_workspace: Opener, skills_root: SkillsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other roots are not held up meanwhile."""
    monkeypatch.setattr(reconciler, "SLICE_S", 0.02)
    monkeypatch.setattr(reconciler, "OPENING_SLICE_S", 0.02)
    SkillsRoot(tmp_path / "v1").add("large", files=many_files(3_000))
    SkillsRoot(tmp_path / "v2").add("large", files=many_files(6_000, directories=100))
    (tmp_path / "current").symlink_to("v1")
    skills_root.add("pdf", body="Before.")
    workspace = open_workspace(skills_root.path, tmp_path / "current")
    seen: list[tuple[int, str]] = []
    workspace.subscribe(lambda change: seen.append(sizes_and_body(change.snapshot)))
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "current")
    wait_for(lambda: workspace.health[1].watched_dirs == 3 + 100, "the new root to be opened")
    skills_root.add("pdf", body="Meanwhile.")
    wait_for(lambda: seen and seen[-1][0] == 6_001, "the new version", timeout=30)
    assert seen[0] == (3_001, "Meanwhile.")
    assert {size for size, _ in seen} == {3_001, 6_001}


def many_files(number: int, directories: int = 50) -> dict[str, str]:
    return {f"references/{index % directories}/{index}.md": "x" for index in range(number)}


def sizes_and_body(snapshot: Snapshot) -> tuple[int, str]:
    large = snapshot.skills.get("large")
    return 0 if large is None else len(large.files), snapshot.skills["pdf"].instructions()


def test_what_was_put_off_is_not_put_off_for_ever(skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is new in each turn, and wherever it stands in the alphabet."""
    for name in ("a", "b", "z"):
        skills_root.add(name)
    heart = reconciler.Reconciler(make_watcher(lambda descriptor: None), Settings(), Clock())
    watched = heart.hold(Root(str(skills_root.path)))
    heart.reconcile("roots")
    monkeypatch.setattr(reconciler, "SLICE_S", 0.0)
    skills_root.add("z", body="After.")
    for _ in range(20):
        heart.rescan(watched)
        heart.reconcile("watch")
    assert watched.catalog is not None
    assert watched.catalog.skills["z"].instructions() == "After."
    heart.release(watched)
