"""How the client searches for metadata, and what it does when it finds none."""

from __future__ import annotations

from collections.abc import Sequence

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Document,
    Mcp,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    Stage,
    TokenEndpoint,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule

LOCATIONS = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery#authorization-server-metadata-discovery"
_FALLBACKS = "https://modelcontextprotocol.io/specification/2025-03-26/basic/authorization#fallbacks-for-servers-without-metadata-discovery"
_DEFAULTS = ("/authorize", "/token", "/register")
_PATIENCE = 5.0
"""Seconds after which a client that has more to try would have tried it."""


def own_requests(stages: Sequence[ServerMetadata]) -> list[ServerMetadata]:
    return [stage for stage in stages if stage.exchange.actor == "client" and stage.status is not None]


def listed_issuers(so_far: Handshake) -> list[str]:
    """The issuers that a document read by the client itself has named."""
    return [
        entry
        for document in so_far.all(ResourceMetadata)
        if document.ok
        and document.exchange.actor == "client"
        and document.exchange.response
        and document.exchange.response.body is not None
        for entry in document.authorization_servers
    ]


def _points_at_metadata(so_far: Handshake) -> bool:
    """The MCP server is one of those that publish which authorization server they trust."""
    return bool(listed_issuers(so_far)) or any(
        stage.metadata_url for stage in so_far.all(Mcp)[-200:] if _by_client(stage)
    )


@rule(
    "client-fell-back-to-legacy-endpoints",
    practice(
        "MCP 2025-03-26 'Fallbacks for Servers without Metadata Discovery' (origin of this behaviour)", _FALLBACKS
    ),
    who="client",
    severity="warning",
    since="2025-06-18",
    symptom=True,
    stops_at=("client-registration", "authorization-request", "token-request", "token-refresh"),
)
def fell_back(
    stage: ServerMetadata | Registration | AuthorizationRequest | TokenEndpoint, so_far: Handshake
) -> Problems:
    """The client falls back to default endpoints that no metadata names.

    That is how clients worked in early 2025, and what some still do when they could not use what
    the server publishes today. The 404 that follows is a consequence; the cause came before it.

    Usual causes: the resource metadata was not found, not readable, or names another resource;
    or the client never asked for it.

    Repair: Look at the step before this one: make the protected resource metadata and the
    authorization server's metadata load. If both do, update the client.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        POST https://mcp.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://mcp.example.com"]}
        POST https://mcp.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1"}
    """
    home = urls.origin(so_far.resource or "")
    if _guessed_at_listed(stage, so_far):
        yield Problem(
            message=f"the client asks {stage.url}, a default endpoint that no document names",
            at="request.url",
            expected="an endpoint that the authorization server's metadata names",
            actual=stage.url,
        )
        return
    if stage.exchange.actor not in ("client", "browser") or not home or urls.origin(stage.url) != home:
        return
    if isinstance(stage, ServerMetadata):
        default = urls.path_of(stage.url).rstrip("/") in (urls.OAUTH, urls.OIDC)
    else:
        default = urls.path_of(stage.url) in _DEFAULTS and not _named_by_listed(stage, so_far)
    if not default or not _points_at_metadata(so_far) or _fell_before(so_far, home):
        return
    if not isinstance(stage, ServerMetadata) and not so_far.all(ResourceMetadata):
        return
    if any(urls.origin(entry) == home and urls.path_of(entry) == "/" for entry in listed_issuers(so_far)):
        return
    if isinstance(stage, ServerMetadata) and any(urls.origin(entry) == home for entry in listed_issuers(so_far)):
        return
    there = ", ".join(dict.fromkeys(listed_issuers(so_far))) or f"behind {_pointer(so_far)}, which the 401 named"
    yield Problem(
        message=f"the client asks {stage.url}, though the authorization server is {there}",
        at="request.url",
        expected=there,
        actual=stage.url,
    )


def _by_client(stage: Stage) -> bool:
    return stage.exchange.actor != "reporter"


def _pointer(so_far: Handshake) -> str:
    """The newest `resource_metadata` that the client was told."""
    told = (stage.metadata_url for stage in reversed(so_far.all(Mcp)) if _by_client(stage))
    return next(filter(None, told), "")


