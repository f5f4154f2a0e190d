"""PKCE's `code_challenge`, and `state`."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, TokenRequest
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import BLANKED
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule
from oauthtap.rules.authorization_request.refusals import Asked, own_request, refusal

_CODE_PROTECTION = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#authorization-code-protection"
_OAUTH21_752 = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-7.5.2"
_S256 = re.compile(r"[A-Za-z0-9_-]{43}")
_PLAIN = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_WEAK_STATE = re.compile(
    r"\bstate\b.{0,80}?(?:at least|short|length|characters|chars|entropy|weak|minimum|min_|invalid|malformed|format|random|long)|"
    r"(?:too short|minimum|insufficient|invalid|weak|malformed).{0,40}?\bstate\b",
    re.I | re.S,
)


@rule(
    "authz-pkce-missing",
    must(
        "MCP 2026-07-28 Authorization Security Considerations 'Authorization Code Protection'; OAuth 2.1 draft-13 §7.5.2",
        _CODE_PROTECTION,
    ),
    who="client",
    stops_at=("authorization-response", "token-request"),
)
def pkce_missing(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The authorization request has no `code_challenge` (PKCE).

    The client keeps a secret (`code_verifier`) and sends only its hash (`code_challenge`), so that
    a stolen code cannot be redeemed. Servers have to refuse requests without it.

    Usual causes: a hand-written login; a client made for older servers.

    Repair: In the client: send `code_challenge` and `code_challenge_method=S256`, and later the
    `code_verifier`.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        400

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302
    """
    code = "code" in (request.get("response_type") or "code").split()
    swallowed = request.url.count("?") > 1
    if own_request(request) and code and not request.get("code_challenge") and not swallowed:
        yield Problem(
            message="the request has no `code_challenge`; every MCP client has to send one",
            at="request.query.code_challenge",
            expected="the hash of the code verifier",
        )


