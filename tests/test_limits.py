"""The machine refuses: watches, instances, descriptors. What cannot be watched is polled, said, and taken up again.

Each test runs in a process of its own, inside of a user namespace, where lower limits hurt nobody else.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import SkillsRoot

PRELUDE = """
import json, logging, os, resource, sys, time
from pathlib import Path
from skills_refresh import watch
from skills_refresh.watching.limits import free_descriptors
from tests.conftest import SkillsRoot, wait_for

root = SkillsRoot(Path(sys.argv[1]))
logged, told, result = [], [], {}
handler = logging.Handler()
handler.emit = lambda record: logged.append((record.levelname, record.getMessage()))
logging.getLogger("skills_refresh").addHandler(handler)
logging.getLogger("skills_refresh").setLevel("INFO")

def limit(name, value):
    Path("/proc/sys/user/max_inotify_" + name).write_text(str(value))

def health(workspace):
    found = workspace.health[0]
    return found.mode, found.reason, found.message, found.cure

def body(workspace, name):
    return workspace.snapshot.skills[name].instructions() if name in workspace.snapshot.skills else None

def edit_is_seen(workspace, name, text):
    root.add(name, body=text)
    wait_for(lambda: body(workspace, name) == text, "the edit of " + name)

def native_again(workspace):
    wait_for(lambda: workspace.health[0].mode == "native", "watching again", timeout=40)

def watched_inodes():
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + name) == "anon_inode:inotify":
                for line in open("/proc/self/fdinfo/" + name):
                    if line.startswith("inotify"):
                        found.add(int(line.split(" ino:")[1].split()[0], 16))
        except OSError:
            pass
    return found

def finish():
    result.update(logged=logged, told=told)
    print(json.dumps(result))
"""


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-U", "-r", "true"], check=False).returncode:
        pytest.skip("needs user namespaces (unshare -U -r)")


def run_limited(root: SkillsRoot, program: str) -> dict[str, Any]:
    """Runs `program` after the prelude, in a user namespace; returns its `result`."""
    done = subprocess.run(
        ["unshare", "-U", "-r", sys.executable, "-c", PRELUDE + program + "\nfinish()", root.path],
        capture_output=True, text=True, timeout=100, check=False, cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def one_line_each(answer: dict[str, Any], *levels: str) -> None:
    """One line when it began, one when it was over, and not a stream."""
    assert [level for level, _ in answer["logged"]] == list(levels), answer["logged"]


def test_with_too_few_watches_roots_and_skill_directories_get_them(skills_root: SkillsRoot) -> None:
    skills_root.add("a", files={f"references/{number}/notes.md": "x" for number in range(40)})
    for number in range(10):
        skills_root.add(f"skill-{number}")
    answer = run_limited(
        skills_root,
        """
limit("watches", 20)
with watch(root.path) as workspace:
    workspace.subscribe_health(lambda found: told.append([found.mode, found.reason]))
    result["health"] = health(workspace)
    important = {path.stat().st_ino for path in (root.path, *(file.parent for file in root.path.glob("*/SKILL.md")))}
    result["lacking"] = len(important - watched_inodes())
    result["skills"] = len(workspace.snapshot.skills)
    root.write("a/references/39/notes.md", "changed")
    before = workspace.version
    assert workspace.wait(after=before, timeout=10)
    limit("watches", 1000)
    native_again(workspace)
    result["polled"] = workspace.health[0].polled_dirs
    edit_is_seen(workspace, "a", "Seen.")
""",
    )
    mode, reason, message, cure = answer["health"]
    assert (mode, reason, answer["lacking"], answer["skills"], answer["polled"]) == (
        "degraded",
        "watch-limit",
        0,
        11,
        0,
    )
    assert message == "33 of 53 directories are polled: the limit user.max_inotify_watches = 20 is reached"
    assert cure == "sudo sysctl user.max_inotify_watches=524288"
    assert answer["told"] == [["native", ""]]
    one_line_each(answer, "WARNING", "INFO")


def test_when_watches_run_out_later_new_skills_are_still_found(skills_root: SkillsRoot) -> None:
    skills_root.add("a")
    answer = run_limited(
        skills_root,
        """
