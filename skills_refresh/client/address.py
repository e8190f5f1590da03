"""`Address`: where a server is, from the text by which its user names it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ..errors import ConfigError
from ..escaping import printable

_CURE = "write http://HOST:PORT or unix:/PATH, followed by /w/NAME (for unix: :/w/NAME) for a workspace with a name"


@dataclass(frozen=True, slots=True)
class Address:
    """Where one workspace is served. `text` names it to people, `base` is what its routes are put behind, and
    `socket_file` is the socket that leads there, or None where `base` itself does."""

    text: str
    base: str
    socket_file: str | None = None


def parse_address(url: str) -> Address:
    """The address that `url` names; see `connect`. Raises `ConfigError`, which does not repeat a password."""
    if url.startswith("unix:"):
        return _parse_socket_file(url)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError as error:
        raise ConfigError(f"{printable(url)}: {error}; {_CURE}") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"{printable(parts.hostname or '')}: no user or password may be in the URL; give the token")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{printable(url)}: not the URL of a server; {_CURE}")
    base = f"{parts.scheme}://{parts.netloc}{quote(parts.path.rstrip('/'), safe='/%')}"
    return Address(printable(url), base)


def _parse_socket_file(url: str) -> Address:
    rest = url.removeprefix("unix:").removeprefix("//")
    path, separator, name = rest.rpartition(":/w/")
    if not separator:
        path, name = rest, ""
    if not path or "\0" in path or (separator and not name.rstrip("/")):
        raise ConfigError(f"{printable(url)}: names no socket file or no workspace; {_CURE}")
    suffix = f"/w/{quote(name.rstrip('/'), safe='%')}" if name else ""
    return Address(printable(url), f"http://localhost{suffix}", path)
