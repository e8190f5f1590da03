"""The page for people: three files of ours, served as they are."""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from .routes import matches, not_modified

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def add_page(router: APIRouter) -> None:
    """Adds the page and what it is made of."""
    folder = files(__package__) / "page"
    for path, (name, media_type) in _FILES.items():
        _add(router, path, (folder / name).read_bytes(), media_type)


def _add(router: APIRouter, path: str, data: bytes, media_type: str) -> None:
    etag = f'"{sha256(data).hexdigest()[:32]}"'

    @router.get(path, include_in_schema=False)
    async def page_file(request: Request) -> Response:
        if matches(request.headers.get("if-none-match"), etag):
            return not_modified(etag)
        return Response(data, 200, {"etag": etag, "cache-control": "no-cache"}, media_type)
