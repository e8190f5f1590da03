"""What runs in a process of its own when `bench.py` measures, and how it is started, asked and ended.

A side is started as `bench_sides.py NAME ARGUMENT...` and prints lines of JSON. Sides that read (`open`, the bare
loops) time themselves; sides that write tell when they wrote what; `observe` watches and answers questions. Clocks are
`time.monotonic_ns`, which all processes of a Linux machine share. Modules are imported where a side needs them,
because what one side loads must not weigh on another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

Answer = dict[str, Any]

# A side that has not ended so long after it was asked to is killed.
PATIENCE_S = 30


# -- sides that read --------------------------------------------------------------------------------------------------


def _open(tree: str) -> Answer:
    """How long the library takes to open `tree`."""
    import yaml  # noqa: F401 - the library loads it when it parses its first frontmatter

    from skills_refresh import watch

    workspace = watch(tree)
    began = time.perf_counter()
    workspace.start()
    seconds = time.perf_counter() - began
    files = sum(len(skill.files) for skill in workspace.snapshot.skills.values())
    workspace.close()
    return {"seconds": seconds, "files": files}


def _loop_walk(tree: str) -> Answer:
    """How long a bare loop takes, written as most people would."""
    files = 0
    began = time.perf_counter()
    for directory, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(directory, name)
            os.stat(path)
            with open(path, "rb") as file:
                file.read()
            files += 1
    return {"seconds": time.perf_counter() - began, "files": files}


def _loop_scandir(tree: str) -> Answer:
    """How long the fastest bare loop that we know takes."""

    def read(directory: str) -> int:
        files = 0
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    files += read(entry.path)
                else:
                    entry.stat(follow_symlinks=False)
                    with open(entry.path, "rb") as file:
                        file.read()
                    files += 1
        return files

    began = time.perf_counter()
    files = read(tree)
    return {"seconds": time.perf_counter() - began, "files": files}


# -- sides that write -------------------------------------------------------------------------------------------------


def _write_edits(count: str, pause_s: str, *trees: str) -> Answer:
    """Edits `count` plain skills spread over `trees`, one after another; tells when it began each and what it wrote."""
    from hashlib import sha256

    from make_tree import plain_skill_text

    skills = sorted(path for tree in trees for path in Path(tree).iterdir())
    step = len(skills) // int(count)
    edits = []
    for number in range(int(count)):
        directory = skills[number * step]
        text = plain_skill_text(directory.name, f"Edited at {time.time_ns()}.")
        began_ns = time.monotonic_ns()
        (directory / "SKILL.md").write_bytes(text)
        edits.append([f"sha256:{sha256(text).hexdigest()}", began_ns])
        time.sleep(float(pause_s))
    return {"edits": edits}


def _write_skills(tree: str, count: str) -> Answer:
    """Writes `count` new plain skills into `tree`, as fast as it can."""
    from make_tree import make_plain

    began = time.perf_counter()
    make_plain(Path(tree), int(count), prefix="storm")
    return {"seconds": time.perf_counter() - began}


def _write_files(directory: str, count: str) -> Answer:
    """Writes `count` files into packages below `directory`, as an installer does."""
    began = time.perf_counter()
    for number in range(int(count)):
        package = os.path.join(directory, f"package-{number // 30:03}")
        if number % 30 == 0:
            os.mkdir(package)
        with open(os.path.join(package, f"module-{number % 30:02}.js"), "wb") as file:
            file.write(b"export default 1;\n")
    return {"seconds": time.perf_counter() - began}


# -- the side that watches --------------------------------------------------------------------------------------------


def _observe(*trees: str) -> Answer:
    """Watches `trees` and answers each word on standard input with a line, until that is closed."""
    from skills_refresh import SkillsChanged, watch

    changes: list[tuple[int, float, str, list[str]]] = []

    def on_change(change: SkillsChanged) -> None:
        now_ns, cpu_s = time.monotonic_ns(), time.process_time()
        skills = [change.snapshot.skills.get(item.skill or "") for item in change.changes]
        changes.append((now_ns, cpu_s, change.reason, [skill.digest for skill in skills if skill is not None]))

    with watch(*trees) as workspace:
        workspace.subscribe(on_change)
        answers: dict[str, Callable[[], object]] = {
            "ready": lambda: len(workspace.snapshot.skills),
            "published": lambda: [change[2] for change in changes],
            "cpu": time.process_time,
            "changes": lambda: changes,
            "files": lambda: [
                str(skill.directory / file.path)
                for skill in workspace.snapshot.skills.values()
                for file in skill.files
                if file.size
            ],
        }
        for line in sys.stdin:
            print(json.dumps(answers[line.strip()]()), flush=True)
    return {}


_SIDES: dict[str, Callable[..., Answer]] = {
    "open": _open,
    "loop-walk": _loop_walk,
    "loop-scandir": _loop_scandir,
    "write-edits": _write_edits,
    "write-skills": _write_skills,
    "write-files": _write_files,
    "observe": _observe,
}


# -- starting, asking, ending -----------------------------------------------------------------------------------------


def run_side(name: str, *arguments: object) -> Answer:
    """What the side `name` says, when it has ended. Raises `CalledProcessError` where it failed."""
    done = subprocess.run(_command(name, arguments), stdout=subprocess.PIPE, check=True, env=_environment())
    answer: Answer = json.loads(done.stdout)
    return answer


def import_seconds(statement: str) -> float:
    """How long `statement` takes as the first of a fresh interpreter."""
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    return float(subprocess.check_output([sys.executable, "-c", code], env=_environment()))


class Observer:
    """The side `observe` on `trees`, in its own process while the block lasts."""

    def __init__(self, *trees: Path) -> None:
        self._process = subprocess.Popen(
            _command("observe", trees), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
        )
        self.skills: int = self.ask("ready")

    def ask(self, word: str) -> Any:
        """The answer to `word`: published, cpu, changes or files."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the observer ended before it answered {word!r}; what it printed says why")
        return json.loads(line)

    def __enter__(self) -> Observer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=PATIENCE_S)  # closes its standard input, which ends it
        finally:
            self._process.kill()


@contextmanager
def watch_command(tree: Path) -> Iterator[int]:
    """The process id of `skills-refresh watch --json` on `tree`, from its `ready` line to the end of the block."""
    with _child(["-m", "skills_refresh", "watch", "--json", str(tree)], cwd=tree.parent) as (pid, line):
        if json.loads(line).get("type") != "ready":
            raise RuntimeError(f"watch began with {line!r} and not with a ready line")
        yield pid


@contextmanager
def bare_interpreter() -> Iterator[int]:
    """The process id of an interpreter that does nothing."""
    with _child(["-c", "import signal; print(flush=True); signal.pause()"], cwd=Path.cwd()) as (pid, _):
        yield pid


@contextmanager
def _child(arguments: Sequence[str], *, cwd: Path) -> Iterator[tuple[int, str]]:
    """A Python process and the first line that it printed; it is ended with the block."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=cwd, env=_environment()
    ) as process:
        try:
            assert process.stdout is not None
            yield process.pid, process.stdout.readline()
        finally:
            process.terminate()


def _command(name: str, arguments: Sequence[object]) -> list[str]:
    return [sys.executable, __file__, name, *map(str, arguments)]


def _environment() -> dict[str, str]:
    """The environment without the user's settings: the defaults are what is measured. And with bytecode kept, or an
    import would measure the compiler."""
    dropped = ("SKILLS_REFRESH_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"XDG_CONFIG_HOME": os.devnull}


if __name__ == "__main__":
    print(json.dumps(_SIDES[sys.argv[1]](*sys.argv[2:])))
