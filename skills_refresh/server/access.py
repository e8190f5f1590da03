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


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask. `token` is secret, or None where none is asked for; `hosts` are names beside those of the loopback,
    `origins` such as `https://gateway.example` may use the interface from a browser."""

    token: str | None = None
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        asked = "no token" if self.token is None else "a token"
        return f"<Access {asked}, hosts {sorted(self.hosts)}, origins {sorted(self.origins)}>"

    def check(self, path: str, method: str, headers: Headers, *, is_at_file: bool = False) -> None:
        """Raises `Refusal` where a request may not be answered. No name can be made to lead to a socket file
        (`is_at_file`)."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if not is_at_file and not self._knows(_name_of(host)):
            raise Refusal(
                421,
                f"the Host header {host[:100]!r} names another server",
                "Use its address, or allow the name (--allow-host).",
            )
        origin = headers.get(b"origin")
        if origin is not None and not self.allows_origin(origin.decode("latin-1"), host):
            raise Refusal(403, "pages of another origin may not use this server", "Allow it (--allow-origin).")
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


def _name_of(host: str) -> str:
    """The name or address in a `Host` header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
