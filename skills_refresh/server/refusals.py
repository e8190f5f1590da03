"""`Refusal`: why a request is not answered, as problem details (RFC 9457) with a cure."""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Refusal(Exception):
    """What a request gets instead of an answer. `detail` says what was wrong, `cure` what to do about it; with
    `retry_after`, in seconds, the same request may succeed later."""

    def __init__(self, status: int, detail: str, cure: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.cure = cure
        self.retry_after = retry_after

    def body(self) -> bytes:
        """The problem details as JSON."""
        details = {"title": HTTPStatus(self.status).phrase, "status": self.status, "detail": self.detail}
        return json.dumps(details | ({"cure": self.cure} if self.cure else {})).encode()

    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return headers

    def response(self) -> Response:
        """The refusal as a response."""
        return Response(self.body(), self.status, self.headers())