def _guessed_at_listed(stage: Stage, so_far: Handshake) -> bool:
    """A default endpoint at the host of a listed authorization server, whose metadata nobody found."""
    if isinstance(stage, ServerMetadata) or stage.ok or stage.exchange.actor not in ("client", "browser"):
        return False
    guess = stage.initiator is not None and stage.initiator.guess and so_far.metadata is None
    listed = {urls.origin(entry) for entry in listed_issuers(so_far)}
    again = any(earlier.url == stage.url for earlier in so_far.all(type(stage)))
    return guess and urls.path_of(stage.url) in _DEFAULTS and urls.origin(stage.url) in listed and not again


def _named_by_listed(stage: Stage, so_far: Handshake) -> bool:
    """Metadata of a listed issuer named this address."""
    source = stage.initiator.exchange if stage.initiator and not stage.initiator.guess else None
    for document in so_far.of(source or 0):
        if isinstance(document, ServerMetadata) and not (document.initiator and document.initiator.guess):
            return True
    return False


def _fell_before(so_far: Handshake, home: str) -> bool:
    """It had done so before, after it was told where to look."""
    told = next((stage.exchange.id for stage in so_far.all(Mcp) if stage.metadata_url and _by_client(stage)), 0)
    return any(
        isinstance(stage, ServerMetadata | Registration | AuthorizationRequest | TokenEndpoint)
        and stage.exchange.id > told
        and stage.exchange.actor in ("client", "browser")
        and urls.origin(stage.url) == home
        and urls.path_of(stage.url).rstrip("/") in (urls.OAUTH, urls.OIDC, *_DEFAULTS)
        for stage in so_far.stages[-100:]
    )


