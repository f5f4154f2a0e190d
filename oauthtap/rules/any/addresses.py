"""The URLs that a server publishes: https or not, public or not."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import LegacySse, Mcp, ResourceMetadata, ServerMetadata, Stage
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_EVERYWHERE = (
    "mcp-challenge", "mcp-initialize", "mcp-request", "prm-discovery", "as-discovery", "client-registration",
    "authorization-request", "token-request", "mcp-token-rejected",
)  # fmt: skip
_FOR_SERVERS = {"introspection_endpoint", "revocation_endpoint", "jwks_uri", "check_session_iframe"}
"""Addresses that a client of MCP does not open."""
_INTERNAL = re.compile(r"\.(?:internal|local|localdomain|lan|svc|intranet|corp|home\.arpa)$", re.I)


@rule(
    "tls-mcp-endpoint-plain-http",
    must(
        "OAuth 2.1 draft-13 §1.5; RFC 9728 §1.2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-1.5",
    ),
    who="resource-server",
    stops_only_at=(),  # a client that minds does not send the request
)
def mcp_over_plain_http(stage: Mcp, so_far: Handshake) -> Problems:
    """The MCP endpoint is served over plain `http`, so access tokens are sent unencrypted.

    Hosted clients refuse such a URL from the start. It cannot be a valid `resource` either: that
    has to be an https URL.

    Repair: Serve the MCP endpoint over https and give the https URL to the client.

    Bad:
        # mcp: http://mcp.example.com/mcp
        POST http://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="http://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    configured = so_far.resource or stage.url
    plain = stage.url.lower().startswith("http://") and configured.lower().startswith("http://")
    if not plain or urls.is_loopback(stage.url):
        return
    if stage.bearer is not None or stage.challenged.bearer is not None:
        yield Problem(
            message=f"The MCP server is reached at {urls.origin(stage.url)}; where tokens travel it has to be https",
            at="request.url",
            expected="https://" + urls.origin(stage.url).removeprefix("http://"),
            actual=urls.origin(stage.url),
            severity="warning" if is_internal(stage.url) else None,
        )


@rule(
    "scheme-downgrade-behind-proxy",
    practice(
        "OAuth 2.1 draft-13 §1.5 (all OAuth URLs use https except loopback redirects)",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-1.5",
    ),
    who="resource-server",
    severity="error",
    stops_at=_EVERYWHERE,
)
def scheme_downgraded(stage: Stage, so_far: Handshake) -> Problems:
    """The server publishes an `http://` URL, although its host is reached over https.

    To a client `http://host/mcp` and `https://host/mcp` are two different servers. It sees a
    `resource` or `issuer` that does not match, or follows a redirect and loses the token.

    Usual causes: an application behind a proxy that terminates TLS and ignores `X-Forwarded-Proto`.

    Repair: Set the public base URL in the application, or turn on its handling of forwarded
    headers (for uvicorn: `--proxy-headers --forwarded-allow-ips='*'`).

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "http://mcp.example.com/mcp", "authorization_servers": ["https://as.example.net"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.net"]}
    """
    secure = [u for u in (stage.url, so_far.resource or "") if urls.origin(u).startswith("https://")]
    hosts = {_host(url) for url in secure if not urls.is_loopback(url)}
    found = [(at, url) for at, url in given_out(stage) if url.lower().startswith("http://") and _host(url) in hosts]
    if found and not stage.url.lower().startswith("http://"):
        at, url = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        proper = {bad: _secure(bad) for _, bad in found}
        yield Problem(
            message=f"{at.rpartition('.')[2]} is {url}{more}, but the host is reached over https: {_secure(url)}",
            at=at,
            expected=_secure(url),
            actual=url,
            patch=_replaced(stage, proper),
        )


def _host(url: str) -> str:
    parts = urls.split(url)
    return (parts.hostname or "").lower() if parts else ""


def _secure(url: str) -> str:
    """The same URL with https; a port that belongs to the inner http server is left out."""
    parts = urls.split(url)
    if parts is None:
        return url
    port = f":{parts.port}" if parts.port == 443 else ""
    rest = url.partition("://")[2]
    return f"https://{parts.hostname}{port}{rest[len(parts.netloc) :]}"


