"""The command line as its users call it: a real process, its whole output, its exit status."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skills_refresh import scan

from .conftest import SkillsRoot, age, skill_text, wait_for

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `skills-refresh` in an empty directory, without anybody's configuration."""
    (tmp_path / "cwd").mkdir()

    def run_it(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "skills_refresh", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path / "cwd",
            env=clean_environment(tmp_path, **environment),
            timeout=30,
            check=False,
        )

    return run_it


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SKILLS_REFRESH_")}
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "COLUMNS": "80", **more}


def test_list_prints_one_object_as_promised(run: Run, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"run.py": "x"})
    skills_root.write("bad/SKILL.md", "broken")
    done = run("list", "--json", skills_root.path)
    assert done.returncode == 0
    found, fresh = json.loads(done.stdout), scan([skills_root.path])
    skill = fresh.snapshot.skills["pdf"]
    assert found == {
        "digest": fresh.snapshot.digest,
        "files_digest": fresh.files_digest,
        "skills": [
            {
                "name": "pdf",
                "description": "Does it.",
                "location": str(skills_root.path / "pdf/SKILL.md"),
                "root": str(skills_root.path),
                "digest": skill.digest,
                "files": 2,
            }
        ],
        "problems": [
            {
                "code": "no-frontmatter",
                "severity": "error",
                "path": str(skills_root.path / "bad/SKILL.md"),
                "message": "there is no frontmatter",
            }
        ],
    }


