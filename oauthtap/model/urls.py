"""How the specifications build and compare URLs. Text in, text out.

Paths are never percent-decoded: a server that means `/a%2Fb` does not mean `/a/b`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, urlsplit

PRM = "/.well-known/oauth-protected-resource"
OAUTH = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

Grade = Literal["identical", "slash", "case", "different"]
"""How alike two URLs are: `slash` is one trailing slash, `case` is upper case or a default port."""


@lru_cache(4096)
def split(url: str) -> SplitResult | None:
    """The URL taken apart; None for what is no absolute URL with a host."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme and parts.hostname else None


@lru_cache(4096)
def origin(url: str) -> str:
    """Scheme, host and port of a URL as RFC 6454 writes them; empty when it has none.

    `https://MCP.example.com:443/x` gives `https://mcp.example.com`.
    """
    parts = split(url)
    if parts is None:
        return ""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and parts.port != _DEFAULT_PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{host}{port}"


def host(url: str) -> str:
    """The host of a URL in lower case, without port; empty when it has none."""
    parts = split(url)
    return (parts.hostname or "") if parts else ""


def path_of(url: str) -> str:
    """The path of a URL as written; `/` when it has none."""
    parts = split(url)
    return (parts.path if parts else "") or "/"


def without_query(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]


@lru_cache(4096)
def endpoint(url: str) -> str:
    """The form in which endpoint URLs are compared: origin in lower case, path, no query."""
    return f"{origin(url)}{path_of(url)}" if origin(url) else without_query(url)


def similarity(one: str, other: str) -> Grade:
    """How alike two URLs are."""
    if one == other:
        return "identical"
    if one.rstrip("/") == other.rstrip("/") and abs(len(one) - len(other)) == 1:
        return "slash"
    if _normal(one) == _normal(other):
        return "case"
    return "different"


def same(one: str, other: str) -> bool:
    """The same URL once scheme, host, default port and an empty path are written alike (RFC 3986, 6.2.3)."""
    return _normal(one) == _normal(other)


def whatwg_form(url: str) -> str:
    """The URL as WHATWG URL libraries print it: an empty path becomes a slash."""
    parts = split(url)
    return url if parts is None or parts.path or parts.query or parts.fragment else url + "/"


def _normal(url: str) -> str:
    parts = split(url)
    return f"{origin(url)}{parts.path or '/'}?{parts.query}#{parts.fragment}" if parts else url


_LOGIN = re.compile(r"log-?in|sign-?in|\bsso\b|\bauth\b|oauth2?|authori[sz]e|saml|accounts?\.", re.I)


def leads_to_login(url: str, target: str) -> bool:
    """A redirect from `url` to `target` (both absolute) sends a person to sign in."""
    if path_of(target).rstrip("/") == path_of(url).rstrip("/"):
        return False
    other_host = host(target) if origin(target) != origin(url) else ""
    return bool(_LOGIN.search(f"{other_host}{path_of(target)}"))


@lru_cache(4096)
def is_loopback(url: str) -> bool:
    """The host is this machine: `localhost`, a name below it, 127.0.0.0/8 or ::1."""
    parts = split(url)
    host = (parts.hostname or "") if parts else ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_but_port(one: str, other: str) -> bool:
    """Two loopback redirect URIs that differ in the port alone (RFC 8252, 7.3).

    `localhost` and `127.0.0.1` are different strings and do not match.
    """
    left, right = split(one), split(other)
    if left is None or right is None or not (is_loopback(one) and is_loopback(other)):
        return False
    return (left.scheme, left.hostname, left.path, left.query) == (
        right.scheme,
        right.hostname,
        right.path,
        right.query,
    )


def redirect_matches(asked: str, registered: str) -> bool:
    """The comparison an authorization server has to make (OAuth 2.1, 2.3.1 and 8.4.2)."""
    return asked == registered or same_but_port(asked, registered)


class WellKnownLocation(NamedTuple):
    """A place where a metadata document may lie."""

    url: str
    how: str
    """`inserted` (between host and path), `root`, `appended` (behind the path)."""
    kind: str = "oauth"
    """`oauth` or `oidc`."""


def prm_locations(resource: str) -> tuple[WellKnownLocation, ...]:
    """Where the protected resource metadata of a resource may lie, in order (RFC 9728, 3.1)."""
    parts = split(resource)
    if parts is None:
        return ()
    base = origin(resource)
    query = f"?{parts.query}" if parts.query else ""
    root = WellKnownLocation(base + PRM, "root")
    path = parts.path if parts.path.strip("/") else ""
    return (WellKnownLocation(f"{base}{PRM}{path}{query}", "inserted"), root) if path or query else (root,)


def as_metadata_locations(issuer: str) -> tuple[WellKnownLocation, ...]:
    """Where the metadata of an authorization server may lie, in order (MCP 2025-11-25; RFC 8414, 3.1)."""
    base, path = origin(issuer), path_of(issuer).rstrip("/")
    if not base:
        return ()
    if not path:
        return (WellKnownLocation(base + OAUTH, "root"), WellKnownLocation(base + OIDC, "root", "oidc"))
    return (
        WellKnownLocation(f"{base}{OAUTH}{path}", "inserted"),
        WellKnownLocation(f"{base}{OIDC}{path}", "inserted", "oidc"),
        WellKnownLocation(f"{base}{path}{OIDC}", "appended", "oidc"),
    )


def issuers_for_metadata_url(url: str) -> Iterator[tuple[str, str]]:
    """Which issuers a metadata URL may have been built from, with how it was built.

    `https://as.example/.well-known/oauth-authorization-server/eu` gives
    `("https://as.example/eu", "inserted")`. A trailing slash of the issuer is lost in
    the building, so compare without it.
    """
    base, path = origin(url), path_of(url)
    for mark in (OAUTH, OIDC):
        before, found, after = path.partition(mark)
        if not found or (after and not after.startswith("/")):
            continue
        if before.strip("/"):
            yield base + before, "appended"
        elif after.strip("/"):
            yield base + after, "inserted"
        else:
            yield base, "root"
