"""What supervisors ask: alive, ready, and the metrics. They tell of no skill, so the first two need no token."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from . import answers
from .bodies import to_json
from .context import Context
from .responses import refusals, text
from .served import ServedWorkspace

_METRICS_EXAMPLE = 'skills_refresh_skills{workspace=""} 3.0\n'


def add_probes(router: APIRouter, context: Context) -> None:
    """Adds the routes that no workspace owns."""

    @router.get("/healthz", response_class=Response, responses=text("text/plain", "alive\n"), summary="Alive")
    async def healthz() -> Response:
        """Answers as long as the server does."""
        return Response("alive\n", media_type="text/plain")

    @router.get(
        "/readyz",
        response_model=answers.ReadyAnswer,
        responses={503: {"model": answers.ReadyAnswer, "description": "Not yet, or no more."}},
        summary="Ready",
    )
    async def readyz() -> Response:
        """200 when all skills were read once and every root that was named is there and watched, 503 otherwise."""
        why = [reason for served in context.workspaces.values() for reason in _not_ready(served)]
        body = to_json({"ready": not why, "why": why})
        return Response(body, 503 if why else 200, media_type="application/json")

    @router.get(
        "/metrics",
        response_class=Response,
        responses={
            **text(context.metrics.media_type, _METRICS_EXAMPLE),
            **refusals(401),
        },
        summary="Metrics for Prometheus",
    )
    async def metrics() -> Response:
        """What is true just now, and what was counted."""
        return Response(context.metrics.render(), media_type=context.metrics.media_type)


def _not_ready(served: ServedWorkspace) -> list[str]:
    if served.workspace is None or served.hub is None:
        return ["skills are being read for the first time"]
    optional = {root.path for root in served.workspace.roots if root.optional}
    # Without their paths: who asks need not have a token.
    return [
        f"a root is {root.mode}: {root.message}"
        for root in served.health()
        if (root.mode == "missing" and str(root.path) not in optional) or root.reason in ("failure", "closed")
    ]
