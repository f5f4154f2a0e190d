"""Where the client asks for authorization server metadata: at the listed servers, at the right places, and what it found."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    TokenEndpoint,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.as_discovery.client_search import LOCATIONS, gave_up, listed_issuers, own_requests


@rule(
    "client-authorization-servers-unused",
    must("MCP 2026-07-28 AS Discovery 'Authorization Server Location'; RFC 9728 §5.1", LOCATIONS),
    who="client",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def listed_servers_unused(handshake: Handshake) -> Problems:
    """The client asks another host for authorization server metadata than `authorization_servers` names.

    The protected resource metadata was found and names the authorization server. The client looks
    for its metadata at the MCP server's host instead, where there is none, and stops.

    Usual causes: the client asks by the MCP URL and the document is read too late, or its
    `authorization_servers` is not passed on to the step that looks for the metadata.

    Repair: In the client: build the metadata URL from `authorization_servers`. Until then, answer
    `/.well-known/oauth-authorization-server` at the MCP server's host with the authorization server's metadata.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404
        POST https://mcp.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    prm, home = handshake.prm, urls.origin(handshake.resource or "")
    listed = {urls.origin(entry) for entry in listed_issuers(handshake)} - {""}
    if prm is None or not listed or home in listed or not prm.resource or not handshake.resource:
        return
    if urls.similarity(prm.resource, handshake.resource) == "different":
        return  # then the client has to put the document aside
    after = [one for one in own_requests(handshake.all(ServerMetadata)) if one.exchange.id > prm.exchange.id]
    astray = [one for one in after if not one.found and urls.origin(one.url) == home]
    sought = any(urls.origin(stage.url) in listed for stage in handshake.stages)
    if not astray or sought or len(astray) < len(after) or not gave_up(astray[-1], handshake):
        return
    yield Problem(
        exchange=astray[-1].exchange.id,
        message=f"the client asks {astray[-1].url} and never {listed_issuers(handshake)[0]}, which exchange {prm.exchange.id} names",
        at="request.url",
        expected=urls.as_metadata_locations(listed_issuers(handshake)[0])[0].url,
        actual=astray[-1].url,
    )


