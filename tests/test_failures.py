"""What the engine lives through: an instance that dies, a bug of its own, clocks that jump, and a fork.

Failures are injected at the boundary: in watchfiles, in the operating system's calls, in the clock.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from skills_refresh import (
    ClosedError,
    Engine,
    EngineError,
    RootHealth,
    Workspace,
    engine_loop,
    watch,
)
from skills_refresh.catalog import RootCatalog
from skills_refresh.clock import Clock
from skills_refresh.coverage import MANY_DEATHS
from skills_refresh.publisher import Publisher
from skills_refresh.tree import Tree
from skills_refresh.tree_change import TreeChange
from skills_refresh.watching import instance
from skills_refresh.watching.wake import Waker

from .conftest import SkillsRoot, age, wait_for

Opener = Callable[..., Workspace]


class Told:
    """What a workspace said of its health."""

    def __init__(self, workspace: Workspace) -> None:
        self.health: list[RootHealth] = []
        workspace.subscribe_health(self.health.append)

    @property
    def words(self) -> list[tuple[str, str]]:
        return [(health.mode, health.reason) for health in self.health]


def fail(monkeypatch: pytest.MonkeyPatch, method: str, times: int, *, of: type = Tree) -> list[str]:
    """Makes the next `times` calls of the `method` of trees, or of others, fail; returns a list of those that did."""
    call, failed = getattr(of, method), list[str]()

    def failing(*arguments: object, **named: object) -> object:
        if len(failed) < times:
            failed.append(method)
            raise RuntimeError("injected")
        return call(*arguments, **named)

    monkeypatch.setattr(of, method, failing)
    return failed


def is_seen(workspace: Workspace, root: SkillsRoot, body: str) -> None:
    """An edit is seen."""
    root.add("pdf", body=body)
    wait_for(lambda: "pdf" in workspace.snapshot.skills and workspace.snapshot.skills["pdf"].instructions() == body)


# -- an instance dies -------------------------------------------------------------------------------------------------


class DyingNotify:
    """A `RustNotify` that ends with an error as often as `deaths` says, with what it had found; or at every look."""

    deaths = 0
    at_every_look = False

    def __init__(self, *arguments: object) -> None:
        self._notify = RustNotify(*arguments)  # type: ignore[arg-type]  # passes on whatever it is given

    def watch(self, *arguments: object) -> object:
        if DyingNotify.at_every_look:
            raise WatchfilesRustInternalError("injected")
        found = self._notify.watch(*arguments)  # type: ignore[arg-type]  # passes on whatever it is given
        if DyingNotify.deaths > 0:
            DyingNotify.deaths -= 1
            raise WatchfilesRustInternalError("injected")
        return found

    def close(self) -> None:
        self._notify.close()


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[DyingNotify]]:
    """Makes instances die."""
    monkeypatch.setattr(instance, "RustNotify", DyingNotify)
    yield DyingNotify
    DyingNotify.deaths = 0
    DyingNotify.at_every_look = False


def test_an_instance_that_dies_is_replaced_and_counted(
    open_workspace: Opener, skills_root: SkillsRoot, dying: type[DyingNotify]
) -> None:
    workspace = open_workspace(skills_root.path)
    dying.deaths = 1
    is_seen(workspace, skills_root, "Written when it died.")
    assert dying.deaths == 0
    is_seen(workspace, skills_root, "After.")
    assert (workspace.health[0].mode, workspace.health[0].instances_replaced) == ("native", 1)


def test_what_was_written_while_an_instance_died_is_found(
    open_workspace: Opener, skills_root: SkillsRoot, dying: type[DyingNotify]
) -> None:
    path = skills_root.add("pdf", body="Before.") / "SKILL.md"
    age(path)
    workspace = open_workspace(skills_root.path)
    with path.open("a") as file:  # one event alone, as long as the file stays open
        for number in range(3):
            dying.deaths = 1
            file.write(f" {number}")
            file.flush()
            wait_for(lambda: dying.deaths == 0)
            wait_for(lambda end=f" {number}": workspace.snapshot.skills["pdf"].instructions().endswith(end))  # type: ignore[misc]  # mypy cannot type a default


def test_instances_that_die_again_and_again_are_given_up_for_a_while(
    open_workspace: Opener, skills_root: SkillsRoot, dying: type[DyingNotify]
) -> None:
    """Polled, and said; then watched again."""
    workspace = open_workspace(skills_root.path)
    told = Told(workspace)
    dying.at_every_look = True
    skills_root.add("pdf")
    wait_for(lambda: ("polling", "instance-died") in told.words)
    is_seen(workspace, skills_root, "Polled.")
    assert workspace.health[0].instances_replaced <= MANY_DEATHS + 2
    dying.at_every_look = False
    wait_for(lambda: workspace.health[0].mode == "native", timeout=40)
    is_seen(workspace, skills_root, "Native.")


# -- a bug of its own -------------------------------------------------------------------------------------------------


def test_a_bug_is_logged_counted_and_lived_through(
    open_workspace: Opener, skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    skills_root.add("pdf", body="Before.")
    workspace = open_workspace(skills_root.path)
    told = Told(workspace)
    fail(monkeypatch, "read_again", 1)
    is_seen(workspace, skills_root, "Written when it failed.")
    wait_for(lambda: told.words == [("degraded", "failure"), ("native", "")])
    assert workspace.health[0].failures == 1
    with_traceback = [record for record in caplog.records if record.exc_info]
    assert len(with_traceback) == 1
    is_seen(workspace, skills_root, "After.")


def test_what_was_found_when_a_bug_was_hit_is_told_all_the_same(
    open_workspace: Opener, skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_loop, "FIRST_PAUSE_S", 0.05)
    skills_root.add("pdf", body="Before.")
    workspace = open_workspace(skills_root.path)
    failed = fail(monkeypatch, "_gather", 1, of=RootCatalog)
    skills_root.add("docx")
    wait_for(lambda: "docx" in workspace.snapshot.skills)
    assert failed == ["_gather"]


def test_a_hidden_skill_that_goes_when_a_bug_is_hit_is_hidden_no_more(
    skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_loop, "FIRST_PAUSE_S", 0.05)
    skills_root.add("pdf")
    with watch(skills_root.path, eligible=lambda skill: "never") as workspace:
        assert list(workspace.snapshot.hidden) == ["pdf"]
        failed = fail(monkeypatch, "publish", 1, of=Publisher)
        (skills_root.path / "pdf/SKILL.md").unlink()
        wait_for(lambda: not workspace.snapshot.hidden)
        assert failed == ["publish"]


def test_a_bug_in_one_root_holds_up_no_other(
    skills_root: SkillsRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SkillsRoot(tmp_path / "other")
    other.add("other")
    read_all, read_again = Tree.read_all, Tree.read_again

    def failing(call: Callable[..., TreeChange]) -> Callable[..., TreeChange]:
        def read(tree: Tree, *arguments: object, **named: object) -> TreeChange:
            if tree.root.path == str(other.path):
                raise RuntimeError("injected")
            return call(tree, *arguments, **named)

        return read

    with Engine() as engine:
        workspace = engine.open([skills_root.path, other.path])
        monkeypatch.setattr(Tree, "read_all", failing(read_all))
        monkeypatch.setattr(Tree, "read_again", failing(read_again))
        other.add("other", body="Unseen.")
        wait_for(lambda: workspace.health[1].reason == "failure")
        for number in range(3):
            is_seen(workspace, skills_root, f"Edit {number}.")
        assert workspace.health[0].mode == "native"
        assert "other" in workspace.snapshot.skills
        monkeypatch.undo()
        wait_for(lambda: workspace.snapshot.skills["other"].instructions() == "Unseen.", timeout=20)
        assert workspace.health[1].mode == "native"


def test_a_bug_that_stays_is_told_and_costs_little(
    open_workspace: Opener, skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ever longer pauses, and `degraded` as long as it lasts."""
    monkeypatch.setattr(engine_loop, "FIRST_PAUSE_S", 0.05)
    skills_root.add("pdf")
    workspace = open_workspace(skills_root.path)
    told = Told(workspace)
    fail(monkeypatch, "read_again", 1)
    failed = fail(monkeypatch, "read_all", 5)
    began = time.monotonic()
    skills_root.write("pdf/notes.md", "x")
    wait_for(lambda: told.words == [("degraded", "failure"), ("native", "")])
    assert len(failed) == 5
    assert time.monotonic() - began > 0.05 + 0.1 + 0.2 + 0.4 + 0.8
    assert len(workspace.snapshot.skills["pdf"].files) == 2


