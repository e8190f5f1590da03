"""Workspaces on the same roots share what these roots hold, and are told what each takes from the others."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from skills_refresh import Engine, Workspace, scan
from skills_refresh.layered import layered

from .conftest import SkillsRoot


@pytest.fixture
def roots(tmp_path: Path) -> tuple[SkillsRoot, SkillsRoot, SkillsRoot]:
    """Three roots, of which each has a skill called pdf, and one of its own."""
    found = tuple(SkillsRoot(tmp_path / name) for name in ("a", "b", "c"))
    for root in found:
        root.add("pdf")
        root.add(f"only-{root.path.name}")
    return found[0], found[1], found[2]


def layers(workspace: Workspace) -> tuple[object, ...]:
    return layered(workspace.snapshot.skills)._layers


def test_workspaces_and_versions_share_the_layers_of_their_roots(
    roots: tuple[SkillsRoot, SkillsRoot, SkillsRoot], open_workspace: Callable[..., Workspace]
) -> None:
    a, b, c = roots
    with Engine() as engine:
        alice = open_workspace(a.path, c.path, engine=engine)
        bob = open_workspace(b.path, c.path, engine=engine)
        assert layers(alice)[1] is layers(bob)[1]
        before = layers(alice)
        a.add("pdf", body="Other.\n")
        alice.sync()
        assert [was is now for was, now in zip(before, layers(alice), strict=True)] == [False, True]


def test_what_is_wrong_with_shared_roots_is_listed_once_for_all_workspaces(
    roots: tuple[SkillsRoot, SkillsRoot, SkillsRoot], open_workspace: Callable[..., Workspace], tmp_path: Path
) -> None:
    _, b, c = roots
    own = [SkillsRoot(tmp_path / name) for name in ("alice", "bob")]
    for root in own:
        root.add(f"only-{root.path.name}")
    with Engine() as engine:
        alice, bob = (open_workspace(root.path, b.path, c.path, engine=engine) for root in own)
        assert [found.code for found in alice.snapshot.problems] == ["shadowed"]
        assert alice.snapshot.problems is bob.snapshot.problems
        own[0].add("extra")
        alice.sync()
        assert "extra" in alice.snapshot.skills
        assert alice.snapshot.problems is bob.snapshot.problems


@pytest.mark.parametrize("order", ["abc", "cab", "bca", "cb", "aab"])
def test_every_skill_that_another_takes_the_name_of_is_told_with_the_one_that_is_used(
    roots: tuple[SkillsRoot, SkillsRoot, SkillsRoot], order: str
) -> None:
    paths = {root.path.name: root.path for root in roots}
    snapshot = scan([paths[name] for name in order]).snapshot
    used = paths[order[0]] / "pdf/SKILL.md"
    assert [(found.code, found.path) for found in snapshot.problems] == [
        ("shadowed", paths[name] / "pdf/SKILL.md") for name in sorted(set(order[1:]) - {order[0]})
    ]
    assert all(str(used) in found.message for found in snapshot.problems)
    assert snapshot.skills["pdf"].location == used


def test_a_skill_that_two_roots_lead_to_does_not_shadow_itself(skills_root: SkillsRoot) -> None:
    skills_root.add("tools/pdf")
    snapshot = scan([skills_root.path, skills_root.path / "tools"]).snapshot
    assert (list(snapshot.skills), snapshot.problems) == (["pdf"], ())


def test_a_skill_that_comes_and_goes_before_another_changes_what_is_used_and_told(
    roots: tuple[SkillsRoot, SkillsRoot, SkillsRoot], open_workspace: Callable[..., Workspace]
) -> None:
    a, b, c = roots
    workspace = open_workspace(a.path, b.path, c.path)
    for expected in (b, a):
        (a.path / "pdf/SKILL.md").unlink() if expected is b else a.add("pdf")
        snapshot = workspace.sync()
        assert snapshot.skills["pdf"].root == expected.path
        assert snapshot.problems == scan([a.path, b.path, c.path]).snapshot.problems
        assert list(snapshot.skills) == ["only-a", "only-b", "only-c", "pdf"]


def test_files_of_no_skill_are_those_of_all_roots_sorted_by_path(
    roots: tuple[SkillsRoot, SkillsRoot, SkillsRoot], open_workspace: Callable[..., Workspace]
) -> None:
    workspace, alone = open_workspace(*(root.path for root in roots)), open_workspace(roots[0].path)
    paths = []
    for name in ("notes.md", "more.md", "deep/notes.md", "and.md"):
        paths += [str(root.write(name, "x")) for root in roots]
        assert list(workspace.sync().files) == sorted(paths)
    assert list(alone.sync().files) == sorted(path for path in paths if path.startswith(str(roots[0].path)))


def test_a_skill_is_pickled_with_all_that_it_holds(skills_root: SkillsRoot) -> None:
    skills_root.write("pdf/SKILL.md", "---\nname: pdf\ndescription: Does.\nmetadata: {a: [1, {b: 2}]}\n---\nBody.\n")
    snapshot = scan([skills_root.path]).snapshot
    again = pickle.loads(pickle.dumps(snapshot.skills))["pdf"]
    skill = snapshot.skills["pdf"]
    assert {name: getattr(again, name) for name in skill.__slots__} == {
        name: getattr(skill, name) for name in skill.__slots__
    }
    with pytest.raises(TypeError):
        again.frontmatter["name"] = "other"
