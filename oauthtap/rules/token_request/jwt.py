"""What a look into the access token shows: for whom it is, from whom, until when. No signature is checked."""

from __future__ import annotations

import re
from typing import Any

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    Mcp,
    ResourceMetadata,
    ServerMetadata,
    StepUp,
    TokenEndpoint,
    TokenRejected,
    text,
    texts,
)
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import authorization_request_for, metadata_of
from oauthtap.model import urls
from oauthtap.model.exchange import all_values
from oauthtap.model.requirements import practice, should
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule

_REJECTED = ("mcp-token-rejected", "mcp-initialize", "mcp-request", "mcp-challenge", "mcp-step-up")
_COULD_READ = re.compile(r"audience|issuer|expired|revoked|scope|session", re.I)
"""Words of a server that did understand the token, and minds something else about it."""
_AT_ONCE = 30.0
"""Seconds after its issue in which a token is certainly still good."""
_SKEW, _DRIFT = 60.0, 120.0
"""Seconds by which clocks may differ, and by which `exp` and `expires_in` may."""


@rule(
    "token-jwt-audience",
    should(
        "RFC 8707 §2; RFC 9068 §2.2 and §3; MCP 2026-07-28 'Token Handling'",
        "https://www.rfc-editor.org/rfc/rfc8707.html#section-2",
    ),
    who="authorization-server",
    since="2025-06-18",
    stops_at=_REJECTED,
)
def audience(stage: TokenEndpoint | TokenRejected, so_far: Handshake) -> Problems:
    """The access token's audience (`aud`) is not this MCP server.

    `aud` names who may accept a token. An MCP server has to refuse tokens that do not name it, so
    the first call after a successful sign-in is answered with 401, every time.

    Usual causes: the authorization server ignores `resource` and uses a default API, its userinfo
    endpoint, or the client id as audience.

    Repair: Make the authorization server turn `resource` into the audience (Auth0: the
    API identifier; Entra: the application ID URI), or have the MCP server accept the
    audience that is issued for it.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&resource=https://mcp.example.com/mcp
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL2FwaS5leGFtcGxlLm9yZyJ9.bWFkZS11cA", "token_type": "Bearer"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&resource=https://mcp.example.com/mcp
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL21jcC5leGFtcGxlLmNvbS9tY3AifQ.bWFkZS11cA", "token_type": "Bearer"}
    """
    inside = _inside(stage, so_far)
    wanted = _resources(stage, so_far)
    if inside is None or not wanted:
        return
    named = _audiences(inside)
    plain = {value.rstrip("/") for value in wanted}
    if plain & {value.rstrip("/") for value in named}:
        return
    refused = isinstance(stage, TokenRejected)
    if (
        not named and "aud" in inside and not refused
    ):  # an empty list: the server meant to say for whom, and named nobody
        yield Problem(
            message=f"the token's `aud` is empty; this server is {wanted[0]}",
            at="response.json.access_token",
            expected=wanted[0],
            actual="[]",
        )
        return
    near = {urls.origin(value) for value in wanted} & {value.rstrip("/") for value in named}
    if not refused and (not named or (near and not _is_for_the_issuer(named, stage, so_far))):
        return
    abstract = not any(value.startswith(("https://", "http://")) for value in named)
    brought = refused and so_far.token is None and not abstract  # nobody issued it here: it is of another sign-in
    actual = ", ".join(named)[:200] or "absent"
    yield Problem(
        message=f"the token's `aud` is {actual}; this server is {wanted[0]}{', which refused it' if refused else ''}",
        at="request.header.authorization" if refused else "response.json.access_token",
        expected=wanted[0],
        actual=actual,
        severity="error" if refused and not near else "note" if abstract and not refused else None,
        responsible="client" if brought and not near else None,
        fix="Sign in at this server, and send it the token of that sign-in only." if brought and not near else "",
    )


def _is_for_the_issuer(named: tuple[str, ...], stage: TokenEndpoint | TokenRejected, so_far: Handshake) -> bool:
    """The audience is the authorization server itself, and no resource has that name."""
    metadata = _metadata(stage, so_far)
    issuer = metadata.issuer if metadata else None
    stated = {document.resource for document in so_far.all(ResourceMetadata) if document.ok}
    return issuer is not None and named == (issuer,) and issuer not in stated


