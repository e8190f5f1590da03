"""The routes of one workspace below `/v1`. What they answer is encoded once for each version; what everybody asks at
each turn is answered by comparing two versions."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from ..encoding import JsonObject, complete_json, health_json, problem_json, skill_details_json, skill_json
from ..model import Snapshot
from . import answers
from .bodies import accepts_gzip, to_json
from .context import Context
from .events import EventHub
from .refusals import MEDIA_TYPE, Refusal
from .served import ServedWorkspace
from .shadows import find_shadows
from .skill_files import find_file, find_skill, read_skill_file
from .stream import EventStream, wait_for_disconnect
from .threads import in_thread

# The longest that a request for a later version waits: shorter than proxies are patient.
LONGEST_WAIT_S = 60.0

_VERSION = re.compile("[0-9]{1,18}")
_TEXT = "text/plain; charset=utf-8"
_MARKDOWN = "text/markdown; charset=utf-8"
_EVENTS_EXAMPLE = (
    'id: 1795262441020\nevent: ready\ndata: {"type":"ready","version":1795262441020,"skills":3}\n\n'
    'id: 1795262458213\nevent: changed\ndata: {"type":"changed","version":1795262458213,"previous":1795262441020}\n\n'
)


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How refusals with these statuses are described."""
    schema = {"schema": {"$ref": "#/components/schemas/RefusalAnswer"}}
    return {status: {"content": {MEDIA_TYPE: schema}, "description": "Refused."} for status in statuses}


def text(media_type: str, example: str, **schema: object) -> dict[int | str, dict[str, Any]]:
    """How an answer that is no JSON is described."""
    content = {media_type: {"schema": {"type": "string", **schema}, "example": example}}
    return {200: {"content": content, "description": "The text."}}


NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It is what the ETag says."}}
_Etag = Annotated[str | None, Header(description="The ETag of what you have.")]


