"""What the engine relies on of watchfiles: a look never loses, what was armed is known, an end is noticed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from skills_refresh import Workspace
from skills_refresh.coverage import MANY_DEATHS
from skills_refresh.watching import instance as instance_module
from skills_refresh.watching.instance import Instance, InstanceDied
from skills_refresh.watching.native import CHUNK, MAX_UNVERIFIED, NativeWatcher

from .conftest import SkillsRoot, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance that watches `tmp_path`."""
    instance = Instance([str(tmp_path)], recursive=False)
    yield instance
    instance.close()


def test_a_look_takes_what_is_pending_and_loses_nothing(instance: Instance, tmp_path: Path) -> None:
    """Thousands of looks between and during 3,000 writes find each of them."""
    found: set[str] = set()
    for number in range(3_000):
        (tmp_path / str(number)).touch()
        found |= {path for _, path in instance.take()}

    def all_found() -> bool:
        found.update(path for _, path in instance.take())
        return len(found) == 3_000

    wait_for(all_found, "every write")


def test_an_instance_knows_whether_it_is_complete(instance: Instance, tmp_path: Path) -> None:
    assert instance.is_complete()
    assert instance.watched_inodes() == [tmp_path.stat().st_ino]
    partly = Instance([str(tmp_path), str(tmp_path / "nowhere")], recursive=False)
    assert not partly.is_complete()
    partly.close()


def test_a_name_that_is_not_utf8_ends_an_instance(instance: Instance, tmp_path: Path) -> None:
    def died() -> bool:
        try:
            instance.take()
        except InstanceDied:
            return True
        return False

    (tmp_path / os.fsdecode(b"\xff")).touch()
    wait_for(died, "the end of the instance")


def test_arming_leaves_the_thread_where_it_may_run(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    paths = [tmp_path / str(number) for number in range(150)]
    for path in paths:
        path.mkdir()
    large = Instance([str(path) for path in paths], recursive=False)
    assert os.sched_getaffinity(0) == before
    assert all(os.sched_getaffinity(int(thread)) == before for thread in os.listdir("/proc/self/task"))
    large.close()


def test_large_plans_are_armed_in_chunks(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(CHUNK + 10)]
    for path in paths:
        path.mkdir()
    attached: list[int | None] = []
    watcher = NativeWatcher(attached.append)
    watcher.arm(map(str, paths))
    assert (len(watcher.watched), len(attached), watcher.refused) == (CHUNK + 10, 2, {})
    watcher.close()


def test_an_instance_that_could_not_be_verified_is_made_anew_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when no descriptor is left to look with; where it can never be verified, it is left as it is."""
    made: list[int | None] = []
    watcher = NativeWatcher(made.append)
    monkeypatch.setattr(instance_module, "_inotify_descriptors", set)
    watcher.arm([str(tmp_path)])
    for _ in range(10):
        watcher.tidy()
    assert made == [None] * (1 + MAX_UNVERIFIED)
    monkeypatch.undo()
    watcher.disarm([str(tmp_path)])
    watcher.arm([str(tmp_path)])
    assert made[-1] is not None
    watcher.close()


def test_many_names_that_are_not_utf8_do_not_make_it_give_up(
    open_workspace: Callable[..., Workspace], skills_root: SkillsRoot
) -> None:
    """Each ends the instance, perhaps more than once; their directories are polled, and all others watched."""
    for number in range(MANY_DEATHS + 5):
        skills_root.add(f"skill-{number}")
    workspace = open_workspace(skills_root.path)
    reasons: set[str] = set()
    workspace.subscribe_health(lambda health: reasons.add(health.reason))
    for number in range(MANY_DEATHS + 5):
        (skills_root.path / f"skill-{number}" / os.fsdecode(b"\xff.svg")).touch()
        wait_for(lambda number=number: workspace.health[0].polled_dirs == number + 1)  # type: ignore[misc]  # mypy cannot type a default
    assert (reasons, workspace.health[0].watched_dirs) == ({"undecodable-name"}, 1)


def test_a_workspace_outlives_the_death_of_an_instance(
    open_workspace: Callable[..., Workspace], skills_root: SkillsRoot
) -> None:
    """The instance is replaced, what it lost is found, and the directory with the odd name is polled."""
    skills_root.add("pdf")
    skills_root.add("docx")
    workspace = open_workspace(skills_root.path)
    odd = skills_root.path / "pdf" / os.fsdecode(b"\xff.svg")
    odd.touch()
    wait_for(lambda: workspace.snapshot.problems)
    wait_for(lambda: (workspace.health[0].mode, workspace.health[0].polled_dirs) == ("degraded", 1))
    assert [found.code for found in workspace.snapshot.problems] == ["undecodable-name"]
    for name in ("pdf", "docx"):
        skills_root.add(name, body="Edited.\n")
        wait_for(lambda name=name: workspace.snapshot.skills[name].instructions() == "Edited.\n")  # type: ignore[misc]  # mypy cannot type a default
    odd.unlink()
    wait_for(lambda: (workspace.health[0].mode, workspace.health[0].watched_dirs) == ("native", 3))
    assert not workspace.snapshot.problems
