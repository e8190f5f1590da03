"""Many workspaces on one engine: each directory is read and watched once, each hears what concerns it, and once."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random

import pytest

from skills_refresh import Engine, SkillsChanged, Workspace, engine_loop, scan, watch
from skills_refresh.clock import Clock
from skills_refresh.filters import SkillFilter
from skills_refresh.watching.limits import kernel_watches

from .conftest import SkillsRoot, age, wait_for
from .engines import TurnedEngine

MANY = 60

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts what the kernel watches")


@pytest.fixture
def engine() -> Iterator[TurnedEngine]:
    wait_for(lambda: kernel_watches() == 0, "the end of other watches")
    with TurnedEngine() as engine:
        yield engine


def make_root(path: Path, *names: str) -> Path:
    root = SkillsRoot(path)
    for name in names:
        root.add(name, files={"scripts/run.py": "1"})
    return path


def test_each_directory_is_watched_once_however_many_workspaces_reach_it(engine: TurnedEngine, tmp_path: Path) -> None:
    shared = [make_root(tmp_path / f"shared-{number}", "pdf", f"docx-{number}") for number in range(2)]
    own = [make_root(tmp_path / f"own-{number}", f"own-{number}") for number in range(MANY)]
    workspaces = [engine.open([root, *shared]) for root in own]
    engine.wait_for_watches([*shared, *own])
    for number, workspace in enumerate(workspaces):
        assert list(workspace.snapshot.skills) == ["docx-0", "docx-1", f"own-{number}", "pdf"]


def test_opening_and_closing_in_any_order_leaves_exactly_the_watches_of_what_is_open(
    engine: TurnedEngine, tmp_path: Path
) -> None:
    """Roots that lie in one another and that are one directory by two paths are among them."""
    random = Random(7)
    roots = [make_root(tmp_path / f"root-{number}", f"a-{number}", f"b-{number}/c") for number in range(6)]
    roots.append(roots[0] / "a-0")
    roots.append(roots[1] / "b-1")
    (tmp_path / "link").symlink_to(roots[2])
    roots.append(tmp_path / "link")
    opened: list[tuple[Workspace, list[Path]]] = []
    for step in range(240):
        if len(opened) < 4 or (random.random() < 0.5 and len(opened) < 30):
            chosen = random.sample(roots, random.randint(1, 3))
            opened.append((engine.open(chosen), chosen))
        else:
            opened.pop(random.randrange(len(opened)))[0].close()
        if step % 80 == 79:
            engine.wait_for_watches({root for _, chosen in opened for root in chosen})
    for workspace, _ in opened:
        workspace.close()
    engine.wait_for_watches([])


def test_a_listener_may_close_its_workspace_while_others_are_opened(engine: TurnedEngine, tmp_path: Path) -> None:
    shared = SkillsRoot(make_root(tmp_path / "shared", "pdf"))
    closing = [engine.open([shared.path]) for _ in range(10)]
    closed = threading.Semaphore(0)

    def closer(workspace: Workspace) -> Callable[[SkillsChanged], None]:
        def close(change: SkillsChanged) -> None:
            workspace.close()
            closed.release()

        return close

    for workspace in closing:
        workspace.subscribe(closer(workspace))
    own = [make_root(tmp_path / f"own-{number}", f"own-{number}") for number in range(20)]
    with ThreadPoolExecutor(4) as threads:
        opening = [threads.submit(engine.open, [root, shared.path]) for root in own]
        shared.add("docx")
    opened = [future.result() for future in opening]
    for _ in closing:
        assert closed.acquire(timeout=10)
    for number, workspace in enumerate(opened):
        assert list(workspace.sync().skills) == ["docx", f"own-{number}", "pdf"]
    engine.wait_for_watches([*own, shared.path])


def test_a_root_that_goes_is_told_to_each_workspace_once(engine: TurnedEngine, tmp_path: Path) -> None:
    shared = make_root(tmp_path / "shared", "pdf", "docx")
    own = [make_root(tmp_path / f"own-{number}", "own") for number in range(MANY)]
    workspaces = [engine.open([root, shared]) for root in own]
    told: Counter[int] = Counter()
    health: Counter[tuple[int, str, str]] = Counter()
    for number, workspace in enumerate(workspaces):
        workspace.subscribe(lambda change, number=number: told.update([number] * len(change.changes)))  # type: ignore[misc]  # mypy does not infer the default
        workspace.subscribe_health(
            lambda root, number=number: health.update([(number, root.path.name, root.mode)])  # type: ignore[misc]  # the same
        )
    shared.rename(tmp_path / "away")
    wait_for(lambda: len(told) == MANY)
    workspaces[0].sync()
    wait_for(lambda: told == dict.fromkeys(range(MANY), 2), "telling each of two removed skills")
    assert health == {(number, "shared", "missing"): 1 for number in range(MANY)}
    assert all(list(workspace.snapshot.skills) == ["own"] for workspace in workspaces)


def test_a_change_is_told_to_those_who_have_its_root_alone(engine: TurnedEngine, tmp_path: Path) -> None:
    roots = [SkillsRoot(make_root(tmp_path / f"root-{number}", "pdf")) for number in range(3)]
    inner = tmp_path / "root-1/pdf"
    workspaces = {
        "first": engine.open([roots[0].path]),
        "both": engine.open([roots[0].path, roots[1].path]),
        "second": engine.open([roots[1].path]),
        "inside": engine.open([inner]),
        "third": engine.open([roots[2].path]),
    }
    before = {name: workspace.version for name, workspace in workspaces.items()}
    health: list[str] = []
    for workspace in workspaces.values():
        workspace.subscribe_health(lambda root: health.append(root.mode))
    roots[1].write("pdf/scripts/run.py", "2")
    wait_for(lambda: all(workspaces[name].version > before[name] for name in ("second", "inside")))
    roots[0].write("pdf/scripts/run.py", "2")
    wait_for(lambda: all(workspaces[name].version > before[name] for name in ("first", "both")))
    assert workspaces["third"].sync().version == before["third"]
    assert not health, "nothing about how a root is watched changed"


def test_a_root_hears_what_another_ones_events_tell_of_its_links(engine: TurnedEngine, tmp_path: Path) -> None:
    """Its link leads into a hidden directory, which it does not watch; the other root is that directory."""
    root = SkillsRoot(make_root(tmp_path / "root", "pdf"))
    root.write(".hidden/page.md", "old")
    (root.path / "pdf/linked.md").symlink_to("../.hidden/page.md")
    workspace = engine.open([root.path])
    engine.open([root.path / ".hidden"])
    before = workspace.version
    root.write(".hidden/page.md", "new")
    wait_for(lambda: workspace.version > before)


def test_a_change_is_told_as_what_it_is_while_other_workspaces_are_opened(engine: TurnedEngine, tmp_path: Path) -> None:
    shared = SkillsRoot(make_root(tmp_path / "shared", "pdf"))
    workspace = engine.open([shared.path])
    reasons: list[str] = []
    workspace.subscribe(lambda change: reasons.append(change.reason))
    for number in range(20):
        own = make_root(tmp_path / f"own-{number}", "own")
        shared.write("pdf/scripts/run.py", f"{number}\n")
        engine.open([own, shared.path]).close()
    wait_for(lambda: len(reasons) >= 2)
    assert "roots" not in reasons  # a second look at what was just written may find it before its event


@contextmanager
def a_storm_in(root: SkillsRoot) -> Iterator[None]:
    """A thread that adds, edits and removes skills all the time."""
    over = threading.Event()

    def write() -> None:
        for number in count():
            if over.is_set():
                return
            directory = root.add(f"storm-{number % 20}", body=f"{number}\n")
            if number % 3 == 0:
                directory.rename(root.path / f"moved-{number % 7}-{number}")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_many_threads_may_open_workspaces_at_once_while_a_storm_goes_on(engine: TurnedEngine, tmp_path: Path) -> None:
    shared = SkillsRoot(make_root(tmp_path / "shared", "pdf"))
    own = [make_root(tmp_path / f"own-{number}", f"own-{number}") for number in range(20)]
    with a_storm_in(shared), ThreadPoolExecutor(8) as threads:
        workspaces = list(threads.map(lambda root: engine.open([root, shared.path]), own))
    for root, workspace in zip(own, workspaces, strict=True):
        expected = scan([root, shared.path]).snapshot
        assert workspace.sync().digest == expected.digest
    engine.wait_for_watches([*own, shared.path])


class UntoldWriter:
    """Writes to the `SKILL.md` of a skill by another name, outside of any root: no event tells."""

    def __init__(self, skill: Path, outside: Path) -> None:
        outside.hardlink_to(skill / "SKILL.md")
        age(outside)
        self._outside = outside

    def __call__(self) -> None:
        self._outside.write_text(self._outside.read_text().replace("Do it.", "Did it."))


def test_what_audits_find_one_after_another_is_one_change(
    engine: TurnedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many turns they take."""
    monkeypatch.setattr(engine_loop, "AUDIT_SLICE_S", 0.0)
    names = ("docx", "pdf", "xlsx")
    roots = [make_root(tmp_path / f"root-{name}", name) for name in names]
    writers = [UntoldWriter(root / name, tmp_path / f"outside-{name}") for name, root in zip(names, roots, strict=True)]
    workspace = engine.open(roots)
    told: list[SkillsChanged] = []
    workspace.subscribe(told.append)
    for write in writers:
        write()
    engine.let_pass(engine_loop.AUDIT_S)
    wait_for(lambda: told)
    assert [change.skill for change in told[0].changes] == list(names)


