"""What passes through the browser: the authorization request, consent, and the redirect to the client's callback."""

from __future__ import annotations

from oauthtap.handshake.initiator import stage_of
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Certainty,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    Stage,
    TokenEndpoint,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, first_value

_ASKED = {"client_id", "request_uri", "response_type", "redirect_uri", "code_challenge"}


def authorization_request(exchange: Exchange, so_far: Handshake, certainty: Certainty) -> AuthorizationRequest | None:
    """A request at the authorization endpoint (RFC 6749, 4.1.1); None for a consent form and what asks for nothing."""
    request = exchange.request
    pairs = request.query + (request.form if request.method == "POST" else ())
    handle = first_value(pairs, "request_uri")
    if is_consent(exchange, so_far):
        return None
    if not _ASKED & {name for name, _ in pairs}:
        return None
    pushed = so_far.pushed.get(handle or "")
    return stage_of(AuthorizationRequest, exchange, certainty, so_far, pushed=pushed)


def is_consent(exchange: Exchange, so_far: Handshake) -> bool:
    """A form of the login or consent page, posted to the authorization endpoint itself (Passport, Doorkeeper)."""
    request = exchange.request
    if request.method != "POST" or exchange.actor == "client" or so_far.authorization is None:
        return False
    return first_value(request.query, "response_type") is None and first_value(request.form, "response_type") is None


def answer_at_callback(exchange: Exchange, so_far: Handshake) -> Stage | None:
    """A request of the browser to a `redirect_uri` that is known, with what an authorization response carries."""
    request = exchange.request
    pairs = request.query + request.form
    if not {"code", "error", "state", "iss"} & {name for name, _ in pairs}:
        return None
    if not any(_same_callback(request.bare_url, uri) for uri in so_far.redirect_uris):
        return None
    return answer_to(first_value(pairs, "state"), exchange, so_far, "certain")


def answer_to(state: str | None, exchange: Exchange, so_far: Handshake, certainty: Certainty) -> AuthorizationResponse:
    """The authorization response, with the authorization request of the same `state` (else the last one)."""
    asked = [request for request in so_far.all(AuthorizationRequest) if request.exchange.request.body is not None]
    match = next((request for request in reversed(asked) if state and request.get("state") == state), None)
    return stage_of(
        AuthorizationResponse, exchange, certainty, so_far, requested=match or (asked[-1] if asked else None)
    )


def redirect_to_callback(exchange: Exchange, so_far: Handshake, stage: Stage | None) -> AuthorizationResponse | None:
    """The answer sends the browser to the client's callback (with what the flow expects there)."""
    if exchange.response is None or not 300 <= exchange.response.status < 400:
        return None
    location = exchange.response.header("location")
    if not location or isinstance(stage, TokenEndpoint | Registration | ResourceMetadata | ServerMetadata):
        return None
    pairs = Request(method="GET", url=location.replace("#", "?", 1) if "?" not in location else location).query
    state = first_value(pairs, "state")
    answers = first_value(pairs, "code") is not None or first_value(pairs, "error") is not None
    own = isinstance(stage, AuthorizationRequest)
    here = stage.redirect_uri if isinstance(stage, AuthorizationRequest) and exchange.request.body is not None else None
    uris = [*so_far.redirect_uris, *([here] if here else [])]
    if any(_same_callback(urls.without_query(location), uri) for uri in uris):
        if isinstance(stage, AuthorizationRequest):
            return AuthorizationResponse(exchange, "certain", None, requested=stage)
        return answer_to(state, exchange, so_far, "certain")
    known = state is not None and any(
        request.get("state") == state
        for request in so_far.all(AuthorizationRequest)
        if request.exchange.request.body is not None
    )
    if answers and (known or own) and (state is not None or own):
        if isinstance(stage, AuthorizationRequest):
            return AuthorizationResponse(exchange, "likely", None, requested=stage)
        return answer_to(state, exchange, so_far, "likely")
    return None


def _same_callback(url: str, redirect_uri: str) -> bool:
    return url == urls.without_query(redirect_uri) or urls.same_but_port(url, urls.without_query(redirect_uri))


def is_of_others(exchange: Exchange, so_far: Handshake) -> bool:
    """An authorization request that is not this client's: of an identity provider behind, or of another app."""
    return _nested_login(exchange, so_far) or not _of_this_handshake(exchange.request, so_far)


def _of_this_handshake(request: Request, so_far: Handshake) -> bool:
    """What was seen ties it to us: its place, client, callback or resource, or its kind where nothing is known."""
    callback = first_value(request.query, "redirect_uri") or ""
    places = {urls.origin(url) for (_, url) in so_far.endpoints} | {urls.origin(so_far.resource or "")}
    places |= {urls.origin(document.url) for document in so_far.all(ServerMetadata)}
    entries = (entry for document in so_far.all(ResourceMetadata) for entry in document.listed_servers)
    return (
        urls.origin(request.url) in places | set(map(urls.origin, entries))
        or first_value(request.query, "client_id") in so_far.client_ids
        or any(_same_callback(urls.without_query(callback), uri) for uri in so_far.redirect_uris)
        or first_value(request.query, "resource") is not None
        or first_value(request.query, "request_uri") in so_far.pushed
        or (so_far.metadata is None and _looks_native(request))
        or not so_far.stages
    )


def _looks_native(request: Request) -> bool:
    """The request is of the kind that MCP clients send, and not that of a web application."""
    callback = first_value(request.query, "redirect_uri")
    web = callback is not None and callback.startswith(("http://", "https://")) and not urls.is_loopback(callback)
    by_document = is_client_url(first_value(request.query, "client_id"))
    return not web or by_document or first_value(request.query, "code_challenge") is not None


def _nested_login(exchange: Exchange, so_far: Handshake) -> bool:
    """The authorization server sends the browser on to an identity provider with a client id of its own."""
    request = exchange.request
    asked = so_far.all(AuthorizationRequest)
    if not asked or exchange.actor == "client":
        return False
    client_id = first_value(request.query, "client_id")
    return client_id not in so_far.client_ids and urls.origin(request.url) != urls.origin(asked[-1].url)


def is_client_url(value: object) -> bool:
    """A client identifier that is the URL of a metadata document (CIMD)."""
    return isinstance(value, str) and value.startswith("https://")
