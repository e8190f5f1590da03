"""Responses that several routes give, and how they are described."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header
from starlette.responses import Response

from ..encoding import JsonObject
from ..model import Snapshot
from .bodies import to_json
from .refusals import MEDIA_TYPE

Etag = Annotated[str | None, Header(description="The ETag of what you have.")]
NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It is what the ETag says."}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How refusals with these statuses are described."""
    schema = {"schema": {"$ref": "#/components/schemas/RefusalAnswer"}}
    return {status: {"content": {MEDIA_TYPE: schema}, "description": "Refused."} for status in statuses}


def text(media_type: str, example: str, **schema: object) -> dict[int | str, dict[str, Any]]:
    """How an answer that is no JSON is described."""
    content = {media_type: {"schema": {"type": "string", **schema}, "example": example}}
    return {200: {"content": content, "description": "The text."}}


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


def json_response(value: object) -> Response:
    """`value` as JSON."""
    return Response(to_json(value), media_type="application/json")


def version_json(snapshot: Snapshot) -> JsonObject:
    """Which snapshot is current."""
    return {"version": snapshot.version, "prompt_version": snapshot.prompt_version, "digest": snapshot.digest}
