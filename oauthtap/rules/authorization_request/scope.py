"""The `scope` of the request: which permissions the client asks for."""

from __future__ import annotations

import re
from itertools import pairwise

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Mcp,
    ResourceMetadata,
    StepUp,
    TokenRejected,
    TokenRequest,
    scopes,
)
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import expired
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule
from oauthtap.rules.authorization_request.refusals import SCOPE, Asked, own_request, refusal

_SELECTION = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#scope-selection-strategy"
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_STANDARD = {"openid", "profile", "email", "offline_access", "address", "phone"}


def _challenged(so_far: Handshake, before: int) -> Mcp | None:
    """The newest refusal before that exchange that named scopes."""
    for stage in reversed(so_far.all(Mcp)):
        if stage.exchange.id < before and stage.status in (401, 403) and scopes(stage.scope):
            return stage
    return None


def _listed(request: AuthorizationRequest, handshake: Handshake) -> tuple[ResourceMetadata, tuple[str, ...]] | None:
    """The scopes that the client had read in the protected resource metadata, which it asks for without a challenge's.

    MCP 2025-11-25, 'Scope Selection Strategy': `scope` of the challenge, else all of `scopes_supported`.
    """
    if handshake.revision < "2025-11-25":
        return None
    read = [
        one
        for one in handshake.all(ResourceMetadata)
        if one.ok and one.exchange.actor == "client" and one.exchange.id < request.exchange.id
    ]
    names = read[-1].list("scopes_supported") if read else ()
    return (read[-1], tuple(names)) if names else None


def _lacked(request: AuthorizationRequest, scopes_: set[str], handshake: Handshake) -> bool:
    """An MCP request after it is refused for one of these scopes, or for a scope that is not named."""
    later = [one for one in handshake.all(StepUp) if one.exchange.id > request.exchange.id]
    first = next((one for one in later if one.exchange.actor == "client"), None)
    named = set(scopes(first.scope)) if first is not None else set()
    return first is not None and bool(named & scopes_ if named else scopes_)


@rule(
    "authz-scope-not-from-challenge",
    should("MCP 2026-07-28 'Scope Selection Strategy'", _SELECTION),
    who="client",
    severity="note",
    since="2025-06-18",
    stops_at=("token-request", "mcp-token-rejected", "mcp-step-up"),
)
def scope_not_from_challenge(handshake: Handshake) -> Problems:
    """`scope` of the authorization request lacks scopes that the MCP server asks for.

    The challenge named the scopes that the MCP server requires, or without them its protected resource
    metadata did (`scopes_supported`). The client asks for others, so the token will lack them, and the
    MCP server refuses it after the login.

    Usual causes: the client has configured scopes, or does not read the header or the metadata.

    Repair: In the client: ask for the scopes of the challenge first. If scopes are configured, add
    the missing ones.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer scope="files:read"
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&scope=openid
        302

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer scope="files:read"
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&scope=openid+files:read
        302
    """
    told: set[tuple[str, ...]] = set()
    for request in handshake.all(AuthorizationRequest):
        if request.exchange.request.body is None or not own_request(request):
            continue
        challenge = _challenged(handshake, request.exchange.id)
        wanted = scopes(challenge.scope) if challenge else ()
        asked = scopes(request.get("scope"))
        missing = tuple(scope for scope in wanted if scope not in asked)
        if challenge is None and (listed := _listed(request, handshake)) is not None:
            document, names = listed
            lacking = tuple(scope for scope in names if scope not in asked)
            if lacking not in told and _lacked(request, set(lacking), handshake):
                told.add(lacking)
                yield Problem(
                    exchange=request.exchange.id,
                    message=f"`scope` is {' '.join(asked)[:200] or 'missing'}; the protected resource metadata in exchange "
                    f"{document.exchange.id} lists {' '.join(names)[:200]}, and the MCP server refuses the token for its scope",
                    at="request.query.scope",
                    expected=" ".join(names),
                    actual=" ".join(asked) or None,
                    severity="error",
                    fix="In the client: where the challenge names no scopes, ask for those of `scopes_supported` in the "
                    "protected resource metadata. If scopes are configured, add the missing ones.",
                )
        if challenge is None or not missing or missing in told:
            continue
        told.add(missing)
        later = [s for s in handshake.all(Mcp) if s.exchange.id > request.exchange.id]
        again = any(isinstance(s, StepUp | TokenRejected) and set(missing) & set(scopes(s.scope)) for s in later)
        yield Problem(
            exchange=request.exchange.id,
            message=f"`scope` is {' '.join(asked)[:200] or 'missing'}; the challenge in exchange {challenge.exchange.id} asks for {' '.join(wanted)[:200]}",
            at="request.query.scope",
            expected=" ".join(wanted),
            actual=" ".join(asked) or None,
            severity="warning" if again else None,
        )


