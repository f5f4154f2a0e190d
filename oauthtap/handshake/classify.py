"""Which stage an exchange is, by its URL, its form, and what the handshake has taught.

Evaluated top-down; the first match gives the stage that is shown, and some matches
add a second one (an authorization request answered by an immediate redirect is also
the authorization response).
"""

from __future__ import annotations

import re

from oauthtap.handshake.initiator import find_initiator
from oauthtap.handshake.mcp_refusal import is_refusal, is_token_rejection, lacks_scope
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Certainty,
    Challenge,
    ClientMetadata,
    DeviceAuthorization,
    Discover,
    Initialize,
    Interaction,
    KeySet,
    LegacySse,
    Mcp,
    McpRequest,
    McpStream,
    Preflight,
    PushedAuthorization,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    SessionEnd,
    Stage,
    StepUp,
    TokenEndpoint,
    TokenMaintenance,
    TokenOther,
    TokenRefresh,
    TokenRejected,
    TokenRequest,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, first_value
from oauthtap.model.sse import sse_events

_ASKED = {"client_id", "request_uri", "response_type", "redirect_uri", "code_challenge"}
_TOKEN_MEMBERS = ("code", "refresh_token", "client_id", "assertion", "subject_token", "device_code")


def classify(exchange: Exchange, so_far: Handshake) -> tuple[Stage, ...]:
    """The stages of an exchange, the one to show first. Never empty: at worst a plain `Stage`."""
    request = exchange.request
    if _is_preflight(request):
        return (Preflight(exchange, "certain"),)
    stage = (
        _as_told(exchange, so_far)
        or _well_known(exchange, so_far)
        or _at_learned_endpoint(exchange, so_far)
        or _callback(exchange, so_far)
        or _mcp_by_url(exchange, so_far)
        or _by_content(exchange, so_far)
        or _interaction(exchange, so_far)
    )
    if isinstance(stage, Mcp):
        return _mcp(stage, so_far)
    found = (stage,) if stage else ()
    if not isinstance(stage, AuthorizationResponse) and (answer := _redirect_to_callback(exchange, so_far, stage)):
        found = (*found, answer)
    if not found:
        guess = _by_path(exchange, so_far)
        if isinstance(guess, Mcp):
            return _mcp(guess, so_far)
        found = (guess,) if guess else (Stage(exchange, "guess", find_initiator(exchange, Stage, so_far)),)
    return found


def _stage[S: Stage](kind: type[S], exchange: Exchange, certainty: Certainty, so_far: Handshake, **more: object) -> S:
    return kind(exchange, certainty, find_initiator(exchange, kind, so_far), **more)


def _is_preflight(request: Request) -> bool:
    return (
        request.method == "OPTIONS"
        and request.header("origin") is not None
        and request.header("access-control-request-method") is not None
    )


# --- 0: by what a log says it was

_TOLD: dict[str, type[Stage]] = {
    kind.slug: kind for kind in (Registration, AuthorizationResponse, TokenRequest, TokenRefresh, ServerMetadata)
}


def _as_told(exchange: Exchange, so_far: Handshake) -> Stage | None:
    kind = _TOLD.get(exchange.role or "")
    if kind is AuthorizationResponse:
        return _answer_to(first_value(exchange.request.query, "state"), exchange, so_far, "likely")
    if kind is ServerMetadata:
        return _server_metadata(exchange, so_far, "likely")
    return _stage(kind, exchange, "likely", so_far) if kind else None


# --- 1: by learned or fixed URLs


def _well_known(exchange: Exchange, so_far: Handshake) -> Stage | None:
    path = exchange.request.path
    if urls.OAUTH in path or urls.OIDC in path:
        return _server_metadata(exchange, so_far, "certain")
    named = exchange.request.url in so_far.metadata_urls
    if urls.PRM in path or named:
        variant = "header" if named else _prm_variant(exchange.request.url, so_far.resource)
        return _stage(ResourceMetadata, exchange, "certain", so_far, variant=variant)
    if exchange.request.method == "GET" and exchange.request.url in so_far.client_ids:
        return _stage(ClientMetadata, exchange, "certain", so_far)
    return None


def _prm_variant(url: str, resource: str | None) -> str:
    for place in urls.prm_locations(resource or ""):
        if place.url == url:
            return place.how
    path = urls.path_of(url)
    if path.rstrip("/") == urls.PRM:
        return "root"
    return "inserted" if path.startswith(urls.PRM) else "appended"


