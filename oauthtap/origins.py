"""Which local origin stands for which upstream origin. Knows names and ports; opens nothing.

Whole origins only: `https://example.com` is a prefix of `https://example.com.evil.org`, and
`localhost:8080` one of `localhost:80801`. Whatever follows the origin is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from oauthtap import urls

_ORIGIN = re.compile(r"(?P<origin>https?://[^/?#\\\s@]+)(?P<rest>(?:[/?#].*)?)", re.I | re.S)
_LOCAL = re.compile(
    r"http://(?P<host>localhost|127\.0\.0\.1|\[::1\])(?::(?P<port>\d{1,5}))?(?P<rest>(?:[/?#].*)?)", re.I | re.S
)
_REMEMBERED = 500
"""How many odd spellings are kept. A server that writes more of them has its last ones put back canonically."""

HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""The names under which a client may know us."""


@dataclass(frozen=True)
class Origins:
    """The two-way map. A frozen value: `opened` gives a larger one."""

    ports: Mapping[str, int] = field(default_factory=dict)
    """Upstream origin, as `urls.origin` writes it, to the local port that stands for it."""
    spellings: dict[tuple[int, str], str] = field(default_factory=dict, compare=False)
    """Upstream URLs whose origin was not written canonically, by what the client was told for
    them: so that what comes back is, byte for byte, what went down. Shared by all larger maps."""

    def opened(self, origin: str, port: int) -> Origins:
        """The same map with one more upstream origin."""
        return replace(self, ports={**self.ports, origin: port})

    def upstream_of(self, port: int) -> str | None:
        """The upstream origin behind a local port; None when there is none."""
        return next((origin for origin, known in self.ports.items() if known == port), None)

    def local(self, url: str, host: str = "localhost") -> str:
        """An upstream URL in local names; unchanged when its origin has no local port.

        `host`: the name the client knows us by, one of `HOSTS`.
        """
        match = _ORIGIN.fullmatch(url)
        canonical = urls.origin(match["origin"]) if match else ""
        port = self.ports.get(canonical)
        if match is None or port is None:
            return url
        if match["origin"] != canonical and len(self.spellings) < _REMEMBERED:
            self.spellings[port, match["rest"]] = url
        return local_origin(port, host) + match["rest"]

    def upstream(self, url: str) -> str:
        """A local URL in upstream names; unchanged when it is none of ours."""
        match = _LOCAL.fullmatch(url)
        if match is None:
            return url
        port = int(match["port"] or 80)
        origin = self.upstream_of(port)
        if origin is None:
            return url
        return self.spellings.get((port, match["rest"]), origin + match["rest"])

    def is_local(self, url: str) -> bool:
        """The URL is on one of our own ports, whatever name of this machine it uses."""
        match = _LOCAL.fullmatch(url)
        return match is not None and int(match["port"] or 80) in self.ports.values()


def local_origin(port: int, host: str = "localhost") -> str:
    """`http://localhost:8080`; without the port where it is the default one."""
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"


def host_used(header: str | None, port: int) -> str | None:
    """The name of ours that a `Host` header uses on this port; None when it is not ours (DNS rebinding)."""
    for host in HOSTS:
        if header is not None and header.lower() in ({host, f"{host}:80"} if port == 80 else {f"{host}:{port}"}):
            return host
    return None