@rule(
    "authz-scope-unknown-to-as",
    practice(
        "OAuth 2.1 draft-13 §1.4.1 and §4.1.2.1; RFC 8414 §2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-1.4.1",
    ),
    who="client",
    severity="warning",
    stops_at=("authorization-request", "authorization-response"),
)
def scope_unknown(stage: Asked, so_far: Handshake) -> Problems:
    """The authorization server refuses a scope that its `scopes_supported` does not list.

    The server lists its scopes in `scopes_supported`. One unknown scope makes it refuse the whole
    request.

    Usual causes: the MCP server names scopes that were never created at the authorization server;
    the client asks for `openid email profile` by default.

    Repair: Create the scope at the authorization server, or remove it from the challenge, the
    protected resource metadata, and the client's configuration.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["files:read"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback&scope=files:all
        302
        Location: http://localhost:8000/callback?error=invalid_scope

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["files:read"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback&scope=files:read
        302
        Location: http://localhost:8000/callback?code=code-1
    """
    no, metadata = refusal(stage, so_far), so_far.metadata
    if no is None or metadata is None or not isinstance(metadata.document.get("scopes_supported"), list):
        return
    if no.error != "invalid_scope" and not no.about(SCOPE):
        return
    known = metadata.list("scopes_supported")
    unknown = [scope for scope in scopes(no.asked.get("scope")) if scope not in known]
    if unknown:
        yield Problem(
            exchange=no.asked.exchange.id,
            message=f"the server knows the scopes [{' '.join(known)[:200]}], not {' '.join(unknown)[:200]}, and refuses: {no.quoted}",
            at="request.query.scope",
            expected=" ".join(known) or None,
            actual=" ".join(unknown),
        )


