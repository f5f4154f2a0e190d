"""What a refusal means after earlier requests: a new token, a loop, a token that was accepted before."""

from __future__ import annotations

from collections.abc import Iterator

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Mcp, Registration, StepUp, TokenEndpoint, TokenRejected
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule

_HANDLING = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#token-handling"
_FRESH = 60.0
_CYCLES, _WITHIN = 3, 300.0


def _issued_by(token: str | None, so_far: Handshake) -> TokenEndpoint | None:
    """The answer that issued this token, where the recording has it."""
    place = so_far.issued.get(token or "")
    if place is None:
        return None
    return next((stage for stage in so_far.of(place) if isinstance(stage, TokenEndpoint)), None)


def _age(stage: Mcp, issued: TokenEndpoint) -> float | None:
    at, since = stage.exchange.started_at, issued.exchange.ended
    return None if at is None or since is None else at - since


def _with(token: str | None, so_far: Handshake) -> Iterator[Mcp]:
    """The MCP requests with this token, each once, oldest first."""
    done: set[int] = set()
    for stage in so_far.all(Mcp):
        if token and stage.bearer == token and stage.exchange.id not in done:
            done.add(stage.exchange.id)
            yield stage


@rule(
    "token-rejected-immediately",
    practice("MCP 2026-07-28 'Token Handling'", _HANDLING),
    who="resource-server",
    severity="error",
    symptom=True,
)
def rejected_at_once(stage: TokenRejected, so_far: Handshake) -> Problems:
    """The MCP server refuses an access token that was just issued.

    The sign-in worked, but the token is not accepted. So authorization server and MCP server
    disagree about what a valid token is.

    Usual causes: the audience or issuer the server expects; an opaque token where it expects a JWT;
    keys it cannot fetch; clocks that differ; a missing expiry.

    Repair: Compare what the server checks (audience, issuer, keys, scope) with the token, and
    correct the one that is wrong.

    Bad:
        POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
        200 {"access_token": "made-up-token", "token_type": "Bearer"}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token
        401
        WWW-Authenticate: Bearer error="invalid_token"

    Good:
        POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
        200 {"access_token": "made-up-token", "token_type": "Bearer"}

        @+7200
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token
        401
        WWW-Authenticate: Bearer error="invalid_token"
    """
    issued = _issued_by(stage.bearer, so_far)
    if issued is None or stage.status != 401 or any(_with(stage.bearer, so_far)):
        return
    age = _age(stage, issued)
    if age is None or age < _FRESH:
        moment = "at its first use" if age is None else f"{max(age, 0):.0f} s after it was issued"
        yield Problem(
            message=f"The token from exchange {issued.exchange.id} is refused {moment}; a fresh token has to be accepted",
            at="response.status",
            expected="a success",
            actual="401",
        )


@rule(
    "token-rejected-loop",
    practice(
        "MCP 2026-07-28 'Step-Up Authorization Flow' (retry limits); RFC 9110 §15.5.2",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#step-up-authorization-flow",
    ),
    who="client",
    severity="error",
    symptom=True,
)
def rejected_in_a_loop(stage: TokenRejected, so_far: Handshake) -> Problems:
    """The MCP server refuses each new access token that the client gets.

    Signing in again does not help while the cause remains. The user sees one consent page after the
    other.

    Repair: Find out why the first token was refused (see the other findings); let the
    client stop after a few attempts.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        401

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "initialize"}
        Authorization: Bearer made-up-token-2
        401

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 3, "method": "initialize"}
        Authorization: Bearer made-up-token-3
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        401

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "initialize"}
        Authorization: Bearer made-up-token-2
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}
    """
    if stage.status != 401 or stage.bearer is None or stage.exchange.actor != "client":
        return
    tokens = {stage.bearer}
    for earlier in reversed(so_far.all(Mcp)):
        if earlier.bearer is None or _apart(earlier, stage) > _WITHIN:
            continue
        if earlier.ok:
            break
        if isinstance(earlier, TokenRejected) and earlier.status == 401:
            if earlier.bearer == stage.bearer and len(tokens) == 1 and earlier is not stage:
                return
            tokens.add(earlier.bearer)
    if len(tokens) == _CYCLES:
        yield Problem(
            message=f"{len(tokens)} different tokens in a row were refused with 401; a client has to stop before that",
            at="request.header.authorization",
            expected=f"fewer than {_CYCLES} attempts",
            actual=f"{len(tokens)} tokens refused",
        )