def test_a_bump_finds_for_every_workspace_what_no_event_told(engine: TurnedEngine, tmp_path: Path) -> None:
    shared = make_root(tmp_path / "shared", "pdf")
    other = make_root(tmp_path / "other", "docx")
    write = UntoldWriter(shared / "pdf", tmp_path / "outside")
    workspaces = [engine.open([shared]) for _ in range(3)]
    untouched = engine.open([other])
    before, version = workspaces[0].version, untouched.version
    reasons: list[str] = []
    workspaces[0].subscribe(lambda change: reasons.append(change.reason))
    write()
    engine.bump("config")
    assert all(workspace.snapshot.skills["pdf"].instructions() == "Did it.\n" for workspace in workspaces)
    assert {workspace.version > before for workspace in workspaces} == {True}
    assert untouched.version == version
    wait_for(lambda: reasons == ["config"])


def test_a_bump_where_nothing_differs_moves_no_version(engine: TurnedEngine, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", "pdf")
    workspaces = [engine.open([root]) for _ in range(3)]
    before = [workspace.snapshot for workspace in workspaces]
    engine.bump()
    assert [workspace.snapshot for workspace in workspaces] == before


# -- workspaces that their users forget -------------------------------------------------------------------------------


def test_a_forgotten_workspace_is_let_go_of_and_told(
    engine: TurnedEngine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = engine.open([make_root(tmp_path / "kept", "docx")])
    root = make_root(tmp_path / "forgotten", "pdf")
    with caplog.at_level(logging.WARNING):
        engine.open([root])
        gc.collect()
        engine.wait_for_watches([tmp_path / "kept"])
    assert f"a workspace on ['{root}'] was forgotten while it was open" in caplog.text
    assert list(kept.snapshot.skills) == ["docx"]


def test_a_workspace_is_not_forgotten_while_somebody_listens(engine: TurnedEngine, tmp_path: Path) -> None:
    root = SkillsRoot(make_root(tmp_path / "root", "pdf"))
    other = make_root(tmp_path / "other", "docx")
    told: list[SkillsChanged] = []
    engine.open([root.path]).subscribe(told.append)
    engine.open([other]).subscribe(told.append)()  # and no longer
    gc.collect()
    engine.wait_for_watches([root.path])
    root.add("docx")
    wait_for(lambda: told)


def test_the_engine_of_a_forgotten_workspace_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_loop, "POLL_S", 0.05)

    def is_running() -> bool:
        gc.collect()
        return any(thread.name == "skills-refresh engine" for thread in threading.enumerate())

    wait_for(lambda: not is_running(), "the end of other engines")
    watch(make_root(tmp_path / "root", "pdf")).start()
    assert any(thread.name == "skills-refresh engine" for thread in threading.enumerate())
    wait_for(lambda: not is_running(), "the end of the engine")


def test_a_forgotten_workspace_is_not_told_at_first(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Since the engine may be closed just after, and closes all that it opened."""
    with Engine(clock=Clock(monotonic=lambda: 0.0)) as engine:  # the engine looks once by itself, at the start
        kept = engine.open([make_root(tmp_path / "kept", "docx")])
        wait_for(lambda: engine._loop._next_round > 0)
        engine.open([make_root(tmp_path / "forgotten", "pdf")])
        gc.collect()
        for records in (0, 1):
            engine._submit(lambda: engine._loop.attachments.let_go_of_the_unused(0.0)).result()
            assert len(caplog.records) == records
    assert list(kept.snapshot.skills) == ["docx"]


# -- what is shared ---------------------------------------------------------------------------------------------------


def test_filters_of_equal_settings_share_what_is_compiled() -> None:
    one = SkillFilter("/a", extensions=[".svg"], patterns=["drafts/", "# nothing"])
    two = SkillFilter("/b", extensions=(".svg",), patterns=("drafts/", "# nothing"))
    other = SkillFilter("/a", extensions=[".svg"])
    assert one._rules is two._rules
    assert other._rules is not one._rules
    assert (one.reads("a.svg"), one.prunes("drafts", in_skill=False), other.prunes("drafts", in_skill=False)) == (
        True,
        True,
        False,
    )
