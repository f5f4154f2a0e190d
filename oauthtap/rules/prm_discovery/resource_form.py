"""`resource` as a name: what kind of URL it is, whatever it is compared with."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ResourceMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule
from oauthtap.rules.prm_discovery.about import mcp_url

_AT = "response.json.resource"
_LATER = ("as-discovery", "client-registration", "authorization-request", "mcp-token-rejected")


@rule(
    "prm-resource-not-https",
    must("RFC 9728 §1.2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
)
def not_https(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has the scheme `http` instead of https.

    `resource` is always an https URL. A client that connects over https treats this as another
    server, and stops.

    Usual causes: TLS ends at a proxy, and the server ignores `X-Forwarded-Proto`.

    Repair: Publish the https URL. Let the framework trust the proxy's forwarded headers, or
    configure the public URL.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "http://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource or ""
    if urls.origin(stated).startswith("http://") and not urls.is_loopback(stated):
        secure = f"https{stated[4:]}"
        yield Problem(
            message=f"`resource` is {stated}; it has to begin with https",
            at=_AT,
            expected=secure,
            actual=stated,
            patch=Patch(merge={"resource": secure}, assumes="the server answers over https"),
        )


@rule(
    "prm-resource-not-url",
    must(
        "RFC 9728 §1.2 and §2; MCP 2026-07-28 'Canonical Server URI'",
        "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2",
    ),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def not_url(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` is not a URL with a host.

    A client compares `resource` with the MCP URL. A bare host name, a URN or an application id such
    as `api://…` never equals it.

    Usual causes: the API's identifier at the authorization server (Entra's `api://…`, an Auth0 API
    name) was used.

    Repair: Publish the MCP URL, and add it at the authorization server as an identifier of the API.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "api://3f2b1c00-0000-4000-8000-000000000000",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource
    if stated and not urls.origin(stated).startswith(("http://", "https://")):
        used = mcp_url(prm, so_far)
        yield Problem(
            message=f"`resource` is {stated!r}; it has to be an https URL with a host",
            at=_AT,
            expected=used or "the URL of the MCP endpoint",
            actual=stated,
            patch=Patch(merge={"resource": used}) if used else None,
        )


@rule(
    "prm-resource-fragment",
    must("RFC 9728 §1.2; RFC 8707 §2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("authorization-request", "authorization-response", "token-request"),
)
def fragment(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has a fragment.

    A fragment is never sent to a server, so it cannot be part of a resource identifier.
    Authorization servers refuse such a `resource` with `invalid_target`.

    Usual causes: the URL was copied from a documentation page or a single-page app.

    Repair: Remove the fragment.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp#tools",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource or ""
    if "#" in stated:
        bare = stated.partition("#")[0]
        yield Problem(
            message=f"`resource` is {stated}; it has to end before the `#`",
            at=_AT,
            expected=bare,
            actual=stated,
            patch=Patch(merge={"resource": bare}),
        )


@rule(
    "prm-resource-query",
    should("RFC 9728 §1.2; RFC 8707 §2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2"),
    who="resource-server",
    severity="note",
    since="2025-06-18",
)
def query(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has a query.

    Then the well-known URL has to have the same query, and few clients build it that way. They
    request another URL, or compare without the query and find a difference.

    Usual causes: tenants or feature sets that are selected by a parameter.

    Repair: Distinguish resources by path. If the query is necessary, every user has to enter
    exactly this URL.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp?tenant=7",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource or ""
    parts = urls.split(stated)
    if parts and parts.query:
        yield Problem(
            message=f"`resource` is {stated}; clients expect a URL without `?{parts.query}`",
            at=_AT,
            expected=urls.without_query(stated),
            actual=stated,
        )


@rule(
    "prm-resource-uppercase",
    practice(
        "MCP 2026-07-28 'Canonical Server URI'; RFC 9728 §6",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#canonical-server-uri",
    ),
    who="resource-server",
    since="2025-06-18",
)
def uppercase(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has capital letters in its scheme or host.

    Case does not matter there for DNS, but clients compare strings. Their URL library converts
    scheme and host to lower case, so the two differ.

    Usual causes: a host name copied from a brand name or a cloud console.

    Repair: Write scheme and host in lower case. Do not change the path.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://MCP.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource or ""
    scheme, mark, rest = stated.partition("://")
    host, slash, path = rest.partition("/")
    small = f"{scheme.lower()}{mark}{host.lower()}{slash}{path}"
    if urls.origin(stated) and stated != small:
        yield Problem(
            message=f"`resource` is {stated}; in canonical form it is {small}",
            at=_AT,
            expected=small,
            actual=stated,
            patch=Patch(merge={"resource": small}),
        )