def _apart(one: Mcp, other: Mcp) -> float:
    if one.exchange.started_at is None or other.exchange.started_at is None:
        return 0.0
    return other.exchange.started_at - one.exchange.started_at


@rule(
    "token-rejected-inconsistently",
    practice("MCP 2026-07-28 'Token Handling'", _HANDLING),
    who="resource-server",
    severity="error",
    stops_at=("authorization-request", "authorization-interaction", "mcp-stream"),
)
def rejected_now_and_then(stage: Mcp, so_far: Handshake) -> Problems:
    """The MCP server accepts an access token in one request and refuses it in another.

    The client treats the token as expired and signs in again each time, although the token is
    valid. Usual causes: several instances that do not share their tokens; another application that
    gets the GET requests of the same URL.

    Repair: Validate tokens the same way on every instance and for every method. Where
    there is no stream, answer 405 to GET.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}

        GET https://mcp.example.com/mcp
        Authorization: Bearer made-up-token
        Accept: text/event-stream
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}

        GET https://mcp.example.com/mcp
        Authorization: Bearer made-up-token
        Accept: text/event-stream
        405
    """
    if stage.bearer is None or not (stage.ok or (isinstance(stage, TokenRejected) and stage.status == 401)):
        return
    if stage.ok and not so_far.all(TokenRejected) and not so_far.all(StepUp):
        return
    before = [s for s in _with(stage.bearer, so_far) if s.exchange.actor == stage.exchange.actor]
    accepted, refused = [s for s in before if s.ok], [s for s in before if s.status == 401]
    if stage.ok:
        if len(refused) != 1 or not accepted or accepted[-1].exchange.id > refused[-1].exchange.id:
            return
        odd, other = refused[-1], stage
        if odd.request.method != "POST" or _new_session(odd, accepted[-1]):
            return
    else:
        if not accepted or refused or not _still_good(stage, so_far) or _apart(accepted[-1], stage) > _FRESH:
            return
        if stage.request.method == "POST" and not _known_lifetime(stage, so_far):
            return
        odd, other = stage, accepted[-1]
        if _new_session(odd, other):
            return
    stream = odd.request.method == "GET"
    yield Problem(
        message=f"The same token is accepted in exchange {other.exchange.id} ({other.request.method}) and refused in "
        f"exchange {odd.exchange.id} ({odd.request.method})",
        at="response.status",
        expected="405" if stream else str(other.status),
        actual="401",
        exchange=odd.exchange.id,
        patch=Patch(status=405, headers={"WWW-Authenticate": None, "Allow": "POST"}, body="") if stream else None,
    )


def _new_session(odd: Mcp, other: Mcp) -> bool:
    """The refused request names another session: then it may be the session that is unknown."""
    session = odd.request.header("mcp-session-id")
    given = other.response.header("mcp-session-id")
    return session is not None and session not in (other.request.header("mcp-session-id"), given)


def _known_lifetime(stage: Mcp, so_far: Handshake) -> bool:
    issued = _issued_by(stage.bearer, so_far)
    expires = issued.issued.get("expires_in") if issued else None
    return isinstance(expires, int | float) or "exp" in (claims(stage.bearer or "") or {})


def _still_good(stage: Mcp, so_far: Handshake) -> bool:
    """The token has not expired, as far as its claims or its answer tell."""
    at, expiry = stage.exchange.started_at, (claims(stage.bearer or "") or {}).get("exp")
    if isinstance(expiry, int | float) and at is not None and at > expiry - 5:
        return False
    issued = _issued_by(stage.bearer, so_far)
    lifetime = issued.issued.get("expires_in") if issued else None
    age = _age(stage, issued) if issued else None
    return not (isinstance(lifetime, int | float) and age is not None and age > lifetime - 5)


