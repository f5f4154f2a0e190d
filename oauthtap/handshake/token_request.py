"""Which sign-in a token request belongs to, and who its sender says it is.

Secrets are struck out by the time anything comes here, so everything is told by
aliases: equal aliases are equal secrets, and a verifier's alias carries its digest.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import unquote_plus

from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Registration,
    ServerMetadata,
    Stage,
    TokenEndpoint,
    TokenRejected,
    text,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import all_values, first_value
from oauthtap.redaction.alias_format import parse_alias

BASIC, POST, JWT, NONE = "client_secret_basic", "client_secret_post", "private_key_jwt", "none"


@dataclass(frozen=True)
class ClientAuthentication:
    """Who the sender of a token request says it is, and by what it proves that."""

    methods: tuple[str, ...]
    """Every method in use, in the names of RFC 7591, 2; `("none",)` for a bare client_id."""
    client_id: str | None
    """As the authorization server would decode it; None when it stands nowhere readable."""
    raw_id: str | None = None
    """The user part of Basic credentials exactly as sent."""


def credentials(token: TokenEndpoint) -> ClientAuthentication:
    """Read the client's credentials from header and form (RFC 6749, 2.3.1). Raises Unseen."""
    methods: list[str] = []
    raw = None
    if token.authorization and token.authorization[0].lower() == "basic":
        methods.append(BASIC)
        raw = parse_alias(token.authorization[1].strip()).get("client_id")
    if token.get("client_secret"):
        methods.append(POST)
    if token.get("client_assertion"):
        methods.append(JWT)
    client_id = token.get("client_id") or (unquote_plus(raw) if raw is not None else None)
    return ClientAuthentication(tuple(methods) or (NONE,), client_id, raw)


def authorization_response_for(token: TokenEndpoint, so_far: Handshake) -> AuthorizationResponse | None:
    """The newest authorization response that delivered this request's code. Raises Unseen."""
    code = token.get("code")
    responses = so_far.all(AuthorizationResponse)
    return next((r for r in reversed(responses) if code and r.code == code), None)


def authorization_request_for(token: TokenEndpoint, so_far: Handshake) -> AuthorizationRequest | None:
    """The authorization request whose code is being exchanged, when that is beyond doubt.

    By the code and its state; by the verifier when the redirect was out of sight; or
    because there is only one. Raises Unseen.
    """
    requests = so_far.all(AuthorizationRequest)
    if answer := authorization_response_for(token, so_far):
        sure = len(requests) == 1 or (answer.requested is not None and answer.get("state") == _state(answer.requested))
        return answer.requested if sure else None
    by_verifier = [r for r in requests if _seen(r) and verifier_matches(token.get("code_verifier"), r)]
    if by_verifier:
        return by_verifier[-1]
    lone = requests[0] if len(requests) == 1 and _seen(requests[0]) else None
    return None if so_far.last(AuthorizationResponse) or lone is None or _hidden(lone) else lone


def verifier_matches(verifier: str | None, asked: AuthorizationRequest) -> bool | None:
    """The verifier belongs to the challenge of that request (RFC 7636, 4.6); None when nobody can tell."""
    challenge = asked.get("code_challenge")
    digest = parse_alias(verifier).get("s256") if verifier else None
    if not challenge or not verifier:
        return None
    if asked.get("code_challenge_method") == "S256":
        return None if digest is None else digest == challenge
    return challenge == verifier or (digest is not None and digest == s256(challenge))


def s256(value: str) -> str:
    """BASE64URL(SHA256(value)) without padding (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()).decode().rstrip("=")


def registered(client_id: str | None, so_far: Handshake) -> Registration | None:
    """The registration that issued this client id, where it was seen."""
    found = reversed(so_far.all(Registration))
    return next((r for r in found if client_id and r.ok and text(r.issued.get("client_id")) == client_id), None)


def metadata_of(token: TokenEndpoint, so_far: Handshake) -> ServerMetadata | None:
    """The newest metadata document that names this very token endpoint. Raises Unseen."""
    learned = so_far.learned("token_endpoint", token.url)
    documents = so_far.of(learned.exchange) if learned else ()
    return next((d for d in documents if isinstance(d, ServerMetadata)), None)


def expired(rejected: TokenRejected, token: TokenEndpoint) -> bool:
    """The token was refused for its age: the rejection says so, or its time was up by then. Raises Unseen."""
    bearer = rejected.challenged.bearer
    if "expire" in ((bearer.get("error_description") if bearer else None) or "").lower():
        return True
    lifetime = token.issued.get("expires_in")
    issued, refused = token.exchange.ended, rejected.exchange.started_at
    if not isinstance(lifetime, int | float) or issued is None or refused is None:
        return False
    return refused - issued >= lifetime


def redirected(stage: Stage) -> bool:
    """The sender was only following a redirect, which may have taken its method and body away."""
    return stage.initiator is not None and stage.initiator.at == "response.header.location"


def by_client(stage: Stage) -> bool:
    """The client itself sent this, of its own accord."""
    return stage.exchange.actor == "client" and not redirected(stage)


def _seen(asked: AuthorizationRequest) -> bool:
    return asked.request.method != "POST" or asked.request.body is not None


def _state(asked: AuthorizationRequest) -> str | None:
    return asked.get("state") if _seen(asked) else None


def _hidden(asked: AuthorizationRequest) -> bool:
    """Its parameters stand in a pushed or signed request that nobody showed us."""
    own = asked.request.query
    return first_value(own, "request") is not None or (bool(all_values(own, "request_uri")) and asked.pushed is None)
