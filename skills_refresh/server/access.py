"""`Access`: who may ask. The rules are checked before any route is looked for.

- The `Host` header must be an address, a name of this machine's loopback, or a name that was allowed: a page of
  somebody else's whose name is made to lead here (DNS rebinding) brings its own name along.
- A token, where there is one, must come with every request but those for the page's own files and for probes.
- Browsers may only use the interface from the page itself, or from origins that were allowed.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from ..errors import ConfigError
from .refusals import Refusal

# The page, and the files that it is made of.
PAGE_PATHS = frozenset(
    {"/", "/icon.svg", "/page.css"}
    | {f"/{name}.js" for name in "changes elements following page problems prompt skills watching".split()}
)
# Asked by probes, which have no token, and by a browser before its user gave one. None of them tells of any skill. The
# empty one is a workspace's without its slash, which is redirected to its page.
OPEN_PATHS = PAGE_PATHS | {"", "/healthz", "/readyz"}

Headers = dict[bytes, bytes]

_WORKSPACE = re.compile("^/w/[^/]+")
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9._-]+(:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask. `token` is secret, or None where none is asked for; `hosts` are names beside those of the loopback,
    `origins` such as `https://gateway.example` may use the interface from a browser. With `local_only`, nobody on
    another machine may ask."""

    token: str | None = None
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    local_only: bool = False

    def __repr__(self) -> str:
        asked = "no token" if self.token is None else "a token"
        return f"<Access {asked}, hosts {sorted(self.hosts)}, origins {sorted(self.origins)}>"

    def check(self, path: str, method: str, headers: Headers, *, client: str | None, is_at_file: bool = False) -> None:
        """Raises `Refusal` where a request from the address `client`, where there is one, may not be answered. No name
        can be made to lead to a socket file (`is_at_file`)."""
        if self.local_only and client is not None and not _is_loopback(client):
            raise Refusal(
                403,
                "these routes are for this machine alone",
                "Mount them with a token, or with insecure=True where others are asked who they are before.",
            )
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not is_at_file and not self._knows(_name_of(host)):
            raise Refusal(
                421,
                f"the Host header {host[:100]!r} names another server",
                "Use its address, or allow the name: --allow-host, or hosts= of mounted routes.",
            )
        origin = headers.get(b"origin")
        if origin is not None and not self.allows_origin(origin.decode("latin-1"), host):
            raise Refusal(
                403, "pages of another origin may not use this server", "Allow it: --allow-origin, or origins=."
            )
        if self.token is not None and _WORKSPACE.sub("", path) not in OPEN_PATHS and method != "OPTIONS":
            given = headers.get(b"authorization", b"").partition(b" ")
            if given[0].lower() != b"bearer" or not hmac.compare_digest(given[2].strip(), self.token.encode()):
                wrong = "the token is not that of this server" if given[0] else "a token is needed"
                raise Refusal(401, wrong, "Send it as: Authorization: Bearer TOKEN.")

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether a page of `origin` may use the server that it knows as `host`."""
        return origin in self.origins or origin.lower() in (f"http://{host}", f"https://{host}")

    def _knows(self, name: str) -> bool:
        return name == "localhost" or name.endswith(".localhost") or name in self.hosts or _is_address(name)


@lru_cache(maxsize=64)  # every client sends the same few, with each request
def _is_address(name: str) -> bool:
    """Whether `name` is an address, which cannot be made to lead elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=64)
def _is_loopback(client: str) -> bool:
    return _is_address(client) and ipaddress.ip_address(client).is_loopback


def checked_host(name: str, where: str) -> str:
    """A name by which a server is reached. Raises `ConfigError`, which tells `where` it stands, for what is none."""
    if not _HOST.fullmatch(name):
        raise ConfigError(f"{where} {name}: not a name; write it without http:// and without a port")
    return name.lower()


def checked_origin(url: str, where: str) -> str:
    """An origin whose pages may use a server. Raises as `checked_host` does."""
    if not _ORIGIN.fullmatch(url):
        raise ConfigError(f"{where} {url}: not an origin; write it as https://gateway.example")
    return url


def _name_of(host: str) -> str:
    """The name or address in a `Host` header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
