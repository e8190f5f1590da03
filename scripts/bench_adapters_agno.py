"""agno for `bench_adapters.py`: what a system prompt says of skills, by its own `Skills` and by ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agno.skills import LocalSkills, Skills

from bench_adapters_turns import Turn, compare
from skills_refresh import Workspace
from skills_refresh.adapters.agno import SnapshotSkills


@contextmanager
def _own(root: Path) -> Iterator[Turn]:
    skills = Skills([LocalSkills(str(root))])

    def turn() -> str:
        skills.reload()
        text: str = skills.get_system_prompt_snippet()
        return text

    yield turn


@contextmanager
def _ours(workspace: Workspace, root: Path) -> Iterator[Turn]:
    yield SnapshotSkills(workspace).get_system_prompt_snippet


if __name__ == "__main__":
    compare(_own, _ours)