def _server_metadata(exchange: Exchange, so_far: Handshake, certainty: Certainty) -> ServerMetadata:
    url = exchange.request.url
    entries = [entry for document in reversed(so_far.all(ResourceMetadata)) for entry in _entries(document)]
    for entry in entries:
        for place in urls.as_metadata_locations(entry):
            if place.url == urls.without_query(url):
                return _stage(ServerMetadata, exchange, certainty, so_far, variant=place.how, expected_issuer=entry)
    built = list(urls.issuers_for_metadata_url(url))
    for candidate, how in built:
        for entry in entries:
            if entry.rstrip("/") == candidate.rstrip("/"):
                return _stage(ServerMetadata, exchange, certainty, so_far, variant=how, expected_issuer=entry)
    issuer, how = built[0] if built else (None, "other")
    return _stage(ServerMetadata, exchange, certainty, so_far, variant=how, expected_issuer=issuer)


def _entries(document: ResourceMetadata) -> tuple[str, ...]:
    return (
        document.authorization_servers
        if document.ok and document.exchange.response and document.exchange.response.body is not None
        else ()
    )


def _at_learned_endpoint(exchange: Exchange, so_far: Handshake) -> Stage | None:
    request = exchange.request
    if not so_far.is_learned(request.url):
        return None

    def at(member: str) -> bool:
        return so_far.learned(member, request.url) is not None

    if at("token_endpoint") and request.method != "GET":
        return _token(exchange, so_far, "certain")
    if at("authorization_endpoint") and _is_consent(exchange, so_far):
        return _stage(Interaction, exchange, "certain", so_far)
    if at("authorization_endpoint") and (authorization := _authorization(exchange, so_far, "certain")):
        return authorization
    for kind, member in (
        (Registration, "registration_endpoint"),
        (Registration, "registration_client_uri"),
        (PushedAuthorization, "pushed_authorization_request_endpoint"),
        (DeviceAuthorization, "device_authorization_endpoint"),
        (TokenMaintenance, "introspection_endpoint"),
        (TokenMaintenance, "revocation_endpoint"),
        (TokenMaintenance, "userinfo_endpoint"),
        (KeySet, "jwks_uri"),
    ):
        if at(member) and not so_far.is_mcp(request.url):
            return _stage(kind, exchange, "certain", so_far)
    return _token(exchange, so_far, "certain") if at("token_endpoint") else None


def _token(exchange: Exchange, so_far: Handshake, certainty: Certainty) -> TokenEndpoint:
    request = exchange.request
    grant = (
        first_value(request.form, "grant_type")
        or request.json_object.get("grant_type")
        or first_value(request.query, "grant_type")
    )
    if grant == "refresh_token":
        return _stage(TokenRefresh, exchange, certainty, so_far)
    if grant in (None, "", "authorization_code") or not isinstance(grant, str):
        return _stage(TokenRequest, exchange, certainty, so_far)
    return _stage(TokenOther, exchange, certainty, so_far)


def _authorization(exchange: Exchange, so_far: Handshake, certainty: Certainty) -> AuthorizationRequest | None:
    request = exchange.request
    pairs = request.query + (request.form if request.method == "POST" else ())
    handle = first_value(pairs, "request_uri")
    if _is_consent(exchange, so_far):
        return None
    if not _ASKED & {name for name, _ in pairs}:
        return None
    pushed = so_far.pushed.get(handle or "")
    return _stage(AuthorizationRequest, exchange, certainty, so_far, pushed=pushed)


def _is_consent(exchange: Exchange, so_far: Handshake) -> bool:
    """A form of the login or consent page, posted to the authorization endpoint itself (Passport, Doorkeeper)."""
    request = exchange.request
    if request.method != "POST" or exchange.actor == "client" or so_far.authorization is None:
        return False
    return first_value(request.query, "response_type") is None and first_value(request.form, "response_type") is None


def _callback(exchange: Exchange, so_far: Handshake) -> Stage | None:
    request = exchange.request
    pairs = request.query + request.form
    if not {"code", "error", "state", "iss"} & {name for name, _ in pairs}:
        return None
    if not any(_same_callback(request.bare_url, uri) for uri in so_far.redirect_uris):
        return None
    return _answer_to(first_value(pairs, "state"), exchange, so_far, "certain")


def _same_callback(url: str, redirect_uri: str) -> bool:
    return url == urls.without_query(redirect_uri) or urls.same_but_port(url, urls.without_query(redirect_uri))


