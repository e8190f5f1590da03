"""What is polled by choice: where events do not tell what others write, and where the user said so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from skills_refresh import Engine, Root, Settings, Workspace, engine_loop
from skills_refresh.engine_loop import POLL_S
from skills_refresh.watching.limits import kernel_watches

from .conftest import SkillsRoot, in_private_mounts, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def body(workspace: Workspace, name: str = "pdf") -> str | None:
    skill = workspace.snapshot.skills.get(name)
    return skill.instructions() if skill is not None else None


def test_a_root_may_be_polled_beside_one_that_is_watched(skills_root: SkillsRoot, tmp_path: Path) -> None:
    other = SkillsRoot(tmp_path / "other")
    skills_root.add("pdf")
    other.add("docx")
    with Engine() as engine:
        before = kernel_watches() or 0
        workspace = engine.open([Root(str(skills_root.path), poll=True), other.path])
        assert [(health.mode, health.reason) for health in workspace.health] == [
            ("polling", "configured"),
            ("native", ""),
        ]
        assert (kernel_watches() or 0) - before == 2
        skills_root.add("pdf", body="Polled.")
        wait_for(lambda: body(workspace) == "Polled.", timeout=2 * POLL_S)
        skills_root.add("new", files={"references/notes.md": "x"})
        wait_for(lambda: "new" in workspace.snapshot.skills and workspace.health[0].polled_dirs == 4)


def test_what_two_roots_share_is_polled_as_long_as_one_of_them_wants_it(skills_root: SkillsRoot) -> None:
    inner = SkillsRoot(skills_root.path / "team")
    skills_root.add("pdf")
    inner.add("docx")
    with Engine() as engine:
        outer = engine.open([skills_root.path])
        assert outer.health[0].mode == "native"
        polled = engine.open([Root(str(inner.path), poll=True)])
        wait_for(lambda: (outer.health[0].polled_dirs, polled.health[0].polled_dirs) == (2, 2))
        again = engine.open([Root(str(skills_root.path), poll=False)])
        assert (again.health[0].polled_dirs, polled.health[0].mode) == (2, "polling")
        polled.close()
        wait_for(lambda: (outer.health[0].mode, again.health[0].mode) == ("native", "native"))
        inner.add("docx", body="Seen.")
        wait_for(lambda: body(outer, "docx") == "Seen.", timeout=1)


@pytest.mark.parametrize("edit", ["edit", "add", "remove", "rename"])
def test_polling_finds_what_events_would_tell(
    open_workspace: Callable[..., Workspace], skills_root: SkillsRoot, edit: str
) -> None:
    skills_root.add("pdf", files={"references/deep/notes.md": "x"})
    workspace = open_workspace(skills_root.path, settings=Settings(poll=True))
    before = workspace.snapshot.skills["pdf"].files
    notes = skills_root.path / "pdf/references/deep/notes.md"
    if edit == "edit":
        notes.write_text("y")
    elif edit == "add":
        notes.with_name("more.md").write_text("x")
    elif edit == "remove":
        notes.unlink()
    else:
        notes.parent.rename(notes.parent.with_name("deeper"))
    wait_for(lambda: workspace.snapshot.skills["pdf"].files != before, timeout=2 * POLL_S)


def test_polling_costs_at_most_a_hundredth_of_a_processor(
    open_workspace: Callable[..., Workspace], skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interval grows with what a look takes."""
    monkeypatch.setattr(engine_loop, "POLL_S", 0.01)
    for number in range(100):
        skills_root.add(f"skill-{number}")
    workspace = open_workspace(skills_root.path, settings=Settings(poll=True))
    wait_for(lambda: workspace.health[0].poll_interval)
    health = workspace.health[0]
    assert health.poll_interval is not None
    assert health.poll_seconds is not None
    assert health.poll_interval == 100 * health.poll_seconds > 0.01


# Run in a mount namespace of its own, in an empty directory.
PROGRAM = """
import json, logging, os, subprocess
from pathlib import Path
from skills_refresh import Engine, Root, engine_loop, watch
from tests.conftest import SkillsRoot, wait_for

engine_loop.AUDIT_S = 0.5
logging.getLogger("skills_refresh").setLevel(logging.ERROR)

def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)

def overlay(point):
    directory = f"memory/layers-{len(os.listdir('memory'))}"
    for name in ("lower", "upper", "work"):
        os.makedirs(f"{directory}/{name}")
    options = f"lowerdir={directory}/lower,upperdir={directory}/upper,workdir={directory}/work"
    mount("-t", "overlay", "none", point, "-o", options)

def states(workspace):
    return [(health.mode, health.reason, health.polled_dirs) for health in workspace.health]

os.mkdir("memory")
mount("-t", "tmpfs", "none", "memory")
over, bound, plain = (SkillsRoot(Path(name).absolute()) for name in ("over", "bound", "memory/plain"))
overlay("over")
plain.add("plain")
mount("--bind", "memory/plain", "bound")
over.add("over")
found = {}
with Engine() as engine:
    workspace = engine.open([over.path, bound.path])
    found["states"] = states(workspace)
    found["message"] = workspace.health[0].message
    over.add("over", body="Polled.")
    wait_for(lambda: workspace.snapshot.skills["over"].instructions() == "Polled.")
with watch(Root(str(over.path), poll=False)) as workspace:
    found["not polled"] = states(workspace)
with watch(plain.path) as workspace:
    (plain.path / "plain" / "references").mkdir()
    wait_for(lambda: workspace.health[0].watched_dirs == 3)
    found["before"] = states(workspace)
    overlay("memory/plain/plain/references")
    wait_for(lambda: workspace.health[0].polled_dirs, "noticing the mount")
    found["mounted"] = states(workspace)
    plain.write("plain/references/notes.md", "x")
    wait_for(lambda: len(workspace.snapshot.skills["plain"].files) == 2)
    subprocess.run(["umount", "-l", "memory/plain/plain/references"], check=True)
    wait_for(lambda: not workspace.health[0].polled_dirs, "noticing the unmount")
    found["unmounted"] = states(workspace)
    found["files"] = len(workspace.snapshot.skills["plain"].files)
print(json.dumps(found))
"""


def test_where_others_may_write_is_polled(tmp_path: Path) -> None:
    project = Path(__file__).parent.parent
    program = f"import sys; sys.path.insert(0, {str(project)!r})\n{PROGRAM}"
    found = in_private_mounts(program, tmp_path)
    assert (found["states"], found["not polled"]) == ([["polling", "mount", 2], ["native", "", 0]], [["native", "", 0]])
    assert found["message"] == "2 of 2 directories are polled: events do not tell what others write there (overlay)"
    assert (found["before"], found["mounted"]) == ([["native", "", 0]], [["degraded", "mount", 1]])
    assert (found["unmounted"], found["files"]) == ([["native", "", 0]], 1)
