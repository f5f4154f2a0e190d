"""Protected resource metadata that is missing, or at a URL that clients do not try."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Challenge, ResourceMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule
from oauthtap.rules.prm_discovery.about import found, mcp_url, synthesized

_LATER = ("mcp-challenge", "as-discovery", "client-registration", "authorization-request")


def _answered(prm: ResourceMetadata) -> bool:
    return prm.exchange.response is not None and prm.request.method == "GET"


def _nothing_found(handshake: Handshake) -> bool:
    return not any(map(found, handshake.all(ResourceMetadata)))


def _challenge(handshake: Handshake) -> Challenge | None:
    """The newest refusal with 401: the one that sends a client looking for metadata."""
    return next((one for one in reversed(handshake.all(Challenge)) if one.status == 401), None)


@rule(
    "prm-not-discoverable",
    must("MCP 2026-07-28 AS Discovery 'Protected Resource Metadata Discovery Requirements'; RFC 9728 §3", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery#protected-resource-metadata-discovery-requirements"),
    who="resource-server",
    since="2025-11-25",
    stops_at=_LATER,
)  # fmt: skip
def not_discoverable(handshake: Handshake) -> Problems:
    """The 401 names no protected resource metadata, and no well-known URL has it.

    The 401 has no `resource_metadata`, and neither well-known URL has a document. So the client
    does not know where to sign in. It stops, or takes the MCP server for the authorization server,
    and its user sees a 404 from `/register` or `/authorize`.

    Usual causes: the server is older than RFC 9728; a route that is missing in production; a mount
    prefix that hides it.

    Repair: Serve the metadata at `/.well-known/oauth-protected-resource` followed by the
    MCP path, and name that URL as `resource_metadata` in the 401.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404

        GET https://mcp.example.com/.well-known/oauth-protected-resource
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404

        GET https://mcp.example.com/.well-known/oauth-protected-resource
        200 {"resource": "https://mcp.example.com",
             "authorization_servers": ["https://as.example.com"]}
    """
    challenge = _challenge(handshake)
    if challenge is None or urls.origin(challenge.metadata_url or "") or not _nothing_found(handshake):
        return
    asked = [prm for prm in handshake.all(ResourceMetadata) if _answered(prm)]
    places = urls.prm_locations(challenge.url)
    if not places or not {place.url for place in places} <= {prm.url for prm in asked}:
        return
    if any((prm.status or 0) >= 500 or prm.status in (401, 403, 429) for prm in asked):
        return
    last = next(prm for prm in reversed(asked) if prm.url in {place.url for place in places})
    yield Problem(
        exchange=last.exchange.id,
        message=f"the 401 names no metadata, and {' and '.join(place.url for place in places)} have none; "
        "one of them has to hold it",
        at="response.status",
        expected="200 with a document at one of these URLs",
        actual=str(last.status),
        patch=synthesized(handshake, challenge.url),
    )


@rule(
    "prm-missing-for-0618",
    must("MCP 2025-06-18 'Overview'; RFC 9728 §3", "https://modelcontextprotocol.io/specification/2025-06-18/basic/authorization#overview"),
    who="resource-server",
    since="2025-06-18",
    until="2025-06-18",
    stops_at=_LATER,
)  # fmt: skip
def missing_for_0618(handshake: Handshake) -> Problems:
    """A server of 2025-06-18 answers 401 and publishes no protected resource metadata.

    In this revision a client learns from the 401 where the metadata is, and from the metadata where
    to sign in. Clients that follow it cannot sign in.

    Usual causes: authorization as in 2025-03-26, where the MCP server was its own
    authorization server, under a newer protocol version.

    Repair: Publish protected resource metadata (RFC 9728), and name its URL as
    `resource_metadata` in the 401.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    challenge = _challenge(handshake)
    if challenge is None or urls.origin(challenge.metadata_url or "") or not _nothing_found(handshake):
        return
    asked = [prm for prm in handshake.all(ResourceMetadata) if _answered(prm)]
    if not asked or any((prm.status or 0) >= 500 or prm.status in (401, 403, 429) for prm in asked):
        return
    last = asked[-1]
    yield Problem(
        exchange=last.exchange.id,
        message=f"the 401 names no metadata, and {last.url} answers {last.status}; it has to be 200 with the document",
        at="response.status",
        expected="200 with a document",
        actual=str(last.status),
        patch=synthesized(handshake, challenge.url),
    )


@rule(
    "prm-well-known-appended",
    must("RFC 9728 §3 and §3.1", "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.1"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("mcp-challenge", "as-discovery"),
)
def well_known_appended(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The well-known path is appended to the MCP path instead of inserted before it.

    Clients insert the well-known path between host and path. A document after the path is found
    only by clients that follow `resource_metadata`.

    Usual causes: the framework is mounted under a prefix and cannot serve the root of the host; the
    two parts were joined in the wrong order.

    Repair: Serve it at `https://host/.well-known/oauth-protected-resource` followed by the MCP
    path. If the platform reserves the root, name the URL in every 401.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404

        GET https://mcp.example.com/mcp/.well-known/oauth-protected-resource
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    before, mark, _ = urls.path_of(prm.url).partition(urls.PRM)
    if not mark or not before.strip("/") or not found(prm):
        return
    resource = prm.resource or mcp_url(prm, so_far) or ""
    right = next((place.url for place in urls.prm_locations(resource)), f"{urls.origin(prm.url)}{urls.PRM}{before}")
    tried = {one.url for one in so_far.all(ResourceMetadata) if found(one)}
    yield Problem(
        message=f"the metadata is at {prm.url}; clients look for it at {right}",
        at="request.url",
        expected=right,
        actual=prm.url,
        severity="note" if prm.variant == "header" or right in tried else None,
    )