def _answer_to(state: str | None, exchange: Exchange, so_far: Handshake, certainty: Certainty) -> AuthorizationResponse:
    asked = [request for request in so_far.all(AuthorizationRequest) if request.exchange.request.body is not None]
    match = next((request for request in reversed(asked) if state and request.get("state") == state), None)
    return _stage(AuthorizationResponse, exchange, certainty, so_far, requested=match or (asked[-1] if asked else None))


def _redirect_to_callback(exchange: Exchange, so_far: Handshake, stage: Stage | None) -> AuthorizationResponse | None:
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
        return _answer_to(state, exchange, so_far, "certain")
    known = state is not None and any(
        request.get("state") == state
        for request in so_far.all(AuthorizationRequest)
        if request.exchange.request.body is not None
    )
    if answers and (known or own) and (state is not None or own):
        if isinstance(stage, AuthorizationRequest):
            return AuthorizationResponse(exchange, "likely", None, requested=stage)
        return _answer_to(state, exchange, so_far, "likely")
    return None


# --- 2: by content, when no metadata named the URL


def _by_content(exchange: Exchange, so_far: Handshake) -> Stage | None:
    request, response = exchange.request, exchange.response
    members = {name for name, _ in request.form}
    if request.method == "POST" and "grant_type" in members and members & set(_TOKEN_MEMBERS):
        return _token(exchange, so_far, "likely")
    if request.method == "POST":
        posted = request.json_object
        if "grant_type" in posted and set(posted) & set(_TOKEN_MEMBERS):
            return _token(exchange, so_far, "likely")
        if isinstance(posted.get("redirect_uris"), list) or {"client_name", "grant_types"} <= set(posted):
            return _stage(Registration, exchange, "likely", so_far)
        if posted.get("jsonrpc") == "2.0" or _is_batch(request.json_value):
            return _mcp_base(exchange, so_far, "likely")
        if "token" in members and (
            "token_type_hint" in members or "active" in (response.json_object if response else {})
        ):
            return _stage(TokenMaintenance, exchange, "likely", so_far)
        if {"client_id"} <= members and response and "device_code" in response.json_object:
            return _stage(DeviceAuthorization, exchange, "likely", so_far)
    asked = {name for name, _ in request.query}
    if "client_id" in asked and asked & {"response_type", "request_uri"} and not _of_others(exchange, so_far):
        return _authorization(exchange, so_far, "likely")
    if _has_mcp_headers(request):
        return _mcp_base(exchange, so_far, "likely")
    return _by_answer(exchange, so_far)


def _by_answer(exchange: Exchange, so_far: Handshake) -> Stage | None:
    response = exchange.response
    if response is None or response.status != 200 or exchange.request.method != "GET":
        return None
    document = response.json_object
    if {"resource", "authorization_servers"} <= set(document):
        return _stage(ResourceMetadata, exchange, "likely", so_far, variant="other")
    if {"issuer", "token_endpoint"} <= set(document):
        return _server_metadata(exchange, so_far, "likely")
    fetched = exchange.actor == "authorization-server" and _is_url(document.get("client_id"))
    own = document.get("client_id") == exchange.request.url
    if (own or fetched) and isinstance(document.get("redirect_uris"), list):
        return _stage(ClientMetadata, exchange, "likely", so_far)
    keys = document.get("keys")
    if isinstance(keys, list) and keys and all(isinstance(key, dict) and "kty" in key for key in keys):
        return _stage(KeySet, exchange, "likely", so_far)
    events = sse_events(response.body or "") if response.media_type == "text/event-stream" else []
    if events and events[0][0] == "endpoint":
        return _mcp_base(exchange, so_far, "likely")
    return None


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith("https://")


def _is_batch(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "jsonrpc" in v for v in value)


def _has_mcp_headers(request: Request) -> bool:
    if ".well-known" in request.path:
        return False
    names = {name.lower() for name, _ in request.headers}
    return bool(names & {"mcp-method", "mcp-session-id"})


def _of_others(exchange: Exchange, so_far: Handshake) -> bool:
    """An authorization request that is not this client's: of an identity provider behind, or of another app."""
    return _nested_login(exchange, so_far) or not _of_this_handshake(exchange.request, so_far)


def _of_this_handshake(request: Request, so_far: Handshake) -> bool:
    """What was seen ties it to us: its place, client, callback or resource, or its kind where nothing is known."""
    callback = first_value(request.query, "redirect_uri") or ""
    places = {urls.origin(url) for (_, url) in so_far.endpoints} | {urls.origin(so_far.resource or "")}
    places |= {urls.origin(document.url) for document in so_far.all(ServerMetadata)}
    entries = (entry for document in so_far.all(ResourceMetadata) for entry in _entries(document))
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
    by_document = _is_url(first_value(request.query, "client_id"))
    return not web or by_document or first_value(request.query, "code_challenge") is not None


