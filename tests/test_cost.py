"""Cheap: descriptors do not grow with the tree, watches equal the relevant directories, nothing is left behind."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from skills_refresh import Engine, Workspace
from skills_refresh.watching.limits import kernel_watches, open_descriptors
from skills_refresh.watching.native import MAX_SMALL_INSTANCES, NativeWatcher

from .conftest import SkillsRoot, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

Opener = Callable[..., Workspace]


@pytest.fixture(autouse=True)
def no_engine_is_still_ending() -> None:
    """One of a test before gives its watches back a moment after it was closed."""
    wait_for(lambda: not any("skills-refresh" in thread.name for thread in threading.enumerate()))


def heavy(root: SkillsRoot) -> None:
    """A skill with a virtual environment and one with an icon pack."""
    root.add("pdf", files={f".venv/lib/python/site-packages/p{number}/m.py": "x" for number in range(200)})
    root.add("icons", files={f"assets/{number}.svg": "<svg/>" for number in range(500)})


def test_kernel_watches_equal_the_relevant_directories(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    heavy(skills_root)
    skills_root.add("docx", files={"scripts/run.py": "x", "references/deep/notes.md": "y"})
    wait_for(lambda: not kernel_watches(), "the end of earlier watches")
    workspace = open_workspace(skills_root.path)
    # The root, three skills, assets, scripts, references and references/deep; nothing of the .venv.
    assert kernel_watches() == 8 == workspace.health[0].watched_dirs


def test_descriptors_do_not_depend_on_the_tree(open_workspace: Opener, tmp_path: Path) -> None:
    small, large = SkillsRoot(tmp_path / "small"), SkillsRoot(tmp_path / "large")
    small.add("pdf")
    heavy(large)
    before = open_descriptors() or 0
    with open_workspace(small.path):
        needed = (open_descriptors() or 0) - before
    wait_for(lambda: open_descriptors() == before)
    with open_workspace(large.path):
        assert (open_descriptors() or 0) - before == needed <= 12


def test_no_file_below_a_root_stays_open(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    heavy(skills_root)
    workspace = open_workspace(skills_root.path)
    skills_root.add("pdf", body="Edited.\n")
    workspace.sync()
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    targets = [os.readlink(link) for link in links if os.path.islink(link)]
    assert not [target for target in targets if target.startswith(str(skills_root.path))]


def test_many_new_directories_one_by_one_do_not_pile_up_descriptors(
    open_workspace: Opener, skills_root: SkillsRoot
) -> None:
    """Each new directory is armed at once in an instance of its own; beyond a handful they are merged."""
    before = open_descriptors() or 0
    workspace = open_workspace(skills_root.path)
    for number in range(40):
        skills_root.add(f"skill-{number}")
        workspace.sync()
    wait_for(lambda: (open_descriptors() or 0) - before <= 3 * (MAX_SMALL_INSTANCES + 2))
    skills_root.add("skill-0", body="Edited.\n")
    wait_for(lambda: workspace.snapshot.skills["skill-0"].instructions() == "Edited.\n")


def test_a_directory_that_is_excluded_later_loses_its_watch(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"drafts/one.md": "x", "drafts/deep/two.md": "y"})
    wait_for(lambda: not kernel_watches(), "the end of earlier watches")
    workspace = open_workspace(skills_root.path)
    assert kernel_watches() == 4
    skills_root.write(".skillsignore", "drafts/\n")
    wait_for(lambda: kernel_watches() == 2 == workspace.health[0].watched_dirs)


def test_closing_gives_back_threads_descriptors_and_watches(skills_root: SkillsRoot) -> None:
    heavy(skills_root)
    wait_for(lambda: not kernel_watches(), "the end of earlier watches")
    threads, descriptors = threading.active_count(), open_descriptors()
    for _ in range(20):
        with Engine() as engine:
            engine.open([skills_root.path]).subscribe(print)
    wait_for(lambda: threading.active_count() == threads)
    wait_for(lambda: open_descriptors() == descriptors and not kernel_watches())


def test_closing_the_last_user_of_a_root_frees_its_watches(skills_root: SkillsRoot, tmp_path: Path) -> None:
    skills_root.add("pdf")
    other = SkillsRoot(tmp_path / "other")
    other.add("docx")
    wait_for(lambda: not kernel_watches(), "the end of earlier watches")
    with Engine() as engine:
        first, second = engine.open([skills_root.path]), engine.open([skills_root.path, other.path])
        assert kernel_watches() == 4
        first.close()
        second.close()
        wait_for(lambda: not kernel_watches())


def test_directories_that_the_kernel_refuses_are_known() -> None:
    """It swallows every error, so what was armed is verified."""
    watcher = NativeWatcher(lambda descriptor: None)
    try:
        watcher.arm(["/proc/self/nowhere", "/"])
        assert watcher.refused == {"/proc/self/nowhere": "unwatchable"}
        assert set(watcher.watched) == {"/"}
    finally:
        watcher.close()


def test_an_idle_engine_does_not_wake_up_more_than_it_must(open_workspace: Opener, skills_root: SkillsRoot) -> None:
    """The signal wakes it; until then it sleeps whole seconds. Context switches are counted, not time."""
    skills_root.add("pdf")
    open_workspace(skills_root.path).sync()
    thread = next(thread for thread in threading.enumerate() if thread.name == "skills-refresh engine")
    status = Path(f"/proc/self/task/{thread.native_id}/status")

    def switches() -> int:
        return sum(int(line.split()[1]) for line in status.read_text().splitlines() if "ctxt_switches" in line)

    done = threading.Event()
    done.wait(0.5)  # what was read a moment ago is looked at once more first
    before = switches()
    done.wait(3.0)
    assert switches() - before < 30
