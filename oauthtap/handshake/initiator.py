"""Why the client sent a request: the member that told it to, or the guess it made.

Every request of a handshake has exactly one cause. What a document names comes
before what a client may guess, and the newest document before older ones.
"""

from __future__ import annotations

from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Certainty,
    Challenge,
    ClientMetadata,
    DeviceAuthorization,
    Initiator,
    KeySet,
    Mcp,
    PushedAuthorization,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    Stage,
    TokenEndpoint,
    TokenMaintenance,
)
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange

_ENDPOINTS: tuple[tuple[type[Stage], tuple[str, ...], str], ...] = (
    (Registration, ("registration_endpoint", "registration_client_uri"), "/register"),
    (PushedAuthorization, ("pushed_authorization_request_endpoint",), "/par"),
    (AuthorizationRequest, ("authorization_endpoint",), "/authorize"),
    (TokenEndpoint, ("token_endpoint",), "/token"),
    (DeviceAuthorization, ("device_authorization_endpoint",), "/device_authorization"),
    (TokenMaintenance, ("introspection_endpoint", "revocation_endpoint", "userinfo_endpoint"), ""),
    (KeySet, ("jwks_uri",), "/.well-known/jwks.json"),
)
"""Stage, the metadata members that name it, and the path clients guess without them."""


def stage_of[S: Stage](kind: type[S], exchange: Exchange, certainty: Certainty, so_far: Handshake, **more: object) -> S:
    """The exchange as a stage of this kind, with its initiator; `more` are further fields of the stage."""
    return kind(exchange, certainty, find_initiator(exchange, kind, so_far), **more)


def find_initiator(exchange: Exchange, kind: type[Stage], so_far: Handshake) -> Initiator | None:
    """What made the client send this request, given that it belongs to `kind`.

    None where the answer is outside the wire: the user started it.
    """
    if redirect := _redirected(exchange, so_far):
        return redirect
    if issubclass(kind, ResourceMetadata):
        return _resource_metadata(exchange, so_far)
    if issubclass(kind, ServerMetadata):
        return _server_metadata(exchange, so_far)
    for stage, members, guessed in _ENDPOINTS:
        if issubclass(kind, stage):
            return _endpoint(exchange, members, guessed, so_far)
    if issubclass(kind, AuthorizationResponse):
        asked = so_far.authorization
        return Initiator(exchange=asked.exchange.id, at="request.query.redirect_uri") if asked else None
    if issubclass(kind, ClientMetadata):
        asked_by = so_far.client_ids.get(exchange.request.url)
        return Initiator(exchange=asked_by, at="request.query.client_id") if asked_by else None
    return _mcp(exchange, so_far) if issubclass(kind, Mcp) else None


def _redirected(exchange: Exchange, so_far: Handshake) -> Initiator | None:
    """An answer shortly before said: look over there."""
    for stage in reversed(so_far.stages[-12:]):
        response = stage.exchange.response
        location = response.header("location") if response and 300 <= response.status < 400 else None
        if location and absolute(location, stage.url) == exchange.request.url:
            return Initiator(exchange=stage.exchange.id, at="response.header.location")
    return None


def _resource_metadata(exchange: Exchange, so_far: Handshake) -> Initiator:
    if where := so_far.metadata_urls.get(exchange.request.url):
        return Initiator(exchange=where.exchange, at=where.at)
    how = {place.url: place.how for place in urls.prm_locations(so_far.resource or "")}.get(exchange.request.url)
    rule = {
        "inserted": "the well-known place of the MCP URL (RFC 9728, 3.1)",
        "root": "the well-known place at the root of the MCP server",
    }.get(how or "", "a place that no specification names")
    challenge = so_far.challenge
    return Initiator(exchange=challenge.exchange.id if challenge else None, guess=True, fallback=rule)


def _server_metadata(exchange: Exchange, so_far: Handshake) -> Initiator:
    url = urls.without_query(exchange.request.url)
    documents = [shown for document in so_far.all(ResourceMetadata) if (shown := document.as_delivered).ok]
    built = [issuer.rstrip("/") for issuer, _ in urls.issuers_for_metadata_url(url)]
    for document in reversed(documents):
        if document.exchange.response is None or document.exchange.response.body is None:
            continue
        for number, entry in enumerate(document.authorization_servers):
            if entry.rstrip("/") in built or any(place.url == url for place in urls.as_metadata_locations(entry)):
                return Initiator(exchange=document.exchange.id, at=f"response.json.authorization_servers[{number}]")
    if where := so_far.metadata_urls.get(exchange.request.url):
        return Initiator(exchange=where.exchange, at=where.at)
    last = so_far.last(ResourceMetadata)
    if last is not None and _unread(last):
        return Initiator(exchange=last.exchange.id, at="response.json.authorization_servers")
    before = last.exchange.id if last else (so_far.challenge.exchange.id if so_far.challenge else None)
    if documents and any(
        urls.origin(entry) == urls.origin(url)
        for document in documents
        if document.exchange.response and document.exchange.response.body is not None
        for entry in document.authorization_servers
    ):
        rule = "the root of the authorization server, although its issuer has a path"
    elif urls.origin(url) == urls.origin(so_far.resource or ""):
        rule = "the MCP server itself taken for the authorization server (2025-03-26)"
    else:
        rule = "an authorization server that no document names"
    return Initiator(exchange=before, guess=True, fallback=rule)


def _unread(document: ResourceMetadata | ServerMetadata) -> bool:
    """It was found, but what it says was not recorded: it may well have named what follows."""
    response = document.exchange.response
    return response is not None and document.ok and response.body is None


def _endpoint(exchange: Exchange, members: tuple[str, ...], guessed: str, so_far: Handshake) -> Initiator:
    url = exchange.request.url
    for member in members:
        if where := so_far.learned(member, url):
            return Initiator(exchange=where.exchange, at=where.at)
    last = so_far.last(ServerMetadata) or so_far.last(ResourceMetadata) or so_far.last(Challenge)
    name = members[0]
    if isinstance(last, ServerMetadata) and _unread(last):
        return Initiator(exchange=last.exchange.id, at=f"response.json.{name}")
    if so_far.metadata is not None:
        rule = f"another URL than the metadata's `{name}`"
    elif last is None:
        rule = f"known from before the recording, or the default `{guessed}`"
    else:
        rule = f"the default `{guessed}` at the root: no metadata named a `{name}`"
    return Initiator(exchange=last.exchange.id if last else None, guess=True, fallback=rule)


def _mcp(exchange: Exchange, so_far: Handshake) -> Initiator | None:
    if where := so_far.message_urls.get(urls.endpoint(exchange.request.url)):
        return Initiator(exchange=where.exchange, at=where.at)
    scheme, _, token = (exchange.request.header("authorization") or "").partition(" ")
    if scheme.lower() in ("bearer", "dpop") and (issued := so_far.issued.get(token.strip())):
        return Initiator(exchange=issued, at="response.json.access_token")
    return None