def _nested_login(exchange: Exchange, so_far: Handshake) -> bool:
    """The authorization server sends the browser on to an identity provider with a client id of its own."""
    request = exchange.request
    asked = so_far.all(AuthorizationRequest)
    if not asked or exchange.actor == "client":
        return False
    client_id = first_value(request.query, "client_id")
    return client_id not in so_far.client_ids and urls.origin(request.url) != urls.origin(asked[-1].url)


# --- 3: the MCP branch


def _mcp_by_url(exchange: Exchange, so_far: Handshake) -> Stage | None:
    request = exchange.request
    if urls.endpoint(request.url) in so_far.message_urls:
        return _stage(LegacySse, exchange, "certain", so_far)
    if not so_far.is_mcp(request.url):
        return None
    if {"response_type", "grant_type"} & {name for name, _ in (*request.query, *request.form)}:
        return None
    return _mcp_base(exchange, so_far, "certain")


def _mcp_base(exchange: Exchange, so_far: Handshake, certainty: Certainty) -> Mcp:
    request = exchange.request
    method = request.json_object.get("method")
    kind: type[Mcp] = McpRequest
    if request.method in ("GET", "HEAD"):
        kind = LegacySse if _is_legacy_stream(exchange) else McpStream
    elif request.method == "DELETE":
        kind = SessionEnd
    elif method in ("initialize", "notifications/initialized"):
        kind = Initialize
    elif method == "server/discover":
        kind = Discover
    return _stage(kind, exchange, certainty, so_far)


def _is_legacy_stream(exchange: Exchange) -> bool:
    response = exchange.response
    if response and response.media_type == "text/event-stream":
        events = sse_events(response.body or "")
        if events:
            return events[0][0] == "endpoint"
    return exchange.request.path.rstrip("/").endswith("/sse")


def _mcp(stage: Mcp, so_far: Handshake) -> tuple[Stage, ...]:
    """Put the refusal, where there is one, in front of the base stage."""
    exchange = stage.exchange
    front: type[Mcp] | None = None
    unseen = exchange.request.unseen("authorization")
    if not exchange.request.carries_token or (unseen and so_far.token is None and so_far.authorized is None):
        front = Challenge if is_refusal(exchange) else None
    elif lacks_scope(stage):
        front = StepUp
    elif is_token_rejection(exchange):
        front = TokenRejected
    return (front(exchange, stage.certainty, stage.initiator), stage) if front else (stage,)


# --- 4: browser traffic, and what only the path tells


_ASSET = re.compile(r"\.(?:ico|m?js|css|map|png|jpe?g|gif|svg|webp|woff2?|ttf|webmanifest)$", re.I)
"""What a page brings with it: no step of a sign-in."""


def _interaction(exchange: Exchange, so_far: Handshake) -> Stage | None:
    asked = so_far.authorization
    request = exchange.request
    if asked is None or urls.origin(asked.url) != urls.origin(request.url) or _ASSET.search(request.path):
        return None
    mode, accepts = request.header("sec-fetch-mode"), request.header("accept") or ""
    page = exchange.response is not None and exchange.response.media_type == "text/html"
    navigation = mode == "navigate" if mode else ("text/html" in accepts or page or exchange.actor == "browser")
    return _stage(Interaction, exchange, "likely", so_far) if navigation else None


def _by_path(exchange: Exchange, so_far: Handshake) -> Stage | None:
    """The 2025-03-26 default endpoints, by nothing but their names."""
    request = exchange.request
    last = request.path.rstrip("/").rpartition("/")[2]
    if request.method == "POST" and last == "register":
        return _stage(Registration, exchange, "guess", so_far)
    if request.method == "POST" and last == "token":
        return _token(exchange, so_far, "guess")
    if request.method == "GET" and last == "authorize" and request.query and not _of_others(exchange, so_far):
        return _stage(AuthorizationRequest, exchange, "guess", so_far)
    if so_far.resource is None and request.method == "POST" and last in ("mcp", "sse"):
        return _mcp_base(exchange, so_far, "guess")
    bearer = "resource_metadata" in (exchange.response.header("www-authenticate") or "") if exchange.response else False
    asks_for_stream = bearer or "text/event-stream" in (request.header("accept") or "")
    if so_far.resource is None and request.method == "GET" and asks_for_stream:
        return _mcp_base(exchange, so_far, "likely")
    return None