@rule(
    "authz-scope-format",
    must("OAuth 2.1 draft-13 §1.4.1; RFC 6749 §3.3", "https://datatracker.ietf.org/doc/html/rfc6749#section-3.3"),
    who="client",
    severity="warning",
    stops_at=("authorization-response",),
)
def scope_format(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The scopes in `scope` are not separated by single spaces.

    The server splits the value at spaces. With commas it sees one long unknown scope, and refuses
    it.

    Usual causes: a list joined with commas; leading or trailing spaces in a configured value.

    Repair: Separate the configured scopes with one space each.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["files:read", "files:write"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&scope=files:read,files:write
        302

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["files:read", "files:write"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&scope=files:read+files:write
        302
    """
    scope = request.get("scope")
    if not scope or not own_request(request):
        return
    wrong = None
    strange = [item for item in scope.split() if not _TOKEN.fullmatch(item) and "‹" not in scope]
    if strange:
        wrong = f"`{strange[0][:80]}` has a character that no scope may have"
    elif "," in scope and _joined_by_commas(scope, so_far):
        wrong = "there are commas between the scopes"
    elif scope != " ".join(scope.split()):
        wrong = "there are spaces at an end, or two in a row"
    if wrong:
        yield Problem(
            message=f"{wrong}; scopes have to be separated by single spaces",
            at="request.query.scope",
            expected=" ".join(scope.replace(",", " ").split()),
            actual=scope[:200],
        )


def _joined_by_commas(scope: str, so_far: Handshake) -> bool:
    """At least two of the pieces between commas are scopes that somebody published."""
    known = set(_STANDARD)
    for document in (so_far.prm, so_far.metadata):
        known |= set(document.list("scopes_supported")) if document else set()
    for stage in so_far.all(Mcp)[-50:]:
        known |= set(scopes(stage.scope))
    pieces = [piece.strip() for item in scope.split() for piece in item.split(",")]
    return any(one in known and other in known for one, other in pairwise(filter(None, pieces)))


_OF_GRANTED = re.compile(
    r"(?:invalid|unknown|unsupported) scopes?: ?['\"]?\w|asked for scope|\btoken\b.{0,60}\bscopes?\b|insufficient|\bpolicy\b"
    r"|requested scopes? (?:['\"]|is not|are not)|scopes? requested (?:is|are) not|\bscopes? ['\"][^'\"]{1,80}['\"]"
    r"|parameter scope (?:is not|isn't) valid",
    re.I,
)
"""Words about a scope that was asked for or is not granted: without one in the request they are no call for one."""


@rule(
    "authz-scope-missing",
    practice(
        "RFC 6749 §3.3; MCP 2026-07-28 'Scope Selection Strategy'",
        "https://datatracker.ietf.org/doc/html/rfc6749#section-3.3",
    ),
    who="client",
    severity="warning",
    stops_at=("authorization-request", "authorization-response"),
)
def scope_missing(stage: Asked, so_far: Handshake) -> Problems:
    """The server refuses an authorization request without `scope`.

    Some servers demand a scope (Entra does), others treat a missing one as an empty one, and refuse
    it.

    Usual causes: neither the challenge nor the protected resource metadata names scopes, or the
    client does not read them.

    Repair: Name the scopes in the challenge (`scope="…"`) and in the protected resource metadata
    (`scopes_supported`), and let the authorization server apply a default.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback
        302
        Location: http://localhost:8000/callback?error=invalid_request&error_description=scope+is+required

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback&scope=files:read
        302
        Location: http://localhost:8000/callback?error=access_denied
    """
    no = refusal(stage, so_far)
    if no is None or scopes(no.asked.get("scope")) or _OF_GRANTED.search(no.words):
        return
    published = so_far.metadata.list("scopes_supported") if so_far.metadata else ()
    if no.about(SCOPE) or (no.error == "access_denied" and no.at_once and published):
        prm = so_far.prm
        wanted = (prm.list("scopes_supported") if prm else ()) or published
        yield Problem(
            exchange=no.asked.exchange.id,
            message=f"the request has no `scope`, and the server refuses: {no.quoted}",
            at="request.query.scope",
            expected=" ".join(wanted)[:300] or "a scope",
        )


@rule(
    "authz-offline-access-without-consent",
    practice("OpenID Connect Core 1.0 §11", "https://openid.net/specs/openid-connect-core-1_0.html#OfflineAccess"),
    who="client",
)
def offline_access_without_consent(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client requests `offline_access` from an OpenID provider without `prompt=consent`.

    Strict OpenID providers issue a refresh token only if the user consents in this login
    (`prompt=consent`). Otherwise they ignore `offline_access`, and the user signs in again at every
    expiry.

    Usual causes: the client treats all servers alike.

    Repair: If no refresh token comes: in the client, add `prompt=consent`.

    Bad:
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&scope=openid+offline_access
        302

    Good:
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&scope=openid+offline_access&prompt=consent
        302
    """
    metadata = so_far.metadata
    if metadata is None or not metadata.oidc or not own_request(request):
        return
    prompt = (request.get("prompt") or "").split()
    if "offline_access" in scopes(request.get("scope")) and "consent" not in prompt:
        yield Problem(
            message=f"`scope` has offline_access and `prompt` is {' '.join(prompt) or 'missing'}; OpenID requires `consent`",
            at="request.query.prompt",
            expected="consent",
            actual=" ".join(prompt) or None,
        )


@rule(
    "authz-offline-access-not-requested",
    practice(
        "MCP 2026-07-28 'Refresh Tokens'; SEP-2207",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#refresh-tokens",
    ),
    who="client",
    stops_at=("token-request", "token-refresh", "mcp-token-rejected"),
)
def offline_access_not_requested(handshake: Handshake) -> Problems:
    """The access token expired; no refresh token, because `offline_access` was never requested.

    This server gives refresh tokens only to clients that ask for `offline_access`. Without one the
    user has to sign in again as soon as the access token expires.

    Usual causes: the client asks for exactly the scopes of the metadata, and `offline_access` is not
    among them.

    Repair: In the client: add `offline_access` when the authorization server lists it. If the scopes
    are configured, add it there.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["files", "offline_access"], "token_endpoint": "https://as.example.com/token"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&scope=files
        302
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 60}
        @+120
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Authorization: Bearer made-up-token-1

        401
        WWW-Authenticate: Bearer error="invalid_token"

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["files", "offline_access"], "token_endpoint": "https://as.example.com/token"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&scope=files+offline_access
        302
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code
        200 {"access_token": "made-up-token-1", "refresh_token": "made-up-refresh-1", "token_type": "Bearer", "expires_in": 60}
    """
    request, metadata = handshake.authorization, handshake.metadata
    token = handshake.last(TokenRequest, ok=True)
    if request is None or metadata is None or token is None or request.exchange.request.body is None:
        return
    asked = scopes(request.get("scope"))
    if "offline_access" not in metadata.list("scopes_supported") or "offline_access" in asked:
        return
    if not own_request(request) or "refresh_token" in token.issued or not token.issued:
        return
    rejected = next((s for s in handshake.all(TokenRejected) if s.exchange.id > token.exchange.id), None)
    if rejected and expired(rejected, token):
        yield Problem(
            exchange=request.exchange.id,
            message=f"`scope` is {' '.join(asked)[:200] or 'missing'}, without offline_access; the token of exchange {token.exchange.id} came without refresh token and has expired",
            at="request.query.scope",
            expected=" ".join((*asked, "offline_access")),
            actual=" ".join(asked) or None,
            severity="error",
        )