@rule(
    "token-rejected-static",
    practice("RFC 6750 §3.1", "https://datatracker.ietf.org/doc/html/rfc6750#section-3.1"),
    who="client",
    severity="error",
    stops_at=("client-registration", "as-discovery", "prm-discovery"),
)
def static_token_rejected(stage: Registration, so_far: Handshake) -> Problems:
    """The configured access token is refused, and the server does not support OAuth.

    This server does not support OAuth; its tokens come from elsewhere and are set in the client's
    configuration. When one is refused, clients try OAuth anyway and report that failure instead.

    Usual causes: a token that is mistyped, expired, or for another environment.

    Repair: Replace the token in the client's configuration (for Claude Code: the
    `headers` of the server in `.mcp.json`).

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token
        401

        POST https://mcp.example.com/register {"client_name": "App", "redirect_uris": ["http://localhost:1/cb"]}
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401

        POST https://mcp.example.com/register {"client_name": "App", "redirect_uris": ["http://localhost:1/cb"]}
        404
    """
    if stage.ok or stage.status is None or so_far.prm is not None or so_far.metadata is not None:
        return
    first = next((s for s in so_far.all(Mcp) if s.exchange.actor == "client"), None)
    refused = isinstance(first, TokenRejected) and first.status == 401 and first.bearer not in so_far.issued
    if first is None or not refused or so_far.token is not None or so_far.authorized is not None:
        return
    if stage.initiator is not None and stage.initiator.guess and len(so_far.all(Registration)) == 0:
        yield Problem(
            message=f"The first request already carries a token that is refused (401), and the server has no OAuth: "
            f"{stage.request.path} is answered {stage.status}",
            at="request.header.authorization",
            expected="a token the server accepts",
            actual="401",
            exchange=first.exchange.id,
        )


@rule(
    "dpop-nonce-not-honoured",
    must("RFC 9449 §8 and §9; SEP-1932", "https://www.rfc-editor.org/rfc/rfc9449.html#section-8"),
    who="client",
    severity="warning",
    since="2025-11-25",
)
def dpop_nonce_left_out(stage: Mcp | TokenEndpoint, so_far: Handshake) -> Problems:
    """The DPoP proof does not contain the nonce from `DPoP-Nonce`.

    The server sent a nonce in `DPoP-Nonce` and requires it in the next proof. Without it every
    further attempt is refused. Usual causes: a client library that does not support nonces.

    Repair: Repeat the request with a proof whose `nonce` is the value of `DPoP-Nonce`.

    Bad:
        POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
        DPoP: eyJhbGciOiJFUzI1NiIsInR5cCI6ImRwb3Arand0In0.eyJodG0iOiJQT1NUIiwianRpIjoiMSJ9.c2ln
        400 {"error": "use_dpop_nonce"}
        DPoP-Nonce: n-1

        POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
        DPoP: eyJhbGciOiJFUzI1NiIsInR5cCI6ImRwb3Arand0In0.eyJodG0iOiJQT1NUIiwianRpIjoiMiJ9.c2ln
        400 {"error": "use_dpop_nonce"}
        DPoP-Nonce: n-1

    Good:
        POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
        DPoP: eyJhbGciOiJFUzI1NiIsInR5cCI6ImRwb3Arand0In0.eyJodG0iOiJQT1NUIiwianRpIjoiMSJ9.c2ln
        400 {"error": "use_dpop_nonce"}
        DPoP-Nonce: n-1

        POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
        DPoP: eyJhbGciOiJFUzI1NiIsInR5cCI6ImRwb3Arand0In0.eyJodG0iOiJQT1NUIiwianRpIjoiMyIsIm5vbmNlIjoibi0xIn0.c2ln
        200 {"access_token": "made-up-token", "token_type": "DPoP"}
    """
    proof = claims(stage.request.header("dpop") or "")
    if proof is None or "nonce" in proof or stage.exchange.actor != "client":
        return
    asked = (s for s in reversed(so_far.stages) if s.url == stage.url and s.exchange.response is not None)
    last = next(asked, None)
    if last is None:
        return
    told = f"{last.response.header('www-authenticate') or ''} {(last.response.body or '')[:2000]}"
    if last.response.header("dpop-nonce") is not None and "use_dpop_nonce" in told:
        yield Problem(
            message=f"The proof has no nonce, although exchange {last.exchange.id} gave one and asked for it",
            at="request.header.dpop",
            expected="a proof with the nonce of DPoP-Nonce",
            actual="no nonce",
        )
