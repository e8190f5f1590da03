"""A gateway with Starlette: run it with `uvicorn --app-dir examples starlette_gateway:app`, edit a skill, and ask again.

    curl localhost:8000/prompt         # the text for the model
    open http://localhost:8000/skills/  # the page

Needs `pip install 'skills-refresh[serve]'`.
"""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import skills_refresh
from skills_refresh.asgi import SkillsHost

SKILLS = Path(__file__).parent / "skills"

skills = SkillsHost(lambda: skills_refresh.watch(SKILLS))


async def prompt(request: Request) -> PlainTextResponse:
    """The text for the model, as it is now."""
    return PlainTextResponse(request.state.skills.snapshot.prompt())


app = Starlette(
    routes=[Route("/prompt", prompt), Mount("/skills", skills.routes())],
    lifespan=skills.lifespan,
)
