"""What no event tells of is right within one audit: writes through a memory map or another name of a file, and mounts.

The audits come every half a second here, so that nobody waits; that they, and nothing else, find it, shows
`found_by_audit`.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skills_refresh import Engine, Workspace

from .conftest import SkillsRoot, age, in_private_mounts, skill_text, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tests what Linux does not tell of")

AUDIT_S = 0.5


@pytest.fixture
def workspace(skills_root: SkillsRoot, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace on a root with the skill `pdf`, of which everything was written a while ago."""
    monkeypatch.setattr("skills_refresh.engine_loop.AUDIT_S", AUDIT_S)
    skill = skills_root.add("pdf", body="Old.\n", files={"notes.md": "old"})
    skills_root.add("docx")
    for name in ("SKILL.md", "notes.md"):
        os.link(skill / name, skills_root.path.parent / name)
    for path in (skills_root.path, *skills_root.path.rglob("*")):
        age(path)
    with Engine() as engine:
        yield engine.open([skills_root.path])


def body(workspace: Workspace) -> str:
    return workspace.snapshot.skills["pdf"].instructions()


def assert_found_by_an_audit(workspace: Workspace) -> None:
    health = workspace.health[0]
    assert (health.mode, health.found_by_audit, health.last_event) == ("native", 1, None)


def test_a_write_through_a_memory_map_is_found(workspace: Workspace, skills_root: SkillsRoot) -> None:
    path = skills_root.path / "pdf/SKILL.md"
    before = path.stat().st_mtime_ns
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        start = memory.find(b"Old.")
        memory[start : start + 4] = b"New."
        memory.flush()
        if path.stat().st_mtime_ns == before:
            pytest.skip("this file system does not stamp what is written through a memory map")
        wait_for(lambda: body(workspace) == "New.\n")  # before it is closed, for that is told
        assert_found_by_an_audit(workspace)


def test_a_write_through_a_name_outside_of_the_root_is_found(workspace: Workspace, skills_root: SkillsRoot) -> None:
    outside = skills_root.path.parent
    (outside / "SKILL.md").write_text(skill_text("pdf", body="New.\n"))
    wait_for(lambda: body(workspace) == "New.\n")
    assert_found_by_an_audit(workspace)
    (outside / "notes.md").write_text("longer")
    wait_for(lambda: [file.size for file in workspace.snapshot.skills["pdf"].files][1] == 6)
    assert workspace.health[0].found_by_audit == 2


def test_what_is_found_by_an_audit_is_told_as_such(workspace: Workspace, skills_root: SkillsRoot) -> None:
    reasons: list[str] = []
    workspace.subscribe(lambda change: reasons.append(change.reason))
    (skills_root.path.parent / "notes.md").write_text("longer")
    wait_for(lambda: reasons == ["audit"])


# Run in a mount namespace of its own, in an empty directory. `seen` are the texts of the skill that was mounted over,
# each with the seconds until it was seen.
MOUNTS = """
import json, os, subprocess, time
import skills_refresh, skills_refresh.engine_loop

skills_refresh.engine_loop.AUDIT_S = {audit_s}
seen = {{}}

def run(*command):
    subprocess.run(command, check=True)

def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".tmp", "w") as file:
        file.write("---\\nname: pdf\\ndescription: Does it.\\n---\\n\\n" + text)
    os.replace(path + ".tmp", path)

def wait_for(condition):
    deadline = time.monotonic() + 8
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)

def see(text):
    began = time.monotonic()
    wait_for(lambda: any(skill.instructions() == text for skill in workspace.snapshot.skills.values()))
    seen[text] = time.monotonic() - began

def see_by_event(text):
    before = workspace.health[0]
    write("root/pdf/SKILL.md", text)
    see(text)
    wait_for(lambda: workspace.health[0].last_event != before.last_event)
    after = workspace.health[0]
    return after.last_event != before.last_event and after.found_by_audit == before.found_by_audit

write("root/pdf/SKILL.md", "below")
write("other/pdf/SKILL.md", "above")
# What was written just now is looked at twice, and that would find it.
wait_for(lambda: time.time_ns() - os.stat("other/pdf").st_ctime_ns > 100_000_000)
with skills_refresh.watch("root") as workspace:
    run({mount})
    {prepare}
    see("above")
    found_by_audit = workspace.health[0].found_by_audit
    live = see_by_event("above, edited")
"""

UNMOUNTED = """
    run("umount", "--lazy", {point!r})
    see("below")
    live_again = see_by_event("below, edited")
    mode = workspace.health[0].mode
print(json.dumps([seen, found_by_audit, live, live_again, mode]))
"""


@pytest.mark.parametrize(
    ("mount", "point", "prepare"),
    [
        pytest.param('"mount", "--bind", "other/pdf", "root/pdf"', "root/pdf", "", id="a directory over a skill"),
        pytest.param(
            '"mount", "-t", "tmpfs", "none", "root/pdf"',
            "root/pdf",
            'write("root/pdf/SKILL.md", "above")',
            id="a file system over a skill",
        ),
        pytest.param('"mount", "--bind", "other", "root"', "root", "", id="a directory over the root"),
        pytest.param(
            '"mount", "-t", "tmpfs", "none", "root"',
            "root",
            'write("root/pdf/SKILL.md", "above")',
            id="a file system over the root",
        ),
    ],
)
def test_what_is_mounted_over_a_watched_directory_is_found_and_so_is_its_end(
    tmp_path: Path, mount: str, point: str, prepare: str
) -> None:
    """And both are watched: edits above and, later, below are seen by their events."""
    program = MOUNTS.format(audit_s=AUDIT_S, mount=mount, prepare=prepare) + UNMOUNTED.format(point=point)
    seen, found_by_audit, live, live_again, mode = in_private_mounts(program, tmp_path)
    assert list(seen) == ["above", "above, edited", "below", "below, edited"]
    assert max(seen.values()) < 4 * AUDIT_S, seen
    assert (live, live_again, mode) == (True, True, "native")
    if point != "root":  # the roots' own paths are looked at anyway, with no audit
        assert found_by_audit > 0