def test_list_for_people_is_aligned_and_without_colour_in_a_pipe(run: Run, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", description="Reads PDF files.")
    skills_root.add("spreadsheet", files={"run.py": "x"})
    done = run("list", skills_root.path)
    assert done.stdout == "pdf           1 file  Reads PDF files.\nspreadsheet  2 files  Does it.\n"


@pytest.mark.parametrize(
    ("content", "status"),
    [(skill_text("pdf"), 0), (skill_text("other"), 1), ("broken", 1)],
    ids=["fine", "warning", "error"],
)
def test_check_ends_with_1_for_errors_and_warnings(
    run: Run, skills_root: SkillsRoot, content: str, status: int
) -> None:
    skills_root.write("pdf/SKILL.md", content)
    assert run("check", skills_root.path).returncode == status
    done = run("check", "--json", skills_root.path)
    assert (done.returncode, json.loads(done.stdout).keys()) == (status, {"skills", "problems"})


def test_check_ends_with_0_for_information_alone(run: Run, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    skills_root.add("pdf/examples/inner")
    done = run("check", skills_root.path)
    assert done.returncode == 0
    assert "[nested-skill]" in done.stdout


def test_check_says_how_to_mend_it(run: Run, skills_root: SkillsRoot) -> None:
    skills_root.write("pdf/SKILL.md", "broken")
    assert run("check", skills_root.path).stdout == (
        f"{skills_root.path}/pdf/SKILL.md: error: there is no frontmatter [no-frontmatter]\n"
        "    Start SKILL.md with a line of three dashes, YAML fields, and three dashes again.\n"
        "0 skills, 1 problem.\n"
    )


def test_show_prints_one_skill(run: Run, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", body="Read it.\n", files={"run.py": "x"})
    shown = json.loads(run("show", "pdf", "--json", skills_root.path).stdout)
    assert shown["instructions"] == "Read it.\n"
    assert [file["path"] for file in shown["files"]] == ["SKILL.md", "run.py"]
    assert "Read it." in run("show", "pdf", skills_root.path).stdout


def test_show_names_the_nearest_skill(run: Run, skills_root: SkillsRoot) -> None:
    skills_root.add("spreadsheet")
    done = run("show", "spredsheet", skills_root.path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "skills-refresh: no skill is called 'spredsheet'; did you mean 'spreadsheet'?\n"


def test_prompt_prints_what_the_model_reads(run: Run, skills_root: SkillsRoot) -> None:
    assert run("prompt", skills_root.path).stdout == ""
    skills_root.add("pdf")
    assert run("prompt", skills_root.path).stdout == scan([skills_root.path]).snapshot.prompt() + "\n"


def test_doctor_tells_what_is_left_out_and_what_it_costs(run: Run, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf", files={"node_modules/a.js": "x", "node_modules/b/c.js": "x", "scripts/run.py": "x"})
    found = json.loads(run("doctor", "--json", skills_root.path).stdout)
    (root,) = found["roots"]
    assert (root["mode"], root["watched_dirs"], root["files"]) == ("native", 3, 2)
    assert [(Path(pruned["path"]).name, pruned["files"]) for pruned in root["pruned"]] == [("node_modules", 2)]
    assert (found["kernel_watches"], found["descriptors"]) == (3, 3)
    assert "left out  1 directory with 2 files" in run("doctor", skills_root.path).stdout


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("pdf/run.py", "it is relevant: a file that is read, part of the skill"),
        ("pdf/build/out.md", "is left out: excluded inside a skill"),
        ("pdf/logo.svg", "it is not read: extension not allowed"),
        ("../elsewhere.md", "it lies below none of the roots"),
        ("fifo/SKILL.md", "is not a regular file [not-a-file]"),
        ("out.md", "is a link to /etc/hostname, outside of the root [escaping-link]"),
    ],
)
def test_doctor_says_why(run: Run, skills_root: SkillsRoot, path: str, answer: str) -> None:
    skills_root.add("pdf", files={"run.py": "x", "build/out.md": "x", "logo.svg": "x"})
    (skills_root.path / "fifo").mkdir()
    os.mkfifo(skills_root.path / "fifo/SKILL.md")
    (skills_root.path / "out.md").symlink_to("/etc/hostname")
    assert answer in run("doctor", "--why", skills_root.path / path, skills_root.path).stdout


def test_doctor_proves_that_events_arrive(run: Run) -> None:
    found = json.loads(run("doctor", "--probe", "--json").stdout)
    assert found["native"]
    assert len(found["steps"]) == 5
    assert all(step["seconds"] < 1 for step in found["steps"])
    assert run("doctor", "--probe").stdout.endswith("Events arrive on this machine.\n")


def test_doctor_says_when_events_do_not_arrive(run: Run) -> None:
    """Without any inotify instance, for example."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-U", "-r", "true"], check=False).returncode:
        pytest.skip("needs user namespaces (unshare -U -r)")
    lower = 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$0" -m skills_refresh doctor --probe'
    done = subprocess.run(
        ["unshare", "-U", "-r", "sh", "-c", lower, sys.executable], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "the limit user.max_inotify_instances = 0 is reached: sudo sysctl" in done.stdout
    assert "Events do not arrive here" in done.stdout


def test_doctor_says_what_polling_costs_and_what_ends_it(run: Run, skills_root: SkillsRoot) -> None:
    skills_root.add("pdf")
    text = run("doctor", "--poll", "true", skills_root.path).stdout
    assert "polling (configured): 2 of 2 directories are polled: poll = true" in text
    assert re.search(r"polled    2 directories, every 1\.5 s, 0\.\d\d ms each time \(0\.0\d% of a processor\)", text)


def test_configured_roots_are_taken_where_none_are_named(run: Run, skills_root: SkillsRoot, tmp_path: Path) -> None:
    skills_root.add("pdf")
    (tmp_path / "cwd/skills-refresh.toml").write_text('roots = ["../skills"]\n')
    assert run("list").stdout.startswith("pdf")
    assert run("list", SKILLS_REFRESH_ROOTS=str(tmp_path)).stdout.startswith("pdf")


def test_an_unknown_setting_ends_with_2_and_names_the_nearest(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cwd/skills-refresh.toml").write_text("root = []\n")
    done = run("list")
    assert done.returncode == 2
    assert done.stderr.endswith("unknown setting 'root'; did you mean 'roots'?\n")


@pytest.mark.parametrize("verb", ["list", "check", "watch", "prompt"])
def test_a_file_as_the_only_root_ends_with_2(run: Run, tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").write_text("x")
    done = run(verb, tmp_path / "file")
    assert done.returncode == 2
    assert "is a file; name the directory" in done.stderr


def test_help_version_and_completion(run: Run) -> None:
    assert "watch" in run("--help").stdout
    assert run("--version").stdout.startswith("skills-refresh, version")
    assert "_SKILLS_REFRESH_COMPLETE" in run("completion", "bash").stdout


class Watch:
    """A running `skills-refresh watch --json`."""

    def __init__(self, home: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "skills_refresh", "watch", "--json", *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=home, env=clean_environment(home))

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found = json.loads(self.process.stdout.readline())
        assert isinstance(found, dict)
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=5)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Callable[..., Watch]]:
    """Starts `watch --json`; ends it afterwards."""
    started: list[Watch] = []

    def start(*arguments: object) -> Watch:
        started.append(Watch(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        with one.process:  # waits, and closes its pipe
            one.process.kill()


def test_watch_tells_of_each_change_in_a_line(watch: Callable[..., Watch], skills_root: SkillsRoot) -> None:
    age(skills_root.add("pdf"))
    watching = watch(skills_root.path, "--files-digest")
    ready = watching.line()
    assert (ready["type"], ready["skills"], ready["problems"]) == ("ready", 1, [])
    assert [(root["path"], root["mode"], root["watched_dirs"]) for root in ready["roots"]] == [
        (str(skills_root.path), "native", 2)
    ]
    staged = skills_root.path.parent / "staged"
    SkillsRoot(staged).add("docx").rename(skills_root.path / "docx")
    changed = watching.line()
    fresh = scan([skills_root.path])
    assert changed == {
        "type": "changed",
        "version": changed["version"],
        "previous": ready["version"],
        "reason": "watch",
        "digest": fresh.snapshot.digest,
        "skills": 2,
        "changes": [
            {
                "skill": "docx",
                "kind": "added",
                "aspects": ["catalog", "instructions"],
                "paths": [str(skills_root.path / "docx/SKILL.md")],
            }
        ],
        "files_digest": fresh.files_digest,
    }


def test_watch_tells_of_problems_and_health(watch: Callable[..., Watch], skills_root: SkillsRoot) -> None:
    watching = watch(skills_root.path)
    watching.line()
    skills_root.write("pdf/SKILL.md", "broken")
    changed = watching.line()
    while "problems" not in changed:  # the directory may be seen before the file
        changed = watching.line()
    assert [found["code"] for found in changed["problems"]] == ["no-frontmatter"]
    skills_root.path.rename(skills_root.path.with_name("away"))
    lines = [watching.line() for _ in range(2)]
    assert {line["type"] for line in lines} == {"changed", "health"}
    assert [line["mode"] for line in lines if line["type"] == "health"] == ["missing"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_watch_with_0(watch: Callable[..., Watch], skills_root: SkillsRoot, number: int) -> None:
    watching = watch(skills_root.path)
    watching.line()
    assert watching.end(number) == 0


def test_a_signal_is_heard_while_nobody_reads(watch: Callable[..., Watch], skills_root: SkillsRoot) -> None:
    """The pipe is full, and the line that waits to be written must not make it deaf."""
    for number in range(800):
        skills_root.write(f"skill-{number}/SKILL.md", "broken, with a problem that fills the pipe")
    watching = watch(skills_root.path)
    stdout = watching.process.stdout
    assert stdout is not None
    assert os.read(stdout.fileno(), 1)  # it has begun to write, and the rest does not fit
    assert watching.end() == 0


def test_a_signal_that_another_thread_catches_is_heard(tmp_path: Path, skills_root: SkillsRoot) -> None:
    """As one is that comes just before the waiting begins: its handler must not wait for news."""
    program = """
import signal, sys, threading
from skills_refresh.cli import main
threading.Timer(0.5, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
sys.argv = ["skills-refresh", "watch", sys.argv[1]]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, skills_root.path],
        capture_output=True, timeout=20, check=False, env=clean_environment(tmp_path),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


def test_watch_ends_when_its_reader_goes_away(watch: Callable[..., Watch], skills_root: SkillsRoot) -> None:
    watching = watch(skills_root.path)
    watching.line()
    assert watching.process.stdout is not None
    watching.process.stdout.close()
    assert watching.process.wait(timeout=5) == 0


def test_watch_for_people(tmp_path: Path, skills_root: SkillsRoot) -> None:
    command = [sys.executable, "-m", "skills_refresh", "watch", str(skills_root.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment(tmp_path)) as process:
        assert process.stdout is not None
        assert "watching 0 skills in 1 root, 1 directory" in process.stdout.readline()
        skills_root.write("NOTES.md", "x")
        assert process.stdout.readline().endswith("  added    (no skill)  files  NOTES.md\n")
        process.terminate()
        wait_for(lambda: process.poll() == 0)
