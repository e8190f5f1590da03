"""What runs in a process of its own when `bench.py` measures; `bench_processes.py` starts, asks and ends it.

A side is started as `bench_sides.py NAME ARGUMENT...` and prints lines of JSON. Sides that read (`open`, the bare
loops) time themselves; sides that write tell when they wrote what; `observe` and `host` watch and answer questions.
Clocks are `time.monotonic_ns`, which all processes of a Linux machine share. Modules are imported where a side needs
them, because what one side loads must not weigh on another.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skills_refresh import Snapshot

Answer = dict[str, Any]

# How often the task in a host's loop wakes.
WAKE_S = 0.005


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

    from plain_tree import plain_skill_text

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


def _write_skills(tree: str, count: str, prefix: str = "storm") -> Answer:
    """Writes `count` new plain skills into `tree`, as fast as it can."""
    from plain_tree import make_plain

    began = time.perf_counter()
    make_plain(Path(tree), int(count), prefix=prefix)
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


def _write_overflow(skill: str, icons: str, skills: str) -> Answer:
    """Writes `icons` SVGs into the directory of a plain `skill`, and then, when no event is kept any more, `skills`
    new skills beside it; edits that skill, and deletes one of its files."""
    from plain_tree import plain_skill_text

    directory = Path(skill)
    began = time.perf_counter()
    for number in range(int(icons)):
        with open(directory / f"references/icon-{number:05}.svg", "wb") as file:
            file.write(b'<svg xmlns="http://www.w3.org/2000/svg"/>\n')
    for number in range(int(skills)):
        new = directory.with_name(f"overflow-{number:03}")
        new.mkdir()
        (new / "SKILL.md").write_bytes(plain_skill_text(new.name))
    (directory / "SKILL.md").write_bytes(plain_skill_text(directory.name, "Edited in the storm."))
    (directory / "scripts/run.py").unlink()
    return {"seconds": time.perf_counter() - began}


# -- the sides that watch ------------------------------------------------------------------------------------------


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
            "files": lambda: _files(workspace.snapshot),
            "hashes": lambda: _hashes(workspace.snapshot),
            "sync": lambda: workspace.sync().version,
        }
        for line in sys.stdin:
            print(json.dumps(answers[line.strip()]()), flush=True)
    return {}


def _files(snapshot: Snapshot) -> list[str]:
    """The paths of all files that skills are made of; one that is empty was only just begun."""
    skills = snapshot.skills.values()
    return [str(skill.directory / file.path) for skill in skills for file in skill.files if file.size]


def _hashes(snapshot: Snapshot) -> dict[str, str | None]:
    """What the files hold that skills are made of."""
    skills = snapshot.skills.values()
    return {str(skill.directory / file.path): file.sha256 for skill in skills for file in skill.files}


def _host(tree: str, what: str) -> Answer:
    """A host's event loop, in which a task wakes every few milliseconds, while a workspace on `tree` is open, if `what`
    is "workspace". Answers each line on standard input with the longest time between two wakes since the last one."""
    import asyncio
    from contextlib import AsyncExitStack

    from skills_refresh import SkillsChanged, watch

    async def on_change(change: SkillsChanged) -> None:
        change.snapshot.prompt()

    async def host() -> None:
        gaps = [0.0]
        ticking = asyncio.create_task(_note_gaps(gaps))
        async with AsyncExitStack() as stack:
            if what == "workspace":
                workspace = await stack.enter_async_context(watch(tree))
                workspace.subscribe(on_change)
            while await asyncio.to_thread(sys.stdin.readline):
                longest, gaps[:] = max(gaps), [0.0]
                print(json.dumps(longest), flush=True)
        ticking.cancel()

    asyncio.run(host())
    return {}


async def _note_gaps(gaps: list[float]) -> None:
    """Wakes again and again, and appends the seconds between two wakes to `gaps`."""
    import asyncio

    last = time.perf_counter()
    while True:
        await asyncio.sleep(WAKE_S)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now


_SIDES: dict[str, Callable[..., Answer]] = {
    "open": _open,
    "loop-walk": _loop_walk,
    "loop-scandir": _loop_scandir,
    "write-edits": _write_edits,
    "write-skills": _write_skills,
    "write-files": _write_files,
    "write-overflow": _write_overflow,
    "observe": _observe,
    "host": _host,
}


if __name__ == "__main__":
    print(json.dumps(_SIDES[sys.argv[1]](*sys.argv[2:])))
