"""What is left in a request's ASGI scope, under `extensions`, for whoever answers it, and what an answer asks of the
connection."""

from __future__ import annotations

from starlette.types import Receive, Scope

#: The key under which the server leaves a function that drops the connection. Another server than ours leaves none.
ABORT = "skills_refresh.abort"
#: The key that says that nothing but the headers was asked for.
HEAD = "skills_refresh.head"


def asks_for_head(scope: Scope) -> bool:
    """Whether nothing but the headers was asked for."""
    return HEAD in (scope.get("extensions") or {})


def drop(scope: Scope) -> None:
    """Drops the connection with what its buffer holds: who does not read would keep it open for ever."""
    abort = (scope.get("extensions") or {}).get(ABORT)
    if abort is not None:
        abort()


async def wait_for_disconnect(receive: Receive) -> None:
    """Returns when the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