def test_whoever_asks_while_it_fails_is_told(
    open_workspace: Opener, skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = open_workspace(skills_root.path)
    fail(monkeypatch, "read_again", 1)
    with pytest.raises(EngineError, match="hit a bug"):
        workspace.refresh()
    wait_for(lambda: workspace.health[0].mode == "native")
    assert workspace.sync().version == workspace.version
    assert "injected" in caplog.text


def test_an_engine_that_cannot_start_says_so(skills_root: SkillsRoot) -> None:
    def no_waker() -> Waker:
        raise RuntimeError("injected")

    with Engine(make_waker=no_waker) as engine:
        with pytest.raises(ClosedError, match=r"cannot start.*injected"):
            engine.open([skills_root.path])
        with pytest.raises(ClosedError, match="cannot start"):
            engine.open([skills_root.path])


# -- clocks -----------------------------------------------------------------------------------------------------------


class MovedClock:
    """The real clocks, with a wall clock that somebody sets."""

    def __init__(self) -> None:
        self.offset = 0.0

    @property
    def clock(self) -> Clock:
        return Clock(wall=lambda: time.time() + self.offset)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_after_a_jump_of_the_clock_versions_increase_and_everything_is_audited(
    skills_root: SkillsRoot, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the sleep of a machine, of which the wall clock tells alone."""
    monkeypatch.setattr(engine_loop, "AUDIT_S", 1_000.0)
    moved = MovedClock()
    skills_root.add("pdf")
    with Engine(clock=moved.clock) as engine:
        workspace = engine.open([skills_root.path])
        before = workspace.version
        assert workspace.health[0].last_audit is None
        moved.offset = jump
        wait_for(lambda: workspace.health[0].last_audit is not None, "an audit")
        is_seen(workspace, skills_root, "After.")
        assert workspace.version > before


# -- fork -------------------------------------------------------------------------------------------------------------

FORKING = """
import logging, os, sys, threading, time, warnings
from skills_refresh import ClosedError, Engine, watch
warnings.simplefilter("ignore", DeprecationWarning)  # that threads and forks go ill together is why this is tested
root = sys.argv[1]

def edit(text):
    path = os.path.join(root, "pdf", "SKILL.md")
    with open(path + ".tmp", "w") as file:
        file.write("---\\nname: pdf\\ndescription: x\\n---\\n" + text)
    os.replace(path + ".tmp", path)

def seen(skills, text):
    deadline = time.monotonic() + 10
    while skills.snapshot.skills["pdf"].instructions() != text:
        assert time.monotonic() < deadline, "not seen: " + text
        time.sleep(0.002)

edit("First.")
with watch(root) as skills:
    skills.subscribe(lambda change: None)
    stop = threading.Event()
    def ask():
        while not stop.is_set():
            skills.wait(after=0)
    asking = threading.Thread(target=ask)  # holds locks at the moment of some forks
    asking.start()
    for number in range(30):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert "pdf" in skills.snapshot.skills
                assert (skills.health[0].mode, skills.health[0].reason) == ("degraded", "closed")
                try:
                    skills.sync()
                except ClosedError as error:
                    assert "was forked" in str(error), error
                    status = 0
                try:
                    skills.wait(after=skills.version, timeout=1)
                    status = 3
                except ClosedError:
                    pass
                skills.close()
                if number % 10 == 0:
                    with Engine() as engine:
                        assert "pdf" in engine.open([root]).snapshot.skills
            except BaseException:
                logging.exception("in the child")
                status = 2
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        edit(f"Edit {number}.")
        seen(skills, f"Edit {number}.")
    stop.set()
    asking.join()
    assert skills.health[0].mode == "native"
    child = os.fork()
    if child == 0:
        sys.exit(0)  # with all that Python does at its end, in the child
    assert os.waitpid(child, 0)[1] == 0
    edit("Last.")
    seen(skills, "Last.")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_leaves_the_parent_unharmed_and_the_child_without_an_engine(skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    done = subprocess.run(
        [sys.executable, "-c", FORKING, skills_root.path], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_health_that_changes_is_logged_in_one_line(
    open_workspace: Opener, skills_root: SkillsRoot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="skills_refresh")
    workspace = open_workspace(skills_root.path)
    skills_root.path.rename(skills_root.path.with_name("away"))
    wait_for(lambda: workspace.health[0].reason == "missing")
    skills_root.path.with_name("away").rename(skills_root.path)
    wait_for(lambda: workspace.health[0].mode == "native")
    workspace.sync()
    assert [record.message.split(": ", 1)[-1] for record in caplog.records] == [
        "missing (missing): does not exist; it is waited for. Create the directory.",
        f"{skills_root.path} is watched natively again",
    ]