limit("watches", 10)
with watch(root.path) as workspace:
    workspace.subscribe_health(lambda found: told.append([found.mode, found.reason]))
    result["before"] = health(workspace)[:2]
    for number in range(20):
        root.add(f"skill-{number}")
    wait_for(lambda: len(workspace.snapshot.skills) == 21)
    wait_for(lambda: told)
    edit_is_seen(workspace, "skill-19", "Seen.")
    limit("watches", 1000)
    native_again(workspace)
""",
    )
    assert answer["before"] == ["native", ""]
    assert answer["told"] == [["degraded", "watch-limit"], ["native", ""]]
    one_line_each(answer, "WARNING", "INFO")


def test_a_new_skill_gets_the_watch_of_a_directory_inside_of_another(skills_root: SkillsRoot) -> None:
    skills_root.add("a", files={f"references/{number}/notes.md": "x" for number in range(9)})
    answer = run_limited(
        skills_root,
        """
limit("watches", 12)
with watch(root.path) as workspace:
    result["before"] = health(workspace)[:2]
    inode = root.add("b").stat().st_ino
    wait_for(lambda: "b" in workspace.snapshot.skills)
    wait_for(lambda: inode in watched_inodes(), "a watch for the new skill", timeout=40)
    result["after"] = health(workspace)[:2]
    result["polled"] = workspace.health[0].polled_dirs
    root.write("a/references/0/notes.md", "changed")
    assert workspace.wait(after=workspace.version, timeout=10)
""",
    )
    assert (answer["before"], answer["after"], answer["polled"]) == (["native", ""], ["degraded", "watch-limit"], 1)


def test_without_any_instance_everything_is_polled_until_there_is_one(skills_root: SkillsRoot) -> None:
    skills_root.add("a")
    answer = run_limited(
        skills_root,
        """
limit("instances", 0)
with watch(root.path) as workspace:
    workspace.subscribe_health(lambda found: told.append([found.mode, found.reason]))
    result["health"] = health(workspace)
    edit_is_seen(workspace, "a", "Polled.")
    found = workspace.health[0]
    result["share"] = found.poll_seconds / found.poll_interval
    limit("instances", 100)
    native_again(workspace)
    edit_is_seen(workspace, "a", "Native.")
""",
    )
    mode, reason, message, cure = answer["health"]
    assert (mode, reason, answer["told"]) == ("polling", "instance-limit", [["native", ""]])
    assert "the limit user.max_inotify_instances = 0 is reached" in message
    assert cure == "sudo sysctl user.max_inotify_instances=1024"
    assert answer["share"] <= 0.01
    one_line_each(answer, "WARNING", "INFO")


def test_when_instances_run_out_later_new_directories_are_polled(skills_root: SkillsRoot) -> None:
    skills_root.add("a")
    answer = run_limited(
        skills_root,
        """
with watch(root.path) as workspace:
    workspace.subscribe_health(lambda found: told.append([found.mode, found.reason]))
    limit("instances", 1)
    root.add("b")
    wait_for(lambda: "b" in workspace.snapshot.skills)
    wait_for(lambda: told)
    edit_is_seen(workspace, "b", "Polled.")
    limit("instances", 100)
    native_again(workspace)
    edit_is_seen(workspace, "b", "Native.")
""",
    )
    assert answer["told"] == [["degraded", "instance-limit"], ["native", ""]]
    one_line_each(answer, "WARNING", "INFO")


EAT = """
def eat(leave):
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for descriptor in taken[:leave]:
        os.close(descriptor)
    return taken[leave:]

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))
"""


def test_when_few_descriptors_are_left_the_engine_gives_its_own_back(skills_root: SkillsRoot) -> None:
    skills_root.add("a")
    answer = run_limited(
        skills_root,
        EAT
        + """
