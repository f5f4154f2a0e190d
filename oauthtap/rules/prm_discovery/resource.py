"""`resource`: the name of the MCP server in its own metadata, compared with the URL in use."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ResourceMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, should
from oauthtap.rules import rule
from oauthtap.rules.prm_discovery.about import mcp_url

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
    """The protected resource metadata has no `resource`.

    `resource` is the only required member. Without it a client cannot tell whether the document
    belongs to this MCP server, and rejects it.

    Usual causes: a hand-written document with only the authorization server in it; authorization
    server metadata at this URL.

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
    """`resource` has another scheme, host or port than the MCP URL.

    A document about another host could be an attempt to get tokens for that host. So careful
    clients reject it and stop before they register.

    Usual causes: the server computes its own URL behind a proxy and gets `http://`, an internal
    host name or a development port; a setting that was copied from another deployment.

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
            # `scheme-downgrade-behind-proxy` says more than this rule where the scheme alone differs
            severity="warning" if urls.host(pair[0]) == urls.host(pair[1]) else None,
        )


@rule(
    "prm-resource-path-mismatch",
    must("RFC 9728 §3.3", "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3"),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def path_mismatch(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has another path than the MCP URL.

    Clients accept the exact URL, and some a parent path. Any other path means another server on the
    same host, so the document is refused.

    Usual causes: one document for `/sse` and `/mcp`; a mount prefix that is missing, or added
    twice.

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
    """`resource` is only a prefix of the MCP URL.

    RFC 9728 requires exactly the URL that the client uses. Most SDKs accept a prefix and then
    request a token for it; strict clients stop, and a server that checks the audience may refuse
    the token later.

    Usual causes: the base URL of the site was used instead of the endpoint's; one document for
    several endpoints.

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
    """`resource` and the MCP URL differ by a trailing slash.

    `resource` is compared as a string, so a trailing slash makes it another resource. Strict
    clients then reject the metadata, and a token whose audience is one form may be refused under
    the other.

    Usual causes: a URL library that adds a slash to a bare host; a framework that mounts the
    endpoint with one.

    Repair: Use one form everywhere, without the slash unless your routing needs it: in the client's
    settings, in this document, and in the audience check.

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
    bare = urls.origin(stated) != "" and urls.path_of(stated) == "/"
    if bare and stated.endswith("/") and "?" not in stated and "#" not in stated:
        yield Problem(
            message=f"`resource` is {stated}; a bare host is written without the slash: {stated[:-1]}",
            at=_AT,
            expected=stated[:-1],
            actual=stated,
            severity="note",
            patch=Patch(merge={"resource": stated[:-1]}),
        )
    elif used and not bare and urls.origin(stated) and urls.similarity(stated, used) == "slash":
        yield Problem(
            message=f"`resource` is {stated}; the client uses {used}",
            at=_AT,
            expected=used,
            actual=stated,
            patch=Patch(merge={"resource": used}),
        )
