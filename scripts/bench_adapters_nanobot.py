"""nanobot-ai for `bench_adapters.py`: the system prompt of a turn, with its own `SkillsLoader` and with ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nanobot.agent.context import ContextBuilder
from nanobot.agent.skills import BUILTIN_SKILLS_DIR

from bench_adapters_turns import Turn, compare
from skills_refresh import Workspace
from skills_refresh.adapters.nanobot import SnapshotSkillsLoader


@contextmanager
def _own(root: Path) -> Iterator[Turn]:
    yield ContextBuilder(root.parent).build_system_prompt


@contextmanager
def _ours(skills: Workspace, root: Path) -> Iterator[Turn]:
    builder = ContextBuilder(root.parent)
    builder.skills = SnapshotSkillsLoader(skills, builder.skills)
    yield builder.build_system_prompt


if __name__ == "__main__":
    compare(_own, _ours, BUILTIN_SKILLS_DIR)
