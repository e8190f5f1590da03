"""A gateway with FastAPI: `uvicorn --app-dir examples fastapi_gateway:app` runs it. Edit a skill, and ask again.

    curl -X POST localhost:8000/turns/alice   # what changed since alice's last turn, and her prompt if it did
    open http://localhost:8000/skills/        # the page

Needs `pip install 'skills-refresh[serve]'`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

import skills_refresh
from skills_refresh import Session
from skills_refresh.asgi import SkillsHost

SKILLS = Path(__file__).parent / "skills"

skills = SkillsHost(lambda: skills_refresh.watch(SKILLS, eligible=skills_refresh.requires))
sessions: dict[str, Session] = {}  # a real gateway forgets those that have ended


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What the gateway needs as long as it runs."""
    async with skills.lifespan(app):
        yield
    sessions.clear()


app = FastAPI(title="A gateway", lifespan=lifespan)
app.mount("/skills", skills.routes())


@app.post("/turns/{agent}")
async def begin_turn(agent: str) -> dict[str, object]:
    """What a gateway asks before each call of its model."""
    if agent not in sessions:
        sessions[agent] = skills.workspace.session()
    turn = sessions[agent].begin()
    return {
        "version": turn.snapshot.version,
        "changes": [f"{change.kind} {change.skill}" for change in turn.changes],
        "prompt": turn.snapshot.prompt() if turn.prompt_changed else "as before",
    }
