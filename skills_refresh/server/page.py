"""The page for people: a few files of ours, served as they are. Its addresses are relative, so that the same files are
the page of every workspace."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from .access import PAGE_PATHS
from .responses import matches, not_modified

_MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def add_page(router: APIRouter) -> None:
    """Adds the page and what it is made of."""
    folder = files(__package__) / "page"
    for path in PAGE_PATHS:
        name = path[1:] or "index.html"
        _add(router, path, (folder / name).read_bytes(), _MEDIA_TYPES[name.rpartition(".")[2]])


def _add(router: APIRouter, path: str, data: bytes, media_type: str) -> None:
    etag = f'"{sha256(data).hexdigest()[:32]}"'

    @router.get(path, include_in_schema=False)
    async def page_file(request: Request) -> Response:
        if matches(request.headers.get("if-none-match"), etag):
            return not_modified(etag)
        return Response(data, 200, {"etag": etag, "cache-control": "no-cache"}, media_type)