@rule(
    "client-probed-root-for-path-issuer",
    practice("MCP 2026-07-28 AS Discovery; MCP conformance check authorization-server-metadata-wrong-path", LOCATIONS),
    who="client",
    since="2025-06-18",
)
def probed_root(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The client looks for metadata at the root of the host, although the issuer has a path.

    The root belongs to another issuer: on a host with many tenants, to another tenant. What the
    client finds there, if anything, is another issuer's document.

    Usual causes: an older client that drops the path.

    Repair: In the client: insert the well-known path between host and path of the issuer.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com/team"]}
        GET https://as.example.com/.well-known/oauth-authorization-server
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com/team"]}
        GET https://as.example.com/.well-known/oauth-authorization-server/team
        404
    """
    if document.exchange.actor != "client" or urls.path_of(document.url).rstrip("/") != urls.OAUTH:
        return
    same = [entry for entry in listed_issuers(so_far) if urls.origin(entry) == urls.origin(document.url)]
    if same and all(urls.path_of(entry).strip("/") for entry in same):
        yield Problem(
            message=f"the client asks {document.url}; the metadata of {same[0]} is at {urls.as_metadata_locations(same[0])[0].url}",
            at="request.url",
            expected=urls.as_metadata_locations(same[0])[0].url,
            actual=document.url,
            severity="error" if _of_another(document, same) else None,
        )


def _of_another(document: ServerMetadata, entries: list[str]) -> bool:
    """The document found there has an `issuer` that no resource metadata lists."""
    return document.found and document.issuer is not None and document.issuer not in entries


@rule(
    "client-metadata-unused",
    practice("MCP 2026-07-28 AS Discovery 'Authorization Server Metadata Discovery'", LOCATIONS),
    who="client",
    severity="warning",
    stops_at=("client-registration", "authorization-request"),
)
def metadata_unused(handshake: Handshake) -> Problems:
    """The client does not use the authorization server metadata it fetched and looks for other metadata.

    The document names the endpoints. A client that builds well-known URLs from one of these
    endpoints takes the endpoint for an issuer, finds no metadata and gives up.

    Usual causes: `authorization_endpoint` is stored where the issuer belongs; discovery runs a
    second time with another base URL.

    Repair: In the client, use `registration_endpoint` and `authorization_endpoint` of the document
    that was found. Until then, serve the same document at the URLs it asks for.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/oauth/authorize",
             "token_endpoint": "https://as.example.com/oauth/token", "registration_endpoint": "https://as.example.com/reg"}
        GET https://as.example.com/.well-known/oauth-authorization-server/oauth
        404
        GET https://as.example.com/oauth/.well-known/oauth-authorization-server
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/oauth/authorize",
             "token_endpoint": "https://as.example.com/oauth/token", "registration_endpoint": "https://as.example.com/reg"}
        POST https://as.example.com/reg {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1"}
    """
    documents = own_requests(handshake.all(ServerMetadata))
    good = next(
        (one for one in documents if one.found and {"authorization_endpoint", "token_endpoint"} <= set(one.endpoints)),
        None,
    )
    if good is None or any(handshake.all(kind) for kind in (Registration, AuthorizationRequest, TokenEndpoint)):
        return
    places = {place.url for entry in listed_issuers(handshake) for place in urls.as_metadata_locations(entry)}
    later = [one for one in documents if one.exchange.id > good.exchange.id]
    astray = [one for one in later if urls.without_query(one.url) not in places and not one.found]
    if len(astray) < 2:
        return
    named = "registration_endpoint" if "registration_endpoint" in good.endpoints else "authorization_endpoint"
    yield Problem(
        message=f"the client had the metadata of exchange {good.exchange.id}, with `{named}`, and does not use it: it asks for "
        f"{astray[0].url} instead and stops",
        at="request.url",
        expected=good.endpoints[named],
        actual=astray[0].url,
        exchange=astray[-1].exchange.id,
    )


@rule(
    "client-well-known-appended",
    must("RFC 8414 §3.1; RFC 9728 §3.1", "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.1"),
    who="client",
    stops_at=("as-discovery", "prm-discovery"),
)
def well_known_appended(handshake: Handshake) -> Problems:
    """The client appends `/.well-known/…` to the whole MCP URL, and asks at no other place.

    The well-known path goes between host and path: `/.well-known/oauth-authorization-server/mcp`,
    or without the path at the host's root. Behind the MCP server's own path there is nothing but
    the MCP server, which answers as it answers anything: with 401, 404 or a page.

    Usual causes: the client joins the configured URL and the well-known path as strings.

    Repair: In the client: insert the well-known path between host and path (RFC 8414, RFC 9728).
    Until then, serve the metadata at the URL that it asks for, too.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        GET https://mcp.example.com/mcp/.well-known/oauth-authorization-server
        401

        @+20
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        GET https://mcp.example.com/mcp/.well-known/oauth-authorization-server
        401
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404
    """
    path = urls.path_of(handshake.resource or "").rstrip("/")
    home = urls.origin(handshake.resource or "")
    asked = own_requests(handshake.all(ServerMetadata)) + [
        one for one in handshake.all(ResourceMetadata) if one.exchange.actor == "client" and one.status is not None
    ]
    if not path or not asked or any(one.found for one in asked):
        return
    appended = [one for one in asked if urls.origin(one.url) == home and urls.path_of(one.url).startswith(f"{path}/.")]
    last = max(asked, key=lambda one: one.exchange.id)
    if len(appended) < len(asked) or not gave_up(last, handshake):
        return
    named = urls.path_of(last.url).removeprefix(path)
    yield Problem(
        exchange=last.exchange.id,
        message=f"the client asks {last.url}; by RFC 8414 it is {home}{named}{path} or {home}{named}",
        at="request.url",
        expected=f"{home}{named}",
        actual=last.url,
    )
