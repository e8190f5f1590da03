"""The routes by which gateways follow one workspace. What they answer is encoded once for each version; what everybody
asks at each turn is answered by comparing two versions."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from ..encoding import JsonObject, complete_json, hidden_json, problem_json, skill_json
from ..model import Snapshot
from . import answers
from .bodies import accepts_gzip, to_json
from .context import Context
from .events import EventHub
from .extensions import wait_for_disconnect
from .pieces import PiecewiseResponse
from .responses import NOT_MODIFIED, Etag, json_response, matches, not_modified, text, version_json
from .shadows import find_shadows
from .stream import EventStream

# The longest that a request for a later version waits: shorter than proxies are patient.
LONGEST_WAIT_S = 60.0

_VERSION = re.compile("[0-9]{1,18}")
_TEXT = "text/plain; charset=utf-8"
_EVENTS_EXAMPLE = (
    'id: 1795262441020\nevent: ready\ndata: {"type":"ready","version":1795262441020,"skills":3}\n\n'
    'id: 1795262458213\nevent: changed\ndata: {"type":"changed","version":1795262458213,"previous":1795262441020}\n\n'
)


def add_routes(router: APIRouter, context: Context) -> None:
    """Adds the routes for the workspaces of `context` to `router`: first the one that is asked for at every turn, since
    routes are tried in their order."""

    @router.get(
        "/v1/prompt",
        response_class=Response,
        responses={**text(_TEXT, "<available_skills>\n</available_skills>"), **NOT_MODIFIED},
        summary="The text for the model",
    )
    async def prompt(request: Request) -> Response:
        """The `<available_skills>` block. Ask every turn with `If-None-Match`: it is nearly always what you have."""
        served, hub = context.ready(request)
        current = hub.snapshot
        etag = f'"{current.prompt_version}"'
        if matches(request.headers.get("if-none-match"), etag):
            return not_modified(etag)
        key = (current.prompt_version, "prompt")
        body = await served.bodies.get(key, lambda: current.prompt().encode(), compressed=False)
        return PiecewiseResponse(body.data, 200, {"etag": etag, "cache-control": "no-cache"}, _TEXT)

    @router.get(
        "/v1/snapshot",
        response_model=answers.SnapshotAnswer | answers.CompleteAnswer,
        responses=NOT_MODIFIED,
        summary="All skills and problems",
    )
    async def snapshot(
        request: Request,
        view: Annotated[Literal["list", "complete"], Query(description="`complete` holds every byte.")] = "list",
        since: Annotated[int | None, Query(description="With `complete`: only what differs from this version.")] = None,
        if_none_match: Etag = None,
    ) -> Response:
        """The current snapshot. With `view=complete`, all that is needed to make it again elsewhere, or, with `since`,
        what of it differs from a version that you have; `previous` is null where that is no longer known."""
        served, hub = context.ready(request)
        current = hub.snapshot
        etag = f'W/"{current.version}"'
        headers = {"etag": etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if matches(if_none_match, etag):
            return Response(None, 304, headers)
        before = hub.snapshot_at(since) if since is not None and view == "complete" else None

        def make() -> bytes:
            return to_json(_list_json(current) if view == "list" else complete_json(current, before))

        compressed = accepts_gzip(request.headers.get("accept-encoding", ""))
        key = (current.version, view, None if before is None else before.version)
        body = await served.bodies.get(key, make, compressed=compressed)
        if body.compressed:
            headers["content-encoding"] = "gzip"
        return PiecewiseResponse(body.data, 200, headers, "application/json")

    @router.get("/v1/version", response_model=answers.VersionAnswer, summary="Wait for a later version")
    async def version(
        request: Request,
        after: Annotated[int | None, Query(description="Answer when the version is later than this.")] = None,
        timeout: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait at most.")] = 30.0,
    ) -> Response:
        """The current version, at once or, with `after`, when there is a later one or the time is over."""
        _, hub = context.ready(request)
        if after is not None:
            with context.following():
                await _wait_for_newer(hub, after, timeout, request)
        return json_response(version_json(hub.snapshot))

    @router.get(
        "/v1/events",
        response_class=Response,
        responses=text("text/event-stream", _EVENTS_EXAMPLE),
        summary="Follow every change",
    )
    async def events(
        request: Request,
        last_event_id: Annotated[str | None, Header(description="The id of the last event that you got.")] = None,
    ) -> Response:
        """Server-sent events: `ready` first, then `changed` and `health` as they happen, `closing` when the server
        ends. An id is a version. After `Last-Event-ID` comes what was missed, or `reset` where that is too long ago."""
        _, hub = context.ready(request)
        return EventStream(hub, context.following, _version_of(last_event_id))


async def _wait_for_newer(hub: EventHub, version: int, timeout: float, request: Request) -> None:
    """Waits as the hub does, but no longer than there is somebody who waits for the answer."""
    gone = asyncio.ensure_future(wait_for_disconnect(request.receive))
    newer = asyncio.ensure_future(hub.wait_for_newer(version, timeout))
    try:
        await asyncio.wait({gone, newer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        newer.cancel()


def _version_of(last_event_id: str | None) -> int | None:
    """The version that a `Last-Event-ID` names; 0, which there never was, where it is none of ours."""
    if not last_event_id:
        return None
    return int(last_event_id) if _VERSION.fullmatch(last_event_id) else 0


def _list_json(snapshot: Snapshot) -> JsonObject:
    shadows = find_shadows(snapshot)
    skills = [skill_json(skill) | {"shadows": shadows.get(name, [])} for name, skill in snapshot.skills.items()]
    problems = [problem_json(found) | {"cure": found.cure} for found in snapshot.problems]
    return {**version_json(snapshot), "skills": skills, "problems": problems, **hidden_json(snapshot)}