@rule(
    "token-jwt-issuer",
    practice("RFC 9068 §2.2 and §4", "https://www.rfc-editor.org/rfc/rfc9068.html#section-4"),
    who="authorization-server",
    severity="warning",
    stops_at=_REJECTED,
)
def issuer(stage: TokenEndpoint | TokenRejected | ServerMetadata, so_far: Handshake) -> Problems:
    """The access token's issuer (`iss`) is not the `issuer` of the metadata.

    An MCP server compares `iss` with its configured issuer, usually the one in the metadata,
    character by character, and refuses a token that differs. Usual causes: Entra issues v1 tokens
    (`sts.windows.net`) with v2 metadata; a trailing slash on one side only; a custom domain on one
    side only.

    Repair: Have the token version or domain that the MCP server expects issued (Entra:
    `requestedAccessTokenVersion: 2`), or configure the MCP server for the issuer in the token.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL3N0cy5leGFtcGxlLmNvbS8ifQ.bWFkZS11cA", "token_type": "Bearer"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIn0.bWFkZS11cA", "token_type": "Bearer"}
    """
    metadata = stage if isinstance(stage, ServerMetadata) else _metadata(stage, so_far)
    if isinstance(stage, ServerMetadata):
        # A client that comes with a token of before is refused first, and looks for the metadata then.
        last = so_far.last(TokenRejected)
        if not stage.found or last is None or so_far.metadata is not None or last.bearer in so_far.issued:
            return
        inside, refused = claims(last.bearer or ""), True
    else:
        last = stage if isinstance(stage, TokenRejected) else None
        inside, refused = _inside(stage, so_far), last is not None
    iss = text((inside or {}).get("iss"))
    if iss is None or metadata is None or metadata.issuer is None or iss == metadata.issuer:
        return
    yield Problem(
        message=f"the token's `iss` is {iss:.200}; the metadata of exchange {metadata.exchange.id} says {metadata.issuer}",
        at="request.header.authorization" if refused else "response.json.access_token",
        expected=metadata.issuer,
        actual=f"{iss:.200}",
        severity="error" if refused else None,
        exchange=last.exchange.id if last is not None else None,
    )


@rule(
    "token-jwt-time",
    practice("RFC 9068 §2.2; RFC 7519 §4.1", "https://www.rfc-editor.org/rfc/rfc9068.html#section-2.2"),
    who="authorization-server",
    severity="warning",
    stops_at=_REJECTED,
)
def time(stage: TokenEndpoint | Mcp, so_far: Handshake) -> Problems:
    """`exp`, `nbf` or `iat` of the access token does not match the clock or `expires_in`.

    A token that has expired, or is not yet valid, is refused. When `expires_in` does not match the
    token, clients refresh at the wrong time. Usual causes: clocks that differ; lifetimes that are
    configured twice; an expired token that is still used.

    Repair: Synchronize the clocks with NTP, and compute `expires_in` from `exp`. Answer an expired
    token with 401, so that clients refresh it.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjcyMjIwMDB9.bWFkZS11cA", "token_type": "Bearer", "expires_in": 3600}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjcyMjkyMDB9.bWFkZS11cA", "token_type": "Bearer", "expires_in": 3600}
    """
    if isinstance(stage, Mcp) and not _stale_and_unsaid(stage):
        return
    inside, now = _inside(stage, so_far), stage.exchange.ended
    if inside is None or now is None:
        return
    ends, begins = _moment(inside.get("exp")), _moment(inside.get("nbf")) or _moment(inside.get("iat"))
    place = "response.json.access_token" if isinstance(stage, TokenEndpoint) else "request.header.authorization"
    if ends is not None and ends <= (now if isinstance(stage, TokenEndpoint) else now - _SKEW):
        said = f"the token ended {now - ends:.0f} seconds ago; it has to be good for some time yet"
        yield Problem(message=said, at=place, expected="exp in the future", actual=f"{ends:.0f}")
    elif begins is not None and begins > now + _SKEW:
        said = f"the token is good only in {begins - now:.0f} seconds; it has to be good now"
        yield Problem(message=said, at=place, expected="nbf and iat not in the future", actual=f"{begins:.0f}")
    elif ends is not None and isinstance(stage, TokenEndpoint):
        told = _moment(stage.issued.get("expires_in"))
        if told is not None and abs((ends - now) - told) > _DRIFT:
            said = f"`expires_in` is {told:.0f}, but the token ends in {ends - now:.0f} seconds"
            yield Problem(
                message=said, at="response.json.expires_in", expected=f"{ends - now:.0f}", actual=f"{told:.0f}"
            )


