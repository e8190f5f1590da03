"""The routes of one skill and its files."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..encoding import skill_details_json
from ..model import Skill, SkillFile
from . import answers
from .context import Context
from .pieces import PiecewiseResponse
from .responses import NOT_MODIFIED, Etag, json_response, matches, not_modified, refusals, text
from .shadows import find_shadows
from .skill_files import find_file, find_skill, read_skill_file
from .threads import in_thread

_MARKDOWN = "text/markdown; charset=utf-8"


def add_skill_routes(router: APIRouter, context: Context) -> None:
    """Adds them to `router`."""

    @router.get(
        "/v1/skills/{name}", response_model=answers.SkillDetailsAnswer, responses=refusals(404), summary="One skill"
    )
    async def skill(request: Request, name: str) -> Response:
        """One skill with everything that is known of it."""
        _, hub = context.ready(request)
        found = find_skill(hub.snapshot, name)
        shadows = find_shadows(hub.snapshot).get(name, [])
        return json_response(skill_details_json(found) | {"shadows": shadows})

    @router.get(
        "/v1/skills/{name}/instructions",
        response_class=Response,
        responses={**text(_MARKDOWN, "# PDF\n\nTo extract text, …\n"), **NOT_MODIFIED, **refusals(404)},
        summary="What a model reads when it uses the skill",
    )
    async def instructions(request: Request, name: str, if_none_match: Etag = None) -> Response:
        """The text of `SKILL.md` below its frontmatter."""
        _, hub = context.ready(request)
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
        _, hub = context.ready(request)
        return json_response(skill_details_json(find_skill(hub.snapshot, name))["files"])

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
    async def file(request: Request, name: str, path: str, if_none_match: Etag = None) -> Response:
        """The content of a file that the skill lists, as the snapshot knows it, with its sha256 in `Repr-Digest`."""
        served, hub = context.ready(request)
        found = find_skill(hub.snapshot, name)
        listed = find_file(found, path)
        etag = f'"sha256:{listed.sha256}"' if listed.sha256 else f'"{listed.mtime_ns}-{listed.size}"'
        if matches(if_none_match, etag):
            return not_modified(etag)
        data, digest = await in_thread(_read_and_hash, found, listed, served.current.settings.allow_link_targets)
        # A download and never a document: a browser must not run what a skill holds.
        headers = {"etag": etag, "content-disposition": "attachment", "repr-digest": f"sha-256=:{digest}:"}
        return PiecewiseResponse(data, 200, headers, "application/octet-stream")


def _read_and_hash(skill: Skill, file: SkillFile, link_targets: Sequence[Path]) -> tuple[bytes, str]:
    """The content of a file, and its sha256 in base64."""
    data = read_skill_file(skill, file, link_targets)
    return data, b64encode(sha256(data).digest()).decode("ascii")
