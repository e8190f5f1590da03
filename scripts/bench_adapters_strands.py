"""strands-agents for `bench_adapters.py`: the system prompt of a turn, by its own `AgentSkills` and by ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from strands import Agent
from strands.hooks import BeforeInvocationEvent
from strands.vended_plugins.skills import AgentSkills

from bench_adapters_turns import Turn, compare
from skills_refresh import Workspace
from skills_refresh.adapters.strands import SnapshotAgentSkills


@contextmanager
def _turns(plugin: AgentSkills, before: Callable[[], object]) -> Iterator[Turn]:
    """A turn of an agent with `plugin` as far as its prompt is made: `before()`, then the hooks of its beginning."""
    # The model is never asked, and boto3 makes no connection before it is.
    agent = Agent(model="none", plugins=[plugin], callback_handler=None)
    with closing(asyncio.new_event_loop()) as loop:

        def turn() -> str:
            before()
            loop.run_until_complete(agent.hooks.invoke_callbacks_async(BeforeInvocationEvent(agent=agent)))
            return agent.system_prompt or ""

        yield turn


@contextmanager
def _own(root: Path) -> Iterator[Turn]:
    plugin = AgentSkills(str(root))
    with _turns(plugin, lambda: plugin.set_available_skills(str(root))) as turn:
        yield turn


@contextmanager
def _ours(workspace: Workspace, root: Path) -> Iterator[Turn]:
    with _turns(SnapshotAgentSkills(workspace), lambda: None) as turn:
        yield turn


if __name__ == "__main__":
    compare(_own, _ours)
