"""`create_app`: the server as an ASGI application. Sockets, signals and the engine are `running`'s."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .._version import __version__
from . import answers
from .access import Access
from .context import Context
from .discovery import add_discovery
from .guard import Guard
from .page import add_page
from .probes import add_probes
from .refusals import Refusal
from .responses import refusals
from .routes import add_routes
from .skill_routes import add_skill_routes
from .watching_routes import add_watching_routes

_DESCRIPTION = """The skills of one or more directories, current at every moment.

`GET /v1/prompt` with `If-None-Match` is what a gateway asks at every turn; `GET /v1/events` is what it follows. A
server with several workspaces serves each below `/w/{workspace}/`, with the same routes but for probes and metrics."""


def create_app(context: Context, access: Access) -> Guard:
    """The application that answers for `context` those whom `access` lets in. Belongs to one event loop."""
    app = FastAPI(
        title="skills-refresh",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # their pages load scripts from another host
        redoc_url=None,
        responses=refusals(401, 403, 421, 422, 503),
        exception_handlers={
            Refusal: _refuse,
            HTTPException: _refuse_http,
            RequestValidationError: _refuse_invalid,
            Exception: _apologise,
        },
    )
    # At the top into the application itself: a router that is included takes as long to find as a dozen routes.
    _add_all(app.router, context)
    add_probes(app.router, context)
    named = APIRouter(prefix="/w/{workspace}", dependencies=[Depends(_workspace_name)])
    _add_all(named, context)
    app.include_router(named)
    describe = lru_cache(partial(_describe, app))  # a SIGHUP may bring the first workspace with a name
    app.openapi = lambda: describe(named=any(context.workspaces), asks_for_token=access.token is not None)  # type: ignore[method-assign]  # FastAPI's own way to change what it describes
    return Guard(app, access, context.metrics)


def _add_all(router: APIRouter, context: Context) -> None:
    add_routes(router, context)
    add_skill_routes(router, context)
    add_watching_routes(router, context)
    add_discovery(router, context)
    add_page(router)


def _workspace_name(workspace: Annotated[str, Path(description="The workspace's name.")]) -> None:
    """Nothing but the description of what the route's prefix holds."""


def _describe(app: FastAPI, *, named: bool, asks_for_token: bool) -> dict[str, Any]:
    """What `/openapi.json` tells; of workspaces with names where there are any."""
    described = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schema = answers.RefusalAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    described["components"]["schemas"]["RefusalAnswer"] = schema
    described["paths"] = {
        path: routes for path, routes in described["paths"].items() if named or not path.startswith("/w/")
    }
    if asks_for_token:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"token": []}]
    return described


async def _refuse(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()


async def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    description = _description_of(request)
    cure = {404: f"{description} tells which paths there are.", 405: f"{description} tells which methods there are."}
    expected = f"{description} tells what is expected."
    response = Refusal(error.status_code, str(error.detail), cure.get(error.status_code, expected)).response()
    response.headers.update(error.headers or {})
    return response


async def _apologise(_: Request, __: Exception) -> Response:
    return Refusal(500, "the server hit a bug", "Its log tells which; please report it.").response()


async def _refuse_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
    return Refusal(422, wrong, f"{_description_of(request)} tells what is expected.").response()


def _description_of(request: Request) -> str:
    """Where the description lies, below the path at which the application is mounted."""
    return f"{request.scope.get('root_path', '')}/openapi.json"
