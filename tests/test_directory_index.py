"""Which roots an event concerns."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from skills_refresh.directory_index import DirectoryIndex
from skills_refresh.roots import Root
from skills_refresh.settings import Settings
from skills_refresh.watched_root import WatchedRoot
from skills_refresh.watching.base import MODIFIED

from .conftest import SkillsRoot


@pytest.fixture
def follow(skills_root: SkillsRoot) -> Callable[[DirectoryIndex], WatchedRoot]:
    def follow(index: DirectoryIndex) -> WatchedRoot:
        watched = WatchedRoot(Root(str(skills_root.path)), Settings())
        change, _ = watched.open()
        index.follow(watched, change.added)
        return watched

    return follow


def test_what_lies_in_the_top_of_all_directories_concerns_its_root(
    follow: Callable[[DirectoryIndex], WatchedRoot],
) -> None:
    index = DirectoryIndex()
    watched = follow(index)
    assert watched.tree is not None
    # Tests do not read all of the disk: the root knows of its top alone.
    watched.tree.directories[os.sep] = watched.tree.directories[watched.tree.real_path]
    index.follow(watched, [os.sep])
    event = (MODIFIED, os.path.join(os.sep, "SKILL.md"))
    assert index.concerned([event]) == {watched: {event}}


def test_what_a_link_leads_to_concerns_its_root_as_long_as_it_is_there(
    skills_root: SkillsRoot, follow: Callable[[DirectoryIndex], WatchedRoot], tmp_path: Path
) -> None:
    outside = tmp_path / "outside.md"
    link = skills_root.add("docx") / "outside.md"
    link.symlink_to(outside)
    index = DirectoryIndex()
    watched, other = follow(index), follow(index)
    event = (MODIFIED, str(outside))
    assert index.concerned([event]) == {watched: {event}, other: {event}}
    index.forget(other)
    assert index.concerned([event]) == {watched: {event}}
    link.unlink()
    change, _ = watched.open()
    index.follow(watched, change.added)
    assert index.concerned([event]) == {}
