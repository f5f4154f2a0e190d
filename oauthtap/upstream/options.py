"""How to get to the upstream: `--connect-to`, `--ca`, `--insecure`."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oauthtap.model import urls

if TYPE_CHECKING:
    import httpx  # takes long to import: only when something is sent

TIMEOUT = 8.0
"""Seconds for each of our requests."""


@dataclass(frozen=True)
class UpstreamOptions:
    """How to get to the upstream: the flags `--connect-to`, `--ca`, `--insecure`."""

    connect_to: Sequence[str] = ()
    ca: str | None = None
    insecure: bool = False

    def client(self) -> httpx.AsyncClient:
        """An HTTP client that follows no redirect, uses no proxy and keeps no cookies."""
        import httpx

        verify: ssl.SSLContext | bool = not self.insecure
        if verify and self.ca:
            verify = ssl.create_default_context()
            verify.load_verify_locations(self.ca)
        return httpx.AsyncClient(
            verify=verify, timeout=TIMEOUT, trust_env=False, event_hooks={"request": [self._redirected]}
        )

    async def _redirected(self, request: httpx.Request) -> None:
        """Connect elsewhere, but keep the name in Host and SNI, as curl does."""
        host, port = request.url.host, request.url.port or {"https": 443}.get(request.url.scheme, 80)
        for rule in self.connect_to:
            host1, port1, host2, port2 = split_rule(rule)
            if host1 in ("", host) and port1 in ("", str(port)):
                request.extensions["sni_hostname"] = host
                request.url = request.url.copy_with(host=host2 or host, port=int(port2 or port))
                return


def missing_scheme(upstream: str) -> str | None:
    """The URL that was probably meant, when an upstream was typed without its scheme: https, on this machine http."""
    if "://" in upstream or not upstream.strip() or upstream.startswith("/"):
        return None
    candidate = f"https://{upstream.strip()}"
    if urls.is_loopback(candidate):
        candidate = f"http://{upstream.strip()}"
    return candidate if urls.split(candidate) else None


def split_rule(rule: str) -> tuple[str, str, str, str]:
    """`HOST1:PORT1:HOST2:PORT2` taken apart, brackets of IPv6 addresses removed.

    Raises ValueError for anything else.
    """
    fields: list[str] = []
    rest = rule
    while True:
        if rest.startswith("["):
            value, found, rest = rest[1:].partition("]")
            if not found:
                raise ValueError(f"{rule!r} has a bracket that does not close")
            colon, rest = rest[:1], rest[1:]
        else:
            value, colon, rest = rest.partition(":")
        fields.append(value)
        if not colon:
            break
    if len(fields) != 4 or not all(port == "" or port.isdecimal() for port in (fields[1], fields[3])):
        raise ValueError(f"{rule!r} is not HOST1:PORT1:HOST2:PORT2")
    return fields[0], fields[1], fields[2], fields[3]
