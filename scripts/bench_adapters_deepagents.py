"""deepagents for `bench_adapters.py`: the system prompt of a turn, by its own `SkillsMiddleware` and by ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepagents.backends import FilesystemBackend
from deepagents.middleware.skills import SkillsMiddleware, SkillsState
from langchain.agents.middleware.types import ModelRequest
from langchain_core.language_models import FakeListChatModel
from langgraph.runtime import Runtime

from bench_adapters_turns import Turn, compare
from skills_refresh import Workspace
from skills_refresh.adapters.deepagents import SnapshotSkillsMiddleware


@contextmanager
def _turns(middleware: SkillsMiddleware, *, reload: bool) -> Iterator[Turn]:
    """A turn of one thread as far as its prompt is made, with a request to load the skills again where `reload`."""
    state = SkillsState(messages=[])
    model, runtime = FakeListChatModel(responses=[]), Runtime()

    def turn() -> str:
        if reload:
            state["skills_metadata"] = None
        update = middleware.before_agent(state, runtime, {})
        if update is not None:
            state["skills_metadata"] = update["skills_metadata"]
        request = middleware.modify_request(ModelRequest(model=model, messages=[], state=state, runtime=runtime))
        return "" if request.system_message is None else str(request.system_message.text)

    yield turn


@contextmanager
def _own(root: Path) -> Iterator[Turn]:
    with _turns(SkillsMiddleware(backend=FilesystemBackend(root), sources=["/"]), reload=True) as turn:
        yield turn


@contextmanager
def _ours(workspace: Workspace, root: Path) -> Iterator[Turn]:
    with _turns(SnapshotSkillsMiddleware(workspace, backend=FilesystemBackend(root)), reload=False) as turn:
        yield turn


if __name__ == "__main__":
    compare(_own, _ours)
