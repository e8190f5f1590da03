"""fastmcp for `bench_adapters.py`: `resources/list`, answered to a client in the same process by its own provider, told
to read everything at each request, and by ours."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from fastmcp import Client, FastMCP
from fastmcp.server.providers import Provider
from fastmcp.server.providers.skills import SkillsDirectoryProvider

from bench_adapters_turns import Turn, compare
from skills_refresh import Workspace
from skills_refresh.adapters.fastmcp import SnapshotSkillsProvider


@contextmanager
def _asking(provider: Provider) -> Iterator[Turn]:
    loop = asyncio.new_event_loop()
    opened = AsyncExitStack()
    client = loop.run_until_complete(opened.enter_async_context(Client(FastMCP("skills", providers=[provider]))))
    try:
        yield lambda: "\n".join(
            str(resource.description) for resource in loop.run_until_complete(client.list_resources())
        )
    finally:
        loop.run_until_complete(opened.aclose())
        loop.close()


@contextmanager
def _own(root: Path) -> Iterator[Turn]:
    with _asking(SkillsDirectoryProvider(root, reload=True)) as turn:
        yield turn


@contextmanager
def _ours(skills: Workspace, root: Path) -> Iterator[Turn]:
    with _asking(SnapshotSkillsProvider(skills)) as turn:
        yield turn


if __name__ == "__main__":
    compare(_own, _ours)
