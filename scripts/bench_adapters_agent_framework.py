"""agent-framework-core for `bench_adapters.py`: the instructions of a turn, by its own source of skills and by ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from agent_framework import (
    AgentSession,
    BaseAgent,
    FileSkillsSource,
    SessionContext,
    SkillsProvider,
    SkillsSource,
    SupportsAgentRun,
)

from bench_adapters_turns import Turn, compare
from skills_refresh import Workspace
from skills_refresh.adapters.agent_framework import SnapshotSkillsSource


@contextmanager
def _turns(source: SkillsSource) -> Iterator[Turn]:
    """A turn as far as its instructions are made."""
    provider = SkillsProvider(source)
    agent = cast("SupportsAgentRun", BaseAgent())  # which is never run
    session = AgentSession()
    with closing(asyncio.new_event_loop()) as loop:

        def turn() -> str:
            context = SessionContext(input_messages=[])
            loop.run_until_complete(provider.before_run(agent=agent, session=session, context=context, state={}))
            return "\n".join(context.instructions)

        yield turn


@contextmanager
def _own(root: Path) -> Iterator[Turn]:
    # Without a cache: with one it shows no edit.
    with _turns(FileSkillsSource(root)) as turn:
        yield turn


@contextmanager
def _ours(workspace: Workspace, root: Path) -> Iterator[Turn]:
    with _turns(SnapshotSkillsSource(workspace)) as turn:
        yield turn


if __name__ == "__main__":
    compare(_own, _ours)