def add_routes(router: APIRouter, context: Context) -> None:
    """Adds the routes for the workspaces of `context` to `router`: first the one that is asked for at every turn, since
    routes are tried in their order."""

    def ready(request: Request) -> tuple[ServedWorkspace, EventHub]:
        served = context.served(request.path_params.get("workspace", ""))
        if served.hub is None:
            raise Refusal(503, "skills are being read for the first time", "Ask again in a second.", retry_after=1)
        return served, served.hub

    @router.get(
        "/v1/prompt",
        response_class=Response,
        responses={**text(_TEXT, "<available_skills>\n</available_skills>"), **NOT_MODIFIED},
        summary="The text for the model",
    )
    async def prompt(request: Request) -> Response:
        """The `<available_skills>` block. Ask every turn with `If-None-Match`: it is nearly always what you have."""
        served, hub = ready(request)
        current = hub.snapshot
        etag = f'"{current.prompt_version}"'
        if matches(request.headers.get("if-none-match"), etag):
            return not_modified(etag)
        key = (current.prompt_version, "prompt")
        body = await served.bodies.get(key, lambda: current.prompt().encode(), compressed=False)
        return Response(body.data, 200, {"etag": etag, "cache-control": "no-cache"}, _TEXT)

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
        if_none_match: _Etag = None,
    ) -> Response:
        """The current snapshot. With `view=complete`, all that is needed to make it again elsewhere, or, with `since`,
        what of it differs from a version that you have; `previous` is null where that is no longer known."""
        served, hub = ready(request)
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
        return Response(body.data, 200, headers, "application/json")

    @router.get(
        "/v1/skills/{name}", response_model=answers.SkillDetailsAnswer, responses=refusals(404), summary="One skill"
    )
    async def skill(request: Request, name: str) -> Response:
        """One skill with everything that is known of it."""
        _, hub = ready(request)
        found = find_skill(hub.snapshot, name)
        shadows = find_shadows(hub.snapshot).get(name, [])
        return Response(to_json(skill_details_json(found) | {"shadows": shadows}), media_type="application/json")

    @router.get(
        "/v1/skills/{name}/instructions",
        response_class=Response,
        responses={**text(_MARKDOWN, "# PDF\n\nTo extract text, …\n"), **NOT_MODIFIED, **refusals(404)},
        summary="What a model reads when it uses the skill",
    )
    async def instructions(request: Request, name: str, if_none_match: _Etag = None) -> Response:
        """The text of `SKILL.md` below its frontmatter."""
        _, hub = ready(request)
        found = find_skill(hub.snapshot, name)
        etag = f'"{found.digest}"'
        if matches(if_none_match, etag):
            return not_modified(etag)
        return Response(found.instructions().encode(), 200, {"etag": etag}, _MARKDOWN)

    @router.get(
        "/v1/skills/{name}/files",
        response_model=list[answers.FileAnswer],
        responses=refusals(404),
        summary="The relevant files of a skill",
    )
    async def files(request: Request, name: str) -> Response:
        """Paths, sizes and hashes."""
        _, hub = ready(request)
        return Response(
            to_json(skill_details_json(find_skill(hub.snapshot, name))["files"]), media_type="application/json"
        )

    @router.get(
        "/v1/skills/{name}/files/{path:path}",
        response_class=Response,
        responses={
            **text("application/octet-stream", "#!/usr/bin/env python3\n", format="binary"),
            **NOT_MODIFIED,
            **refusals(404, 409, 413),
        },
        summary="One file of a skill",
    )
    async def file(request: Request, name: str, path: str, if_none_match: _Etag = None) -> Response:
        """The content of a file that the skill lists, as the snapshot knows it; its ETag is its sha256."""
        _, hub = ready(request)
        found = find_skill(hub.snapshot, name)
        listed = find_file(found, path)
        etag = f'"sha256:{listed.sha256}"' if listed.sha256 else f'"{listed.mtime_ns}-{listed.size}"'
        if matches(if_none_match, etag):
            return not_modified(etag)
        data = await in_thread(read_skill_file, found, listed, context.settings.allow_link_targets)
        # A download and never a document: a browser must not run what a skill holds.
        headers = {"etag": etag, "content-disposition": "attachment"}
        return Response(data, 200, headers, "application/octet-stream")

    @router.get("/v1/version", response_model=answers.VersionAnswer, summary="Wait for a later version")
    async def version(
        request: Request,
        after: Annotated[int | None, Query(description="Answer when the version is later than this.")] = None,
        timeout: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait at most.")] = 30.0,
    ) -> Response:
        """The current version, at once or, with `after`, when there is a later one or the time is over."""
        _, hub = ready(request)
        if after is not None:
            with context.following():
                await _wait_for_newer(hub, after, timeout, request)
        return Response(to_json(_version_json(hub.snapshot)), media_type="application/json")

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
        _, hub = ready(request)
        return EventStream(hub, context.following, _version_of(last_event_id))

    @router.get("/v1/health", response_model=answers.HealthAnswer, summary="How each root is watched")
    async def health(request: Request) -> Response:
        """Mode, reason and cure of each root."""
        served, _ = ready(request)
        return Response(
            to_json({"roots": [health_json(root) for root in served.health()]}), media_type="application/json"
        )

    @router.get("/v1/doctor", response_model=answers.DoctorAnswer, summary="What watching costs, and what is left out")
    async def doctor(request: Request) -> Response:
        """What `skills-refresh doctor` tells; it takes a while, and is told anew once a minute at most."""
        served, _ = ready(request)
        return Response(await context.diagnose(served), media_type="application/json")

    @router.post(
        "/v1/refresh",
        response_model=answers.VersionAnswer,
        responses=refusals(400, 411, 413),
        summary="List everything anew",
    )
    async def refresh(request: Request, wanted: answers.RefreshRequest | None = None) -> Response:
        """Lists every directory again, publishes if anything differs, and answers with the version."""
        served, _ = ready(request)
        reason = "manual" if wanted is None else wanted.reason
        return Response(to_json(_version_json(await context.refresh(served, reason))), media_type="application/json")

    @router.post("/v1/sync", response_model=answers.VersionAnswer, summary="A barrier")
    async def sync(request: Request) -> Response:
        """Answers with a version that holds everything that was written before. Cheaper than listing anew."""
        served, _ = ready(request)
        return Response(to_json(_version_json(await context.sync(served))), media_type="application/json")


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the header says that the client has what `etag` names."""
    if not if_none_match:
        return False
    if if_none_match == etag:
        return True
    known = [known.strip().removeprefix("W/") for known in if_none_match.split(",")]
    return etag.removeprefix("W/") in known or "*" in known


def not_modified(etag: str) -> Response:
    """304."""
    return Response(status_code=304, headers={"etag": etag})


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


def _version_json(snapshot: Snapshot) -> JsonObject:
    return {"version": snapshot.version, "prompt_version": snapshot.prompt_version, "digest": snapshot.digest}


def _list_json(snapshot: Snapshot) -> JsonObject:
    shadows = find_shadows(snapshot)
    skills = [skill_json(skill) | {"shadows": shadows.get(name, [])} for name, skill in snapshot.skills.items()]
    problems = [problem_json(found) | {"cure": found.cure} for found in snapshot.problems]
    return {**_version_json(snapshot), "skills": skills, "problems": problems}