@rule(
    "authz-pkce-not-s256",
    must(
        "MCP 2026-07-28 Authorization Security Considerations; OAuth 2.1 draft-13 §4.1.1; RFC 7636 §4.3",
        _CODE_PROTECTION,
    ),
    who="client",
    stops_at=("authorization-response", "token-request"),
)
def pkce_not_s256(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """`code_challenge_method` is not `S256`.

    Without `code_challenge_method` the value counts as the verifier itself (`plain`). Servers that
    support only `S256` refuse; others compare the wrong values at the token endpoint.

    Usual causes: the parameter was forgotten; the method is written `s256` or `SHA256`.

    Repair: In the client: send `code_challenge_method=S256` with a real hash.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM
        400

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302
    """
    method = request.get("code_challenge_method")
    if own_request(request) and request.get("code_challenge") and method != "S256":
        yield Problem(
            message=f"`code_challenge_method` is {method or 'missing, which means plain'}; it has to be S256",
            at="request.query.code_challenge_method",
            expected="S256",
            actual=method,
        )


@rule(
    "authz-code-challenge-format",
    must(
        "OAuth 2.1 draft-13 §4.1.1; RFC 7636 §4.2 and Appendix A",
        "https://www.rfc-editor.org/rfc/rfc7636.html#section-4.2",
    ),
    who="client",
    stops_at=("authorization-response", "token-request"),
)
def challenge_format(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """`code_challenge` does not have the length or characters that PKCE requires.

    An `S256` challenge is 43 characters of base64url without `=`. Otherwise the server cannot match
    it with the verifier, which shows only at the token endpoint, as `invalid_grant`.

    Usual causes: ordinary base64 (`+`, `/`, `=`) or a hexadecimal hash.

    Repair: In the client: encode the SHA-256 hash as base64url and strip the padding.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM%3D&code_challenge_method=S256
        302

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302
    """
    challenge = request.get("code_challenge")
    if not own_request(request) or not challenge or "‹" in challenge:
        return
    hashed = request.get("code_challenge_method") == "S256"
    if not (_S256 if hashed else _PLAIN).fullmatch(challenge):
        wanted = "43 characters of base64url without padding" if hashed else "43 to 128 unreserved characters"
        yield Problem(
            message=f"`code_challenge` has {len(challenge)} characters ({challenge[:60]}); it has to be {wanted}",
            at="request.query.code_challenge",
            expected=wanted,
            actual=challenge[:200],
        )


@rule(
    "authz-pkce-reused",
    must("OAuth 2.1 draft-13 §7.5.2", _OAUTH21_752),
    who="client",
    stops_only_at=(),
)
def pkce_reused(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client uses the same `code_challenge` for two authorization requests.

    A challenge protects one login. If it is reused, whoever learned the first verifier can redeem
    the second code too.

    Usual causes: the client keeps its verifier between attempts.

    Repair: In the client: make a new verifier and challenge for every attempt.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s2&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s2&code_challenge=Yk3vXc0dGm1s8Jb2b7eVh2lqk9nQmE0xw5tTz0pXo4A&code_challenge_method=S256
        302
    """
    challenge = request.get("code_challenge")
    if not challenge or not own_request(request):
        return
    for earlier in reversed(_earlier(request, so_far)):
        if earlier.get("code_challenge") != challenge:
            continue
        redeemed = any(
            token.exchange.id > earlier.exchange.id and token.exchange.actor == "client"
            for token in so_far.all(TokenRequest)
        )
        if redeemed or (earlier.get("state") and earlier.get("state") != request.get("state")):
            yield Problem(
                message=f"`code_challenge` was already used in exchange {earlier.exchange.id}; every login needs a new one",
                at="request.query.code_challenge",
                expected="a new value",
                actual=challenge[:200],
            )
        return


def _earlier(request: AuthorizationRequest, so_far: Handshake) -> list[AuthorizationRequest]:
    """The client's own earlier requests to the same server, oldest first."""
    return [
        earlier
        for earlier in so_far.all(AuthorizationRequest)[-200:]
        if earlier.exchange.request.body is not None
        and own_request(earlier)
        and earlier.get("client_id") == request.get("client_id")
    ]


@rule(
    "authz-state-missing",
    should(
        "MCP 2026-07-28 Authorization Security Considerations 'Open Redirection'; OAuth 2.1 draft-13 §2.3.3",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#open-redirection",
    ),
    who="client",
    stops_at=("authorization-response",),
    stops_only_at=("authorization-request", "authorization-interaction", "authorization-response"),
)
def state_missing(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The authorization request has no `state`.

    The server returns `state` with the authorization response; by it a client knows which of its
    requests the response belongs to, and that it sent one at all (CSRF). Some servers refuse
    requests without it.

    Usual causes: the client relies on PKCE alone.

    Repair: In the client: send a random `state` of 32 characters or more, and compare it at the
    callback.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        200 {"error": "missing_state"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1
        302
    """
    # Whoever took one value out of the URL they pasted may have taken this parameter out whole.
    edited = any(value.startswith(BLANKED) for _, value in request.request.query)
    if own_request(request) and not request.get("state") and not edited and request.url.count("?") < 2:
        yield Problem(
            message="the request has no `state`; it has to be a random value",
            at="request.query.state",
            expected="a random value",
        )


@rule(
    "authz-state-reused",
    should("OAuth 2.1 draft-13 §2.3.3", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.3.3"),
    who="client",
    stops_at=("authorization-response", "token-request"),
)
def state_reused(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client uses the same `state` for two authorization requests.

    The client can no longer tell which of the two a response belongs to. It sends the wrong
    verifier, and the code is refused.

    Usual causes: two logins at the same time share their storage.

    Repair: In the client: make a new `state` for every request, and store the verifier under it.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM
        302
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1&code_challenge=Yk3vXc0dGm1s8Jb2b7eVh2lqk9nQmE0xw5tTz0pXo4A
        302

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM
        302
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s2&code_challenge=Yk3vXc0dGm1s8Jb2b7eVh2lqk9nQmE0xw5tTz0pXo4A
        302
    """
    state, challenge = request.get("state"), request.get("code_challenge")
    if not state or not challenge or not own_request(request):
        return
    for earlier in _earlier(request, so_far):
        other = earlier.get("code_challenge")
        if earlier.get("state") == state and other and other != challenge:
            yield Problem(
                message=f"`state` was already used in exchange {earlier.exchange.id}, although the code challenge is new",
                at="request.query.state",
                expected="a new value",
                actual=state[:200],
            )
            return


@rule(
    "authz-state-refused",
    practice("RFC 6749 §4.1.1 and §10.12", "https://datatracker.ietf.org/doc/html/rfc6749#section-4.1.1"),
    who="authorization-server",
    severity="error",
    stops_at=("authorization-request", "authorization-response"),
)
def state_refused(stage: Asked, so_far: Handshake) -> Problems:
    """The server refuses the client's `state` because of its length or characters.

    `state` is opaque to the server; no specification sets a length. A server that demands one
    excludes every client with a shorter value.

    Usual causes: a security setting of the authorization server (8 or 32 characters).

    Repair: Let the authorization server accept any `state` that is not empty. Until then, only
    clients with a longer one get in.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1
        400 {"error": "invalid_request", "error_description": "state must be at least 8 characters"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1
        302
        Location: https://as.example.com/login
    """
    no = refusal(stage, so_far)
    state = no.asked.get("state") if no else None
    if no and state and no.about(_WEAK_STATE):
        yield Problem(
            message=f"the server refuses a `state` of {len(state)} characters: {no.quoted}",
            at=no.at,
            expected="any state",
            actual=f"{len(state)} characters",
        )
