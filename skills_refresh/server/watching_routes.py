"""The routes that tell how skills are watched, and those that ask for another look."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from ..encoding import health_json
from . import answers
from .context import Context
from .diagnoses import Diagnoses
from .refusals import Refusal
from .responses import json_response, refusals, version_json

_REFRESH = answers.RefreshRequest.model_json_schema()


def add_watching_routes(router: APIRouter, context: Context) -> None:
    """Adds them to `router`."""
    diagnoses = Diagnoses()

    @router.get("/v1/health", response_model=answers.HealthAnswer, summary="How each root is watched")
    async def health(request: Request) -> Response:
        """Mode, reason and cure of each root."""
        served, _ = context.ready(request)
        return json_response({"roots": [health_json(root) for root in served.health()]})

    @router.get("/v1/doctor", response_model=answers.DoctorAnswer, summary="What watching costs, and what is left out")
    async def doctor(request: Request) -> Response:
        """What `skills-refresh doctor` tells; it takes a while, and is told anew once a minute at most."""
        served, _ = context.ready(request)
        return Response(await diagnoses.of(served.name, served.current), media_type="application/json")

    @router.post(
        "/v1/refresh",
        response_model=answers.VersionAnswer,
        responses=refusals(400, 411, 413),
        summary="List everything anew",
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": _REFRESH}}}},
    )
    async def refresh(request: Request) -> Response:
        """Lists every directory again, publishes if anything differs, and answers with the version."""
        served, _ = context.ready(request)
        # Read here, so that `curl -d` need not say what it sends; pages of others are refused by their origin.
        body = await request.body()
        try:
            wanted = answers.RefreshRequest.model_validate_json(body) if body else answers.RefreshRequest()
        except ValidationError as error:
            wrong = "; ".join(item["msg"] for item in error.errors())
            raise Refusal(422, f"the body: {wrong}", 'Send {"reason": "manual"}, or "remote", or nothing.') from error
        return json_response(version_json(await context.refresh(served, wanted.reason)))

    @router.post("/v1/sync", response_model=answers.VersionAnswer, summary="A barrier")
    async def sync(request: Request) -> Response:
        """Answers with a version that holds everything that was written before. Cheaper than listing anew."""
        served, _ = context.ready(request)
        return json_response(version_json(await context.sync(served)))
