"""Which stage an exchange is, by its URL, its form, and what the handshake has taught.

Evaluated top-down; the first match gives the stage that is shown, and some matches
add a second one (an authorization request answered by an immediate redirect is also
the authorization response).
"""

from __future__ import annotations

import re

from oauthtap.handshake.front_channel import (
    answer_at_callback,
    answer_to,
    authorization_request,
    is_client_url,
    is_consent,
    is_of_others,
    redirect_to_callback,
)
from oauthtap.handshake.initiator import find_initiator, stage_of
from oauthtap.handshake.mcp_endpoint import mcp_by_url, mcp_stage, with_refusal
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Certainty,
    ClientMetadata,
    DeviceAuthorization,
    Initialize,
    Interaction,
    KeySet,
    Mcp,
    McpStream,
    Preflight,
    PushedAuthorization,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    Stage,
    TokenEndpoint,
    TokenMaintenance,
    TokenOther,
    TokenRefresh,
    TokenRequest,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, first_value
from oauthtap.model.sse import sse_events

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
        or answer_at_callback(exchange, so_far)
        or mcp_by_url(exchange, so_far)
        or _by_content(exchange, so_far)
        or _interaction(exchange, so_far)
    )
    if isinstance(stage, Mcp):
        return with_refusal(stage, so_far)
    found = (stage,) if stage else ()
    if not isinstance(stage, AuthorizationResponse) and (answer := redirect_to_callback(exchange, so_far, stage)):
        found = (*found, answer)
    if not found:
        guess = _by_path(exchange, so_far)
        if isinstance(guess, Mcp):
            return with_refusal(guess, so_far)
        found = (guess,) if guess else (Stage(exchange, "guess", find_initiator(exchange, Stage, so_far)),)
    return found


def _is_preflight(request: Request) -> bool:
    return (
        request.method == "OPTIONS"
        and request.header("origin") is not None
        and request.header("access-control-request-method") is not None
    )


# --- 0: by what a log says it was

_TOLD: dict[str, type[Stage]] = {
    kind.slug: kind
    for kind in (
        *(Registration, AuthorizationRequest, AuthorizationResponse, TokenRequest, TokenRefresh),
        *(ResourceMetadata, ServerMetadata, ClientMetadata, Initialize, McpStream, Stage),
    )
}


def _as_told(exchange: Exchange, so_far: Handshake) -> Stage | None:
    kind = _TOLD.get(exchange.role or "")
    if kind is AuthorizationResponse:
        return answer_to(first_value(exchange.request.query, "state"), exchange, so_far, "likely")
    if kind is ServerMetadata:
        return _server_metadata(exchange, so_far, "likely")
    if kind is ResourceMetadata:
        return stage_of(kind, exchange, "likely", so_far, variant=_prm_variant(exchange.request.url, so_far.resource))
    return stage_of(kind, exchange, "likely", so_far) if kind else None


# --- 1: by learned or fixed URLs


def _well_known(exchange: Exchange, so_far: Handshake) -> Stage | None:
    path = exchange.request.path
    if urls.OAUTH in path or urls.OIDC in path:
        return _server_metadata(exchange, so_far, "certain")
    named = exchange.request.url in so_far.metadata_urls
    if urls.PRM in path or named:
        variant = "header" if named else _prm_variant(exchange.request.url, so_far.resource)
        return stage_of(ResourceMetadata, exchange, "certain", so_far, variant=variant)
    if exchange.request.method == "GET" and exchange.request.url in so_far.client_ids:
        return stage_of(ClientMetadata, exchange, "certain", so_far)
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
    entries = [entry for document in reversed(so_far.all(ResourceMetadata)) for entry in document.listed_servers]
    for entry in entries:
        for place in urls.as_metadata_locations(entry):
            if place.url == urls.without_query(url):
                return stage_of(ServerMetadata, exchange, certainty, so_far, variant=place.how, expected_issuer=entry)
    built = list(urls.issuers_for_metadata_url(url))
    for candidate, how in built:
        for entry in entries:
            if entry.rstrip("/") == candidate.rstrip("/"):
                return stage_of(ServerMetadata, exchange, certainty, so_far, variant=how, expected_issuer=entry)
    issuer, how = built[0] if built else (None, "other")
    return stage_of(ServerMetadata, exchange, certainty, so_far, variant=how, expected_issuer=issuer)


