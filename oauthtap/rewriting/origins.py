"""Which local origin stands for which upstream origin.

Whole origins only: `https://example.com` is a prefix of `https://example.com.evil.org`, and
`localhost:8460` one of `localhost:84601`. Whatever follows the origin is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from oauthtap.model import urls

_ORIGIN = re.compile(r"(?P<origin>https?://[^/?#\\\s@]+)(?P<rest>(?:[/?#].*)?)", re.I | re.S)
_LOCAL = re.compile(
    r"http://(?P<host>localhost|127\.0\.0\.1|\[::1\])(?::(?P<port>\d{1,5}))?(?P<rest>(?:[/?#].*)?)", re.I | re.S
)
_SPELLINGS = 15
"""How many odd spellings of an origin are kept apart: so many ways there are to write `http` (and more for a host)."""

FIRST_PORT, WEB_PORT = 8460, 8461
"""Where the first local origin and mitmweb are unless somebody says otherwise. Ports that no known client has its
callback on: 8080 is mcp-use's (and many a server's under development), 3118, 3334, 6276, 7777, 8787, 19876 and 33418
are others'."""
HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""The names under which a client on this machine may know us."""
PUBLIC = "public"
"""In the place of one of them: the client knows us by the names that tunnels give us."""


@dataclass(frozen=True)
class Origins:
    """The two-way map. A frozen value: `opened` gives a larger one."""

    ports: Mapping[str, int] = field(default_factory=dict)
    """Upstream origin, as `urls.origin` writes it, to the local port that stands for it."""
    public: Mapping[int, str] = field(default_factory=dict)
    """Local port to the public origin that a tunnel leads to it from, as `urls.origin` writes it."""
    spellings: dict[int, list[str]] = field(default_factory=dict, compare=False)
    """Local port to the ways in which the upstream writes its origin beside the canonical one, as with
    capitals or `:443`. The client is told as many of ours (`LOCALHOST`): what are different texts to it
    without us stay different, and come back byte for byte. Shared by all larger maps."""

    def with_origin(self, origin: str, port: int) -> Origins:
        """The same map with one more upstream origin."""
        return replace(self, ports={**self.ports, origin: port})

    def upstream_of(self, port: int) -> str | None:
        """The upstream origin behind a local port; None when there is none."""
        for origin, known in self.ports.items():
            if known == port:
                return origin
        return None

    def local_name(self, port: int, host: str) -> str | None:
        """Our own origin on a port, as the client knows it; None where it has no public name and would need one."""
        return self.public.get(port) if host == PUBLIC else local_origin(port, host)

    def local(self, url: str, host: str = "localhost") -> str:
        """An upstream URL in local names; unchanged when its origin has no local port.

        `host`: the name the client knows us by, one of `HOSTS`, or `PUBLIC`. Then an origin without a
        public name stays what it is: whoever is elsewhere has no use for a local one.
        """
        match = _ORIGIN.fullmatch(url)
        canonical = urls.origin(match["origin"]) if match else ""
        port = self.ports.get(canonical)
        if match is None or port is None or (ours := self.local_name(port, host)) is None:
            return url
        if match["origin"] != canonical:
            ours = _written(ours, self._spelling(port, match["origin"]))
        return ours + match["rest"]

    def _spelling(self, port: int, written: str) -> int:
        """The number of an odd spelling, 0 when there are too many of them already."""
        known = self.spellings.setdefault(port, [])
        if written not in known and len(known) < _SPELLINGS:
            known.append(written)
        return known.index(written) + 1 if written in known else 0

    def upstream(self, url: str) -> str:
        """A local URL in upstream names; unchanged when it is none of ours."""
        port, rest = self._own(url)
        origin = self.upstream_of(port)
        if origin is None:
            return url
        number, known = _number(url[: len(url) - len(rest)]), self.spellings.get(port, [])
        return (known[number - 1] if 0 < number <= len(known) else origin) + rest

    def is_local(self, url: str) -> bool:
        """The URL is on one of our own ports, whatever name of this machine or of a tunnel it uses."""
        return self._own(url)[0] in self.ports.values()

    def _own(self, url: str) -> tuple[int, str]:
        """The local port that a URL leads to, and what follows its origin; port 0 where it leads elsewhere."""
        if match := _LOCAL.fullmatch(url):
            return int(match["port"] or 80), match["rest"]
        if self.public and (match := _ORIGIN.fullmatch(url)):
            canonical = urls.origin(match["origin"])
            return next((port for port, name in self.public.items() if name == canonical), 0), match["rest"]
        return 0, ""


def _letters(origin: str) -> list[int]:
    """Where an origin may be written in capitals: the letters of its host, or else of its scheme."""
    host = origin.index("://") + 3
    return [n for n in range(host, len(origin)) if origin[n].isalpha()] or list(range(host - 3))


def _written(origin: str, number: int) -> str:
    """The spelling with that number: 0 is all small."""
    signs = list(origin)
    for bit, place in enumerate(_letters(origin)):
        if number >> bit & 1:
            signs[place] = signs[place].upper()
    return "".join(signs)


def _number(origin: str) -> int:
    """Which spelling that is."""
    return sum(1 << bit for bit, place in enumerate(_letters(origin)) if origin[place].isupper())


def local_origin(port: int, host: str = "localhost") -> str:
    """`http://localhost:8460`; without the port where it is the default one."""
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"


@lru_cache
def matched_host(header: str | None, port: int, public: str | None = None) -> str | None:
    """The name of ours that a `Host` header uses on this port; None when it is not ours (DNS rebinding).

    `public`: the public origin of the port. With one, everybody who comes here is told public names:
    a tunnel may pass on its own name as `Host`, or ours.
    """
    if public and header is not None:
        scheme, _, name = public.partition("://")
        given = urls.origin(f"{scheme}://{header}")
        return PUBLIC if given == f"{scheme}://{name}" or matched_host(header, port) else None
    for host in HOSTS:
        if header is not None and header.lower() in ({host, f"{host}:80"} if port == 80 else {f"{host}:{port}"}):
            return host
    return None