@rule(
    "client-as-discovery-order",
    must("MCP 2026-07-28 AS Discovery 'Authorization Server Metadata Discovery'", LOCATIONS),
    who="client",
    severity="note",
    since="2025-06-18",
    stops_at=("client-registration", "authorization-request"),
)
def discovery_order(handshake: Handshake) -> Problems:
    """The client does not try the well-known URLs of the issuer in the required order.

    A client has to try two well-known URLs for an issuer without path and three for one with a
    path, in a fixed order. This one skipped a URL, perhaps the one that has the document, so it
    fails with correct servers.

    Usual causes: the client knows OAuth metadata only, or OpenID only, or builds the URL from the
    wrong path.

    Repair: Update the client, or report it to its vendor. Until then, publish the metadata at the
    URL this client asks for, too.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://as.example.com/.well-known/openid-configuration
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    listed = listed_issuers(handshake)
    entry = listed[0] if listed else ""
    places = [place.url for place in urls.as_metadata_locations(entry)]
    tried = [d for d in own_requests(handshake.all(ServerMetadata)) if urls.origin(d.url) == urls.origin(entry)]
    if not tried or not places:
        return
    asked = [urls.without_query(document.url) for document in tried]
    hit = next((document for document in tried if document.status == 200), None)
    until = places.index(asked[tried.index(hit)]) if hit and asked[tried.index(hit)] in places else len(places)
    skipped = [place for place in places[:until] if place not in asked]
    out_of_order = [p for p in dict.fromkeys(asked) if p in places] != [p for p in places if p in asked]
    ended = hit is None and skipped and gave_up(tried[-1], handshake)
    if hit is None and not ended:
        return
    stopped_early = any((document.status and document.status >= 500) or document.ok for document in tried)
    refused = tried[-1].status not in (404, 405, 410) and not went_on(tried[-1], handshake)
    if skipped or out_of_order:
        missed = skipped[0] if skipped else places[0]
        yield Problem(
            exchange=tried[-1].exchange.id if hit is None else hit.exchange.id,
            message=f"for the issuer {entry} the client {'never asked' if skipped else 'did not first ask'} {missed}",
            at="request.url",
            expected=", then ".join(places),
            actual=", then ".join(dict.fromkeys(asked)),
            severity="warning" if ended and not stopped_early and not refused else "note",
        )


def went_on(last: Document, handshake: Handshake) -> bool:
    """The client went on without the document."""
    later = [
        s for s in handshake.stages if s.exchange.id > last.exchange.id and s.exchange.actor in ("client", "browser")
    ]
    return any(isinstance(s, Registration | AuthorizationRequest | TokenEndpoint) for s in later)


def gave_up(last: Document, handshake: Handshake) -> bool:
    """The client tried nothing else: it went on elsewhere, or nothing came for a while."""
    if went_on(last, handshake):
        return True
    end = last.exchange.ended
    return handshake.ended is not None and end is not None and handshake.ended - end >= _PATIENCE


@rule(
    "as-0326-metadata-not-at-origin",
    must(
        "MCP 2025-03-26 'Authorization Base URL' and 'Fallbacks for Servers without Metadata Discovery'",
        "https://modelcontextprotocol.io/specification/2025-03-26/basic/authorization#authorization-base-url",
    ),
    who="authorization-server",
    since="2025-03-26",
    until="2025-03-26",
    stops_at=("client-registration", "authorization-request"),
)
def metadata_not_at_origin(handshake: Handshake) -> Problems:
    """The MCP server's origin has neither authorization server metadata nor the default endpoints.

    A client of MCP 2025-03-26 uses the origin of the MCP URL only. It looks for metadata there,
    then tries `/register`, `/authorize` and `/token`. None of them exists, so it cannot sign in.

    Usual causes: the authorization server is on another host, which these clients cannot discover.

    Repair: Publish the authorization server's metadata at
    `/.well-known/oauth-authorization-server` of the MCP server's host.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404
        POST https://mcp.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://mcp.example.com", "token_endpoint": "https://mcp.example.com/token"}
    """
    home = urls.origin(handshake.resource or "")
    if not home or handshake.prm is not None or handshake.metadata is not None:
        return
    looked = next((d for d in handshake.all(ServerMetadata) if d.url == home + urls.OAUTH), None)
    defaults = [s for s in handshake.stages if _is_default(s, home)]
    if looked and (looked.status or 0) >= 400 and defaults and all(s.status in (404, 405) for s in defaults):
        yield Problem(
            exchange=looked.exchange.id,
            message=f"{looked.url} answered {looked.status}, and {defaults[0].url} answered {defaults[0].status}",
            at="response.status",
            expected="200 with metadata",
            actual=str(looked.status),
        )


def _is_default(stage: Stage, home: str) -> bool:
    return isinstance(stage, Registration | AuthorizationRequest | TokenEndpoint) and urls.endpoint(stage.url) in {
        home + path for path in _DEFAULTS
    }


@rule(
    "as-0326-default-endpoints",
    must("MCP 2025-03-26 'Fallbacks for Servers without Metadata Discovery'", _FALLBACKS),
    who="authorization-server",
    since="2025-03-26",
    until="2025-03-26",
)
def default_endpoint_absent(stage: Registration | AuthorizationRequest | TokenEndpoint, so_far: Handshake) -> Problems:
    """There is no metadata, and a default endpoint (`/authorize`, `/token`, `/register`) does not exist.

    Where no metadata is published, a client of MCP 2025-03-26 uses `/authorize`, `/token` and
    `/register` of the MCP server's host. By not publishing metadata, the server implies that they
    exist.

    Usual causes: the endpoints have other paths, or are on another host.

    Repair: Publish metadata with the real URLs, or serve the three default paths.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404
        POST https://mcp.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404
        POST https://mcp.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1"}
    """
    home = urls.origin(so_far.resource or "")
    if so_far.metadata is None and home and _is_default(stage, home) and stage.status in (404, 405):
        yield Problem(
            message=f"{stage.url} answers {stage.status}, and there is no metadata that names another address",
            at="response.status",
            expected="the endpoint, or metadata",
            actual=str(stage.status),
        )


@rule(
    "mcp-protocol-version-on-discovery",
    should(
        "MCP 2025-03-26 'Server Metadata Discovery Headers'",
        "https://modelcontextprotocol.io/specification/2025-03-26/basic/authorization#server-metadata-discovery-headers",
    ),
    who="client",
    severity="note",
    since="2025-03-26",
    until="2025-03-26",
)
def discovery_without_version(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The metadata request has no `MCP-Protocol-Version` header.

    In MCP 2025-03-26 a server may answer by revision. Hardly any does, so the missing header
    rarely matters; in browsers it even saves a preflight.

    Usual causes: a generic OAuth library fetches the document.

    Repair: In the client: send `MCP-Protocol-Version` with this request too.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        MCP-Protocol-Version: 2025-03-26

        404
    """
    if document.exchange.actor == "client" and document.request.header("mcp-protocol-version") is None:
        yield Problem(
            message="the request has no MCP-Protocol-Version; 2025-03-26 asks for it",
            at="request.header.mcp-protocol-version",
            expected="2025-03-26",
        )
