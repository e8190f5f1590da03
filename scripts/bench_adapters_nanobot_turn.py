"""nanobot's real agent loop for `bench_adapters.py`, its model replaced by a stub on this machine: what of a turn is
spent on skills.

A skill is edited before each turn, and the system message of that turn must show it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from loguru import logger
from nanobot.agent.loop import AgentLoop
from nanobot.agent.skills import BUILTIN_SKILLS_DIR
from nanobot.bus.queue import MessageBus
from nanobot.providers.openai_compat_provider import OpenAICompatProvider

from bench_adapters_turns import edit
from model_server import ModelServer, model_server
from skills_refresh import Workspace, watch
from skills_refresh.adapters.nanobot import SnapshotSkillsLoader


class _Timed:
    """A loader, and the milliseconds spent in it."""

    def __init__(self, loader: SnapshotSkillsLoader) -> None:
        self._loader = loader
        self.spent_ms = 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._loader, name)
        if not callable(found):
            return found

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return found(*arguments, **named)
            finally:
                self.spent_ms += (time.perf_counter() - began) * 1e3

        return timed


async def _turns(root: Path, turns: int, skills: Workspace, server: ModelServer) -> dict[str, list[float]]:
    answer: dict[str, list[float]] = {"skills_ms": [], "turn_ms": []}
    provider = OpenAICompatProvider(api_key="none", api_base=server.url, default_model="stub")
    loop = AgentLoop(bus=MessageBus(), provider=provider, workspace=root.parent)
    loop.context.skills = loader = _Timed(SnapshotSkillsLoader(skills, loop.context.skills))
    await loop.process_direct("Hello.")
    for number in range(turns):
        shown = edit(root, number)
        skills.sync()
        loader.spent_ms, began = 0.0, time.perf_counter()
        await loop.process_direct("What can you do now?")
        answer["turn_ms"].append((time.perf_counter() - began) * 1e3)
        answer["skills_ms"].append(loader.spent_ms)
        if shown not in server.system[-1]:
            raise RuntimeError(f"the model was not told of the {shown}")
    return answer


def main() -> None:
    """Takes the root and the number of turns from the command line; prints the milliseconds of every turn."""
    logger.disable("nanobot")
    root, turns = Path(sys.argv[1]), int(sys.argv[2])
    with model_server() as server, watch(root, BUILTIN_SKILLS_DIR) as skills:
        print(json.dumps(asyncio.run(_turns(root, turns, skills, server))))


if __name__ == "__main__":
    main()