with watch(root.path) as workspace:
    workspace.subscribe_health(lambda found: told.append([found.mode, found.reason]))
    taken = eat(5)
    wait_for(lambda: told)
    wait_for(lambda: not watched_inodes())
    result["health"] = health(workspace)
    wait_for(lambda: free_descriptors() == 5 + 3, "the descriptors")
    edit_is_seen(workspace, "a", "Polled.")
    for descriptor in taken:
        os.close(descriptor)
    native_again(workspace)
    edit_is_seen(workspace, "a", "Native.")
""",
    )
    mode, reason, message, cure = answer["health"]
    assert (mode, reason) == ("polling", "descriptor-limit")
    assert "the limit RLIMIT_NOFILE = 64 is reached" in message
    assert cure == "ulimit -n 4096"
    assert answer["told"] == [["polling", "descriptor-limit"], ["native", ""]]
    one_line_each(answer, "WARNING", "INFO")


def test_without_any_descriptor_the_last_good_skills_stay_and_it_heals(skills_root: SkillsRoot) -> None:
    skills_root.add("a", body="Before.")
    answer = run_limited(
        skills_root,
        EAT
        + """
with watch(root.path) as workspace:
    held = os.open(root.path / "a" / "SKILL.md", os.O_WRONLY | os.O_APPEND)
    taken = eat(0)
    wait_for(lambda: health(workspace)[0] == "polling")
    wait_for(lambda: free_descriptors() == 3, "the descriptors")
    taken += eat(0)
    os.write(held, b"More.")
    wait_for(lambda: workspace.snapshot.problems, "a problem")
    result["body"] = body(workspace, "a")
    result["problems"] = sorted(found.code for found in workspace.snapshot.problems)
    for descriptor in taken:
        os.close(descriptor)
    whole = lambda: body(workspace, "a") == "Before.More." and not workspace.snapshot.problems
    wait_for(whole, "reading it", timeout=20)
    native_again(workspace)
""",
    )
    assert answer["body"] == "Before."
    assert answer["problems"] == ["no-descriptor", "stale"]


def test_rules_that_could_not_be_read_are_read_again(skills_root: SkillsRoot) -> None:
    skills_root.add("a", files={"drafts/one.md": "x"})
    skills_root.write(".skillsignore", "drafts/")
    answer = run_limited(
        skills_root,
        EAT
        + """
from skills_refresh import engine_loop
engine_loop.AUDIT_S = 2.0
with watch(root.path) as warm:
    result["files"] = len(warm.snapshot.skills["a"].files)
    wait_for(lambda: free_descriptors() > 20)
    taken = eat(0)
    wait_for(lambda: health(warm)[0] == "polling")
    wait_for(lambda: free_descriptors() == 3, "the descriptors that the first engine gives back")
    taken += eat(0)
    with watch(root.path) as workspace:
        result["problems"] = sorted(found.code for found in workspace.snapshot.problems)
        for descriptor in taken:
            os.close(descriptor)
        whole = lambda: "a" in workspace.snapshot.skills and not workspace.snapshot.problems
        wait_for(whole, "reading it", timeout=20)
        result["after"] = len(workspace.snapshot.skills["a"].files)
""",
    )
    assert (answer["files"], answer["after"]) == (1, 1)
    assert answer["problems"] == ["invalid-ignore-file", "no-descriptor"]


def test_an_engine_that_begins_without_descriptors_heals(skills_root: SkillsRoot) -> None:
    skills_root.add("a")
    answer = run_limited(
        skills_root,
        EAT
        + """
before = free_descriptors()
with watch(root.path) as warm:  # loads what is loaded late
    pass
wait_for(lambda: free_descriptors() == before, "the descriptors")
taken = eat(0)
with watch(root.path) as workspace:
    result["skills"] = len(workspace.snapshot.skills)
    result["problems"] = len(workspace.snapshot.problems)
    for descriptor in taken:
        os.close(descriptor)
    wait_for(lambda: "a" in workspace.snapshot.skills and not workspace.snapshot.problems, "reading it", timeout=20)
    native_again(workspace)
""",
    )
    assert (answer["skills"], answer["problems"]) == (0, 1)