@rule(
    "token-id-token-as-access-token",
    practice("RFC 9068 §5; OpenID Connect Core 1.0 §2", "https://www.rfc-editor.org/rfc/rfc9068.html#section-5"),
    who="authorization-server",
    severity="warning",
    stops_at=_REJECTED,
)
def id_token(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """`access_token` in the token response is an ID token.

    An ID token tells the client who logged in; its audience is the client. An MCP server that
    checks the audience refuses it. Usual causes: an authorization server without a configured API;
    a wrapper that returns the ID token of its identity provider.

    Repair: Issue an access token for the MCP server's API, and return it as `access_token`.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJhdWQiOiJjMSIsIm5vbmNlIjoibjEifQ.bWFkZS11cA", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL21jcC5leGFtcGxlLmNvbS9tY3AifQ.bWFkZS11cA", "token_type": "Bearer"}
    """
    access = token.access_token
    inside = claims(access) if access else None
    same = access is not None and access == text(token.issued.get("id_token"))
    shaped = bool(inside) and ("nonce" in (inside or {}) or "at_hash" in (inside or {}))
    client_id = token.get("client_id")
    if same or (inside and shaped and client_id and _audiences(inside) == (client_id,)):
        yield Problem(
            message="`access_token` is the same as `id_token`; it has to be a token for the MCP server"
            if same
            else f"`access_token` has the audience {client_id} (the client) and the claims of an ID token",
            at="response.json.access_token",
            expected="an access token for the MCP server",
            actual="an ID token",
        )


@rule(
    "token-opaque-then-401",
    practice("RFC 8707 §2; OAuth 2.1 draft-13 §5.2", "https://www.rfc-editor.org/rfc/rfc8707.html#section-2"),
    who="authorization-server",
    severity="warning",
    since="2025-06-18",
)
def opaque_then_401(rejected: TokenRejected, so_far: Handshake) -> Problems:
    """The access token is opaque (not a JWT), and the MCP server refuses it at once.

    Some authorization servers issue an opaque or encrypted token when no API was requested. An MCP
    server that validates JWTs cannot read it and answers 401, right after a successful sign-in.

    Usual causes: `resource` is not mapped to an API (Auth0 without an audience), or is
    not on the server's list.

    Repair: Map `resource` to an API in the authorization server, so that it issues a JWT
    for it; or let the MCP server check opaque tokens by introspection.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        401
        WWW-Authenticate: Bearer error="invalid_token"

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL21jcC5leGFtcGxlLmNvbS9tY3AifQ.bWFkZS11cA", "token_type": "Bearer"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL21jcC5leGFtcGxlLmNvbS9tY3AifQ.bWFkZS11cA
        401
        WWW-Authenticate: Bearer error="invalid_token"
    """
    token, issued = rejected.bearer, _issue_of(rejected, so_far)
    if not token or issued is None or rejected.status != 401 or claims(token) is not None or _aged(rejected, issued):
        return
    if _COULD_READ.search(rejected.challenged.raw) or _COULD_READ.search(rejected.answer_text[:2000]):
        return
    blamed = rejected.error == "invalid_token" or rejected.oauth_error == "invalid_token"
    used_before = any(stage.bearer == token for stage in so_far.all(Mcp)[-200:])
    if "dpop" in rejected.challenged.raw.lower():
        return  # it is the proof that is missing
    if blamed and not used_before and rejected.exchange.actor == "client":
        yield Problem(
            message=f"the token of exchange {issued.exchange.id} is no readable JWT, and the server refused it at once",
            at="request.header.authorization",
            expected="a token this server can check",
            actual="an opaque or encrypted token",
        )


def _inside(stage: TokenEndpoint | Mcp, so_far: Handshake) -> dict[str, Any] | None:
    """The claims of the token that is issued, or refused here for the first time."""
    if isinstance(stage, TokenEndpoint):
        return claims(stage.access_token) if stage.access_token else None
    token = stage.bearer
    refused = (s for s in so_far.all(Mcp)[-200:] if isinstance(s, TokenRejected | StepUp))
    if token is None or stage.exchange.actor != "client" or any(s.bearer == token for s in refused):
        return None
    return claims(token)


def _resources(stage: TokenEndpoint | TokenRejected, so_far: Handshake) -> tuple[str, ...]:
    """Every name under which this MCP server may appear in `aud`, the likeliest first."""
    described = so_far.prm.resource if so_far.prm else None
    named: list[str | None] = [described, so_far.resource]
    issued = stage if isinstance(stage, TokenEndpoint) else _issue_of(stage, so_far)
    if issued:
        asked = authorization_request_for(issued, so_far)
        named = [*all_values(issued.params, "resource"), *(asked.all("resource") if asked else ()), *named]
    if isinstance(stage, TokenRejected):
        named.append(stage.request.bare_url)
    return tuple(dict.fromkeys(name for name in named if name))


def _metadata(stage: TokenEndpoint | TokenRejected, so_far: Handshake) -> ServerMetadata | None:
    if isinstance(stage, TokenEndpoint):
        return metadata_of(stage, so_far)
    issued = _issue_of(stage, so_far)
    return metadata_of(issued, so_far) if issued else so_far.metadata


def _issue_of(stage: Mcp, so_far: Handshake) -> TokenEndpoint | None:
    """The token answer that this request's token comes from."""
    stages = so_far.of(so_far.issued.get(stage.bearer or "", 0))
    return next((s for s in stages if isinstance(s, TokenEndpoint)), None)


def _aged(rejected: Mcp, issued: TokenEndpoint) -> bool:
    """So long after the issue that the token may simply have ended."""
    if rejected.exchange.started_at is None or issued.exchange.ended is None:
        return True
    return rejected.exchange.started_at - issued.exchange.ended > _AT_ONCE


def _audiences(inside: dict[str, Any]) -> tuple[str, ...]:
    value = inside.get("aud")
    return (value,) if isinstance(value, str) else texts(value)


def _stale_and_unsaid(stage: Mcp) -> bool:
    """Refused, but not with the 401 that makes a client refresh: an expired token explains it."""
    return isinstance(stage, TokenRejected | StepUp) and stage.status != 401


def _moment(value: Any) -> float | None:
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e14 else None
    )