def _at_learned_endpoint(exchange: Exchange, so_far: Handshake) -> Stage | None:
    request = exchange.request
    if not so_far.is_learned(request.url):
        return None

    def at(member: str) -> bool:
        return so_far.learned(member, request.url) is not None

    if at("token_endpoint") and request.method != "GET":
        return _token(exchange, so_far, "certain")
    if at("authorization_endpoint") and is_consent(exchange, so_far):
        return stage_of(Interaction, exchange, "certain", so_far)
    if at("authorization_endpoint") and (authorization := authorization_request(exchange, so_far, "certain")):
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
            return stage_of(kind, exchange, "certain", so_far)
    return _token(exchange, so_far, "certain") if at("token_endpoint") else None


def _token(exchange: Exchange, so_far: Handshake, certainty: Certainty) -> TokenEndpoint:
    request = exchange.request
    grant = (
        first_value(request.form, "grant_type")
        or request.json_object.get("grant_type")
        or first_value(request.query, "grant_type")
    )
    if grant == "refresh_token":
        return stage_of(TokenRefresh, exchange, certainty, so_far)
    if grant in (None, "", "authorization_code") or not isinstance(grant, str):
        return stage_of(TokenRequest, exchange, certainty, so_far)
    return stage_of(TokenOther, exchange, certainty, so_far)


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
            return stage_of(Registration, exchange, "likely", so_far)
        if posted.get("jsonrpc") == "2.0" or _is_batch(request.json_value):
            return mcp_stage(exchange, so_far, "likely")
        if "token" in members and (
            "token_type_hint" in members or "active" in (response.json_object if response else {})
        ):
            return stage_of(TokenMaintenance, exchange, "likely", so_far)
        if {"client_id"} <= members and response and "device_code" in response.json_object:
            return stage_of(DeviceAuthorization, exchange, "likely", so_far)
    asked = {name for name, _ in request.query}
    if "client_id" in asked and asked & {"response_type", "request_uri"} and not is_of_others(exchange, so_far):
        return authorization_request(exchange, so_far, "likely")
    if _has_mcp_headers(request):
        return mcp_stage(exchange, so_far, "likely")
    return _by_answer(exchange, so_far)


def _by_answer(exchange: Exchange, so_far: Handshake) -> Stage | None:
    response = exchange.response
    if response is None or response.status != 200 or exchange.request.method != "GET":
        return None
    document = response.json_object
    if {"resource", "authorization_servers"} <= set(document):
        return stage_of(ResourceMetadata, exchange, "likely", so_far, variant="other")
    if {"issuer", "token_endpoint"} <= set(document):
        return _server_metadata(exchange, so_far, "likely")
    fetched = exchange.actor == "authorization-server" and is_client_url(document.get("client_id"))
    own = document.get("client_id") == exchange.request.url
    if (own or fetched) and isinstance(document.get("redirect_uris"), list):
        return stage_of(ClientMetadata, exchange, "likely", so_far)
    keys = document.get("keys")
    if isinstance(keys, list) and keys and all(isinstance(key, dict) and "kty" in key for key in keys):
        return stage_of(KeySet, exchange, "likely", so_far)
    events = sse_events(response.body or "") if response.media_type == "text/event-stream" else []
    if events and events[0][0] == "endpoint":
        return mcp_stage(exchange, so_far, "likely")
    return None


def _is_batch(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "jsonrpc" in v for v in value)


def _has_mcp_headers(request: Request) -> bool:
    if ".well-known" in request.path:
        return False
    names = {name.lower() for name, _ in request.headers}
    return bool(names & {"mcp-method", "mcp-session-id"})


# --- 3: browser traffic, and what only the path tells


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
    return stage_of(Interaction, exchange, "likely", so_far) if navigation else None


def _by_path(exchange: Exchange, so_far: Handshake) -> Stage | None:
    """The 2025-03-26 default endpoints, by nothing but their names."""
    request = exchange.request
    last = request.path.rstrip("/").rpartition("/")[2]
    if request.method == "POST" and last == "register":
        return stage_of(Registration, exchange, "guess", so_far)
    if request.method == "POST" and last == "token":
        return _token(exchange, so_far, "guess")
    if request.method == "GET" and last == "authorize" and request.query and not is_of_others(exchange, so_far):
        return stage_of(AuthorizationRequest, exchange, "guess", so_far)
    if so_far.resource is None and request.method == "POST" and last in ("mcp", "sse"):
        return mcp_stage(exchange, so_far, "guess")
    bearer = "resource_metadata" in (exchange.response.header("www-authenticate") or "") if exchange.response else False
    asks_for_stream = bearer or "text/event-stream" in (request.header("accept") or "")
    if so_far.resource is None and request.method == "GET" and asks_for_stream:
        return mcp_stage(exchange, so_far, "likely")
    return None
