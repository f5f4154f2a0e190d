"""`resource`: the name of the MCP server in its own metadata, compared with the URL in use."""

from __future__ import annotations

from oauthtap import urls
from oauthtap.findings import Patch, Problem, Problems
from oauthtap.handshake import Handshake
from oauthtap.rules import rule
from oauthtap.rules.prm_discovery.about import mcp_url
from oauthtap.specs import must, practice, should
from oauthtap.stages import ResourceMetadata

_AT = "response.json.resource"
_LATER = ("as-discovery", "client-registration", "authorization-request", "mcp-token-rejected")


def _pair(prm: ResourceMetadata, so_far: Handshake) -> tuple[str, str] | None:
    """The resource stated and the MCP URL in use, both without a fragment and taken apart all right."""
    stated, used = prm.resource, mcp_url(prm, so_far)
    if not stated or used is None or not urls.origin(stated) or not urls.origin(used):
        return None
    return urls.without_query(stated), urls.without_query(used)


def _path(url: str) -> str:
    return urls.path_of(url).rstrip("/")


@rule(
    "prm-resource-missing",
    must("RFC 9728 §2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-2"),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def missing(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The document does not say which resource it describes.

    `resource` is the one member that must be there. Without it a client cannot tell
    whether the document belongs to the server it is talking to, and throws it away.

    Usual causes: a document written by hand with only the authorization server in it;
    an authorization server's metadata served at this place.

    Repair: Add `resource` with the exact URL of the MCP endpoint, as users enter it.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    if prm.found and "jsonrpc" not in prm.document and not prm.resource:
        there = "resource" in prm.document
        used = mcp_url(prm, so_far)
        yield Problem(
            message=f"`resource` is {prm.document['resource']!r:.60}; it has to be a URL"
            if there
            else "the document has no `resource`; it has to name the MCP server's URL",
            at=_AT,
            expected=used or "the URL of the MCP endpoint",
            actual=str(prm.document["resource"])[:200] if there else "no member",
            patch=Patch(merge={"resource": used}) if used else None,
        )


@rule(
    "prm-resource-origin-mismatch",
    must(
        "RFC 9728 §3.3; MCP conformance scenario auth/resource-mismatch",
        "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3",
    ),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def origin_mismatch(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` names another scheme, host or port than the MCP server has.

    A document about another host could be an attempt to get hold of tokens meant for
    that host. So every careful client discards it and stops before it registers.

    Usual causes: the server computes its own URL behind a proxy and gets `http://`, an
    internal host name or a development port; a setting copied from another deployment.

    Repair: Publish the URL that users enter as `resource`. Behind a proxy, set the
    public base URL of the server instead of letting it guess from the request.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "http://mcp-internal:8080/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    pair = _pair(prm, so_far)
    if pair and urls.origin(pair[0]) != urls.origin(pair[1]):
        yield Problem(
            message=f"`resource` is {pair[0]}; the MCP server is at {urls.origin(pair[1])}",
            at=_AT,
            expected=pair[1],
            actual=prm.resource,
            patch=Patch(merge={"resource": pair[1]}),
        )


@rule(
    "prm-resource-path-mismatch",
    must("RFC 9728 §3.3", "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3"),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def path_mismatch(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` names another path on the same host.

    Clients accept the exact URL, and some a path above it. A path beside it means
    another server on the same host, so the document is refused.

    Usual causes: one document for `/sse` and `/mcp`; a mount prefix that the server
    does not know of, or adds twice.

    Repair: Publish one document per endpoint, each with that endpoint's exact URL.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/sse",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    pair = _pair(prm, so_far)
    if not pair or urls.origin(pair[0]) != urls.origin(pair[1]):
        return
    stated, used = map(_path, pair)
    if stated != used and not used.startswith(f"{stated}/"):
        yield Problem(
            message=f"`resource` has the path {stated or '/'}; the MCP endpoint has {used or '/'}",
            at=_AT,
            expected=pair[1],
            actual=prm.resource,
            patch=Patch(merge={"resource": pair[1]}),
        )


@rule(
    "prm-resource-not-identical",
    must("RFC 9728 §3.3", "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=_LATER,
)
def not_identical(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` is only the beginning of the MCP URL.

    The standard asks for the very URL that the client uses. Most SDKs let a shorter
    one pass and then ask for a token for it; strict clients stop, and a server that
    checks for whom a token was made may refuse it later.

    Usual causes: the base URL of the site put there instead of the endpoint's; one
    document shared by several endpoints.

    Repair: Publish the full endpoint URL as `resource`, path included.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    pair = _pair(prm, so_far)
    if not pair or prm.variant not in ("header", "inserted") or urls.origin(pair[0]) != urls.origin(pair[1]):
        return
    stated, used = map(_path, pair)
    if stated != used and used.startswith(f"{stated}/"):
        yield Problem(
            message=f"`resource` is {prm.resource}; the client uses {pair[1]}",
            at=_AT,
            expected=pair[1],
            actual=prm.resource,
            patch=Patch(merge={"resource": pair[1]}),
        )


@rule(
    "prm-resource-trailing-slash",
    should(
        "MCP 2026-07-28 'Canonical Server URI'; RFC 9728 §3.3",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#canonical-server-uri",
    ),
    who="resource-server",
    since="2025-06-18",
    stops_at=("mcp-token-rejected",),
)
def trailing_slash(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` and the MCP URL differ by one slash at the end.

    To whoever compares text these are two resources. Strict clients refuse the
    document, and a token made for one spelling may be turned down under the other.

    Usual causes: a URL library that writes a bare host with a slash; a framework that
    mounts the endpoint with one.

    Repair: Use one form everywhere, without the slash unless your routing needs it:
    in the client's settings, in this document, and where the token's audience is checked.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp/",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated, used = prm.resource or "", mcp_url(prm, so_far)
    if used and (stated == f"{used}/" or f"{stated}/" == used) and "?" not in stated and urls.origin(stated):
        bare = urls.path_of(stated) == "/" and urls.path_of(used) == "/"
        yield Problem(
            message=f"`resource` is {stated}; the client uses {used}",
            at=_AT,
            expected=used,
            actual=stated,
            patch=Patch(merge={"resource": used}),
            severity="note" if bare else None,
        )


@rule(
    "prm-resource-not-https",
    must("RFC 9728 §1.2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
)
def not_https(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` is a plain http URL.

    The name of a protected server is always an https URL. A client that came over https
    sees another server in it, and stops.

    Usual causes: TLS ends at a proxy, and the server builds its URL from what the proxy
    sends on, without looking at `X-Forwarded-Proto`.

    Repair: Publish the https URL. Tell the framework to trust the proxy's forwarded
    headers, or set the public URL by hand.

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
    """`resource` is no web address.

    A client compares `resource` with the URL it talks to. A bare host name, a URN or an
    application id such as `api://…` can never be equal to it.

    Usual causes: the identifier that the authorization server knows the API by (Entra's
    `api://…`, an Auth0 API name) was put there.

    Repair: Publish the MCP URL, and add that URL at the authorization server as a
    further identifier of the API.

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
    """`resource` has a `#` part.

    What stands behind `#` never leaves a browser, so it cannot be part of a server's
    name. Authorization servers refuse such a value when the client asks for a token.

    Usual causes: the URL was copied from a documentation page or a single-page app.

    Repair: Cut off the `#` and what follows.

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

    Then the place of this document has to carry the same query, and few clients build
    it that way. They look elsewhere, or compare without the query and find a difference.

    Usual causes: tenants or feature sets told apart by a parameter.

    Repair: Tell resources apart by path. Where the query must stay, see to it that
    every user enters it exactly like this.

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

    To the network case does not matter there; to a client that compares text it does.
    Its own URL library has made everything small, and now the two differ.

    Usual causes: a host name typed as it appears in a brand or a cloud console.

    Repair: Write scheme and host in small letters. Leave the path as it is.

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
