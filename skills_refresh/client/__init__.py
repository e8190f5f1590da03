"""`connect`: a workspace that is carried by a server instead of an engine. Needs the extra `client`.

Nothing outside of this package imports it, and it imports httpx only when somebody connects.
"""

from __future__ import annotations

import os

from ..config import TOKEN_VARIABLE
from ..errors import ConfigError
from ..workspace import Workspace
from .address import parse_address

# The modules that the extra brings.
_NEEDED = ("httpx", "httpx_sse")


def connect(url: str, *, token: str | None = None, name: str = "") -> Workspace:
    """A workspace that follows `skills-refresh serve` at `url`: the same object that `watch` returns.

    `url` is `http://HOST:PORT` or `unix:/PATH` for the server's unnamed workspace, and `http://HOST:PORT/w/NAME` or
    `unix:/PATH:/w/NAME` for another; `https` where a proxy speaks it. `token` is what the server asks for, else that of
    the variable `SKILLS_REFRESH_TOKEN`. `name` stands in changes and logs. It starts when it is entered, and waits for
    a server that is still reading; then `ConnectError` is raised where nothing answers, `ServerError` where the server
    refuses. Raises `ConfigError` for a `url` or `token` that cannot be used, and without the extra `client`::

        with skills_refresh.connect("http://127.0.0.1:8765") as skills:
            print(skills.snapshot.prompt())

    While the server is away, the last snapshot stays, and `health` says `stale`. `sync` and `refresh` ask the server,
    and raise where it is away. What `health` counts is what the server said last; `roots` are known once it started.
    """
    try:
        from .follower import Follower
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        raise ConfigError("connect needs more than is installed: pip install 'skills-refresh[client]'") from error
    secret = os.environ.get(TOKEN_VARIABLE) if token is None else token
    follower = Follower(parse_address(url), _checked(secret))
    return Workspace(follower, (), name=name, on_close=follower.join)


def _checked(token: str | None) -> str | None:
    """`token`, or None for an empty one. A token that cannot be sent is told without showing it."""
    token = (token or "").strip()
    if not token.isascii() or not token.isprintable():
        raise ConfigError("the token cannot be sent; it may hold printable ASCII characters alone")
    return token or None
