"""`create_app`: the server as an ASGI application. Sockets, signals and the engine are `running`'s."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from .. import __version__
from . import answers
from .access import Access
from .context import Context
from .discovery import make_discovery_router
from .guard import Guard
from .page import make_page_router
from .probes import make_probe_router
from .refusals import Refusal
from .routes import make_router

_DESCRIPTION = """The skills of one or more directories, current at every moment.

`GET /v1/prompt` with `If-None-Match` is what a gateway asks at every turn; `GET /v1/events` is what it follows. A
server with several workspaces serves each below `/w/{workspace}/`, with the same routes."""


def create_app(context: Context, access: Access) -> ASGIApp:
    """The application that answers for `context` those whom `access` lets in. Belongs to one event loop."""
    app = FastAPI(
        title="skills-refresh",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # their pages load scripts from another host
        redoc_url=None,
        exception_handlers={
            Refusal: _refuse,
            HTTPException: _refuse_http,
            RequestValidationError: _refuse_invalid,
            Exception: _apologise,
        },
    )
    router, discovery = make_router(context), make_discovery_router(context)
    app.include_router(make_page_router())
    app.include_router(make_probe_router(context))
    app.include_router(router)
    app.include_router(discovery)
    # The first may come when the configuration is read again; until there is one, nobody needs to read of them.
    described = any(context.workspaces)
    for each in (router, discovery):
        app.include_router(
            each, prefix="/w/{workspace}", dependencies=[Depends(_workspace_name)], include_in_schema=described
        )
    app.include_router(make_page_router(), prefix="/w/{workspace}")
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]  # FastAPI's own way to change what it describes
    return Guard(app, access, context.metrics)


def _workspace_name(workspace: Annotated[str, Path(description="The workspace's name.")]) -> None:
    """Nothing but the description of what the route's prefix holds."""


def _describe(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schema = answers.RefusalAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
        described["components"]["schemas"]["RefusalAnswer"] = schema
        app.openapi_schema = described
    return app.openapi_schema


async def _refuse(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()


async def _refuse_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    cure = {404: "/openapi.json tells which paths there are.", 405: "/openapi.json tells which methods there are."}
    expected = "/openapi.json tells what is expected."
    response = Refusal(error.status_code, str(error.detail), cure.get(error.status_code, expected)).response()
    response.headers.update(error.headers or {})
    return response


async def _apologise(_: Request, __: Exception) -> Response:
    return Refusal(500, "the server hit a bug", "Its log tells which; please report it.").response()


async def _refuse_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return Refusal(422, wrong, "/openapi.json tells what is expected.").response()