def given_out(stage: Stage) -> Iterator[tuple[str, str]]:
    """Every URL this answer gives to the client, with its place."""
    response = stage.exchange.response
    if response is None:
        return
    if isinstance(stage, Mcp) and stage.metadata_url:
        yield "response.header.www-authenticate.resource_metadata", stage.metadata_url
    location = response.header("location")
    if location and 300 <= response.status < 400 and isinstance(stage, Mcp | ResourceMetadata | ServerMetadata):
        yield "response.header.location", location
    if isinstance(stage, LegacySse) and response.body is not None and stage.endpoint:
        yield "response.event.endpoint", absolute(stage.endpoint, stage.url)
    if isinstance(stage, ResourceMetadata) and stage.ok:
        if stage.resource:
            yield "response.json.resource", stage.resource
        for number, entry in enumerate(stage.authorization_servers):
            yield f"response.json.authorization_servers[{number}]", entry
    if isinstance(stage, ServerMetadata) and stage.ok:
        if stage.issuer:
            yield "response.json.issuer", stage.issuer
        yield from ((f"response.json.{name}", url) for name, url in stage.endpoints.items())


def _replaced(stage: Stage, proper: dict[str, str], assumes: str | None = None) -> Patch | None:
    """The answer with these URLs replaced, in headers and in the members of its JSON."""
    headers: dict[str, str | None] = {}
    for name in ("www-authenticate", "location"):
        value = stage.response.header(name)
        if value is not None and (changed := _swap(value, proper)) != value:
            headers[name] = changed
    merge = _swapped_members(stage.response.json_object, proper)
    if not headers and not merge:
        return None
    return Patch(headers=headers, merge=merge or None, assumes=assumes)


def _swapped_members(document: dict[str, Any], proper: dict[str, str]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, str) and value in proper:
            changed[name] = proper[value]
        elif isinstance(value, list) and any(isinstance(v, str) and v in proper for v in value):
            changed[name] = [proper.get(v, v) if isinstance(v, str) else v for v in value]
    return json.loads(json.dumps(changed)) if changed else {}


def _swap(text: str, proper: dict[str, str]) -> str:
    for bad in sorted(proper, key=len, reverse=True):
        text = text.replace(bad, proper[bad])
    return text


@rule(
    "metadata-url-internal-host",
    practice(
        "MCP Security Best Practices, 'Server-Side Request Forgery (SSRF)'; RFC 9728 §7.7",
        "https://modelcontextprotocol.io/docs/2026-07-28/tutorials/security/security_best_practices"
        "#server-side-request-forgery-ssrf",
    ),
    who="resource-server",
    severity="error",
    stops_at=_EVERYWHERE,
)
def internal_host(stage: Stage, so_far: Handshake) -> Problems:
    """A public server publishes a URL with a private address or an internal host name.

    The client cannot open it. Hardened clients refuse it outright, because such URLs are used for
    server-side request forgery (SSRF).

    Usual causes: URLs built from the inner Host header, a container name, or a setting from
    development (`localhost`).

    Repair: Set the public base URL in the application, or let the proxy forward the original `Host`
    header.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["http://keycloak:8080/realms/a"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://sso.example.com/realms/a"]}
    """
    if is_internal(so_far.resource or stage.url) or is_internal(stage.url):
        return
    found = [
        (at, url)
        for at, url in given_out(stage)
        if urls.split(url) and is_internal(url) and at.rpartition(".")[2] not in _FOR_SERVERS
    ]
    if found:
        at, url = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        public = urls.origin(stage.url)
        proper = {bad: public + bad[len(bad) - len(_after_host(bad)) :] for _, bad in found}
        yield Problem(
            message=f"{at.rpartition('.')[2]} is {url}{more}, which cannot be reached from outside",
            at=at,
            expected="a public host",
            actual=url,
            patch=_replaced(stage, proper, f"the same paths can be reached at {public}"),
        )


def _after_host(url: str) -> str:
    parts = urls.split(url)
    return url.partition("://")[2][len(parts.netloc) :] if parts else url


@lru_cache(4096)
def is_internal(url: str) -> bool:
    """The host is this machine, a private address, a bare name, or a name of an inner network."""
    host = _host(url).rstrip(".")
    if not host or urls.is_loopback(url):
        return bool(host)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or bool(_INTERNAL.search(host))
    documentation = any(
        address in ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
    )
    return (address.is_private and not documentation) or address.is_link_local
