"""The soak judges the engine, so it is judged here: that it sees each kind of loss, and each kind of growth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from skills_refresh import Workspace, scan
from soak_disk import Disk
from soak_operations import OPERATIONS
from soak_oracle import View, difference, view_of
from soak_resources import Checkpoint, growing
from soak_rounds import Soak
from soak_side import Watching

from .conftest import SkillsRoot, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the soak reads /proc")

SOAK = Path(__file__).parents[1] / "scripts/soak.py"
# The first round of this seed asks the barrier, so nothing is waited for.
BARRIER_FIRST = 0


def seen(root: Path) -> View:
    return view_of(*scan(root))


def edit_skill(root: SkillsRoot) -> None:
    root.add("pdf", body="Another.\n", files={"run.py": "1"})


def edit_file(root: SkillsRoot) -> None:
    root.write("pdf/run.py", "2")


def touch_file(root: SkillsRoot) -> None:
    os.utime(root.path / "pdf/run.py", (1, 1))


def delete_file(root: SkillsRoot) -> None:
    (root.path / "pdf/run.py").unlink()


def add_file_outside(root: SkillsRoot) -> None:
    root.write("notes.md", "Of no skill.\n")


def add_problem(root: SkillsRoot) -> None:
    (root.path / "dangling").symlink_to("nowhere")


def rename_skill(root: SkillsRoot) -> None:
    (root.path / "pdf").rename(root.path / "documents")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edit_skill, "skill 'pdf'"),
        (edit_file, "skill 'pdf'"),
        (touch_file, "files_digest"),
        (delete_file, "skill 'pdf'"),
        (add_file_outside, "file '"),
        (add_problem, "problem 'dangling-link"),
        (rename_skill, "skill 'pdf'"),
    ],
)
def test_whatever_a_consumer_can_see_is_a_difference(
    change: Callable[[SkillsRoot], None], told: str, skills_root: SkillsRoot
) -> None:
    skills_root.add("pdf", files={"run.py": "1"})
    before = seen(skills_root.path)
    assert difference(before, seen(skills_root.path)) == []
    change(skills_root)
    assert any(line.startswith(told) for line in difference(before, seen(skills_root.path)))


def test_a_last_good_version_is_no_difference_and_hides_no_other(
    open_workspace: Callable[..., Workspace], skills_root: SkillsRoot
) -> None:
    skills_root.add("pdf")
    skills_root.add("docx")
    workspace = open_workspace(skills_root.path)
    skills_root.write("pdf/SKILL.md", "broken\n")
    workspace.sync()
    live = view_of(workspace.snapshot, workspace.files_digest())
    assert [found[0] for found in live["problems"]].count("stale") == 1
    assert difference(live, seen(skills_root.path)) == []
    skills_root.add("docx", body="Nobody heard of this.\n")
    assert any("docx" in line for line in difference(live, seen(skills_root.path)))


def checkpoints(**step: float) -> list[Checkpoint]:
    """Eight of them, five rounds apart; each figure grows by `step` a round."""
    figures = {"descriptors": 12, "threads": 5, "watches": 75, "megabytes": 30.0}
    return [
        Checkpoint(rounds, **{name: figure + step.get(name, 0) * rounds for name, figure in figures.items()})  # type: ignore[arg-type]  # figures are numbers
        for rounds in range(5, 45, 5)
    ]


@pytest.mark.parametrize("name", ["descriptors", "threads", "watches", "megabytes"])
def test_what_leaks_once_a_round_grows(name: str) -> None:
    assert growing(checkpoints()) == []
    assert growing(checkpoints(**{name: 1.0})) == [name]


def test_memory_that_rises_while_the_soak_warms_up_does_not_grow() -> None:
    warm = checkpoints()[2:]
    cold = [replace(point, rounds=point.rounds - 10, megabytes=5.0) for point in warm[:2]]
    assert growing(cold + warm) == []
    assert growing(warm + [replace(point, rounds=point.rounds + 40, megabytes=60.0) for point in warm]) == ["megabytes"]


def test_two_disks_suffer_the_same_from_the_same_seed(tmp_path: Path) -> None:
    """Or a failing round could not be replayed."""
    disks = [Disk(tmp_path / "one"), Disk(tmp_path / "two")]
    for disk in disks:
        disk.random = Random(5)
        disk.reset()
        for operation in OPERATIONS:
            operation(disk)
    assert contents(disks[0].base) == contents(disks[1].base)


def contents(base: Path) -> dict[str, bytes | None]:
    return {
        os.path.relpath(path, base): path.read_bytes() if path.is_file() else None
        for path in base.rglob("*")
        if not path.is_symlink()
    }


def test_a_round_that_is_not_right_is_lost_and_told_with_its_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The watching process is shown other roots than those that it is compared with."""
    disk = Disk(tmp_path / "disk")
    disk.reset()
    with Watching([tmp_path / "elsewhere"]) as watching:
        soak = Soak(disk, watching, seed=BARRIER_FIRST, in_namespace=False)
        soak.round()
    assert len(soak.tally.losses) == 1
    assert soak.tally.comparisons["barrier"] == 1
    assert f"LOST by barrier, --seed {BARRIER_FIRST} --rounds 1" in capsys.readouterr().out


def test_a_watching_process_that_lost_its_descriptors_gets_them_back(tmp_path: Path) -> None:
    root = SkillsRoot(tmp_path / "skills")
    with Watching([root.path]) as watching:
        watching.sync()
        before = len(os.listdir(f"/proc/{watching.pid}/fd"))
        watching.tell("hoard", 2)
        assert len(os.listdir(f"/proc/{watching.pid}/fd")) > 200
        watching.tell("release")
        assert len(os.listdir(f"/proc/{watching.pid}/fd")) == before
        root.add("pdf")
        assert "pdf" in watching.sync()["view"]["skills"]


def test_a_short_soak_loses_nothing_and_writes_what_it_counted(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    command = [sys.executable, str(SOAK), "--rounds", "1", "--seed", str(BARRIER_FIRST), "--json", str(file)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    counted = json.loads(file.read_text())
    assert (counted["rounds"], counted["losses"], counted["bugs"]) == (1, [], [])
    assert counted["comparisons"] == {"barrier": 1}


def test_an_interrupted_soak_ends_with_its_table_and_leaves_no_process() -> None:
    command = [sys.executable, str(SOAK), "--minutes", "5", "--seed", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as soak:
        assert soak.stdout is not None
        assert soak.stdout.readline() == "seed 1\n"
        children = Path(f"/proc/{soak.pid}/task/{soak.pid}/children").read_text().split()
        os.killpg(soak.pid, signal.SIGINT)  # as a terminal does, which asks every process of the group
        printed = soak.stdout.read()
    assert soak.returncode == 0, printed
    assert "interrupted; so far:" in printed
    assert "lost: 0" in printed
    assert "Traceback" not in printed
    assert len(children) == 1
    wait_for(lambda: not Path(f"/proc/{children[0]}").exists(), "the end of the watching process")
