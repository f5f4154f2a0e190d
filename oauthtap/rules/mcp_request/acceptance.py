"""What the MCP server lets through: tokens and requests that it would have had to refuse."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Challenge, Initialize, LegacySse, Mcp, TokenRejected, texts
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.exchange import first_value
from oauthtap.model.requirements import must
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule

_GRACE = 300.0
"""Seconds after `exp` that clocks and generous servers may allow."""
_KNOWN_APIS = {"00000003-0000-0000-c000-000000000000", "00000002-0000-0000-c000-000000000000"}
"""Application ids of Microsoft Graph, new and old."""


@rule(
    "rs-accepts-query-token",
    must("OAuth 2.1 draft-13 §5.1", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-5.1"),
    who="resource-server",
    stops_only_at=(),
)
def query_token(mcp: Mcp, so_far: Handshake) -> Problems:
    """The MCP server accepts an access token in the URL query.

    Then clients send tokens that way, and the tokens are in every access log between them and the
    server.

    Usual causes: a default of the framework.

    Repair: Read the token from the `Authorization` header only.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        POST https://mcp.example.com/mcp?access_token=made-up-token-1 {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        POST https://mcp.example.com/mcp?access_token=made-up-token-1 {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    only_there = mcp.authorization is None and bool(first_value(mcp.request.query, "access_token"))
    if only_there and _served(mcp) and _asks_for_tokens(so_far):
        yield Problem(
            message=f"a request whose token is only in the URL was answered {mcp.status}; it has to be refused",
            at="response.status",
            expected="401",
            actual=str(mcp.status),
        )


@rule(
    "rs-accepts-session-instead-of-token",
    must(
        "MCP Security Best Practices (2025-11-25) 'Session Hijacking'",
        "https://modelcontextprotocol.io/docs/2025-11-25/tutorials/security/security_best_practices#session-hijacking",
    ),
    who="resource-server",
    until="2025-11-25",
    stops_only_at=(),
)
def session_instead(mcp: Mcp, so_far: Handshake) -> Problems:
    """The MCP server accepts `Mcp-Session-Id` in place of an access token.

    The session was opened with a token, and from then on its id alone is enough. Session ids are
    not protected like secrets; an attacker who reads one is signed in.

    Usual causes: the token is checked on `initialize` and remembered for the session.

    Repair: Check the token on every request, and bind the session to the user in it.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        Mcp-Session-Id: session-1
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Mcp-Session-Id: session-1
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        Mcp-Session-Id: session-1
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Mcp-Session-Id: session-1
        401
        WWW-Authenticate: Bearer
    """
    session = mcp.request.header("mcp-session-id")
    if mcp.authorization is not None or first_value(mcp.request.query, "access_token"):
        return
    opened: Mcp | None
    if session is not None:
        begun = (one for one in so_far.all(Initialize) if one.ok and one.response.header("mcp-session-id") == session)
        opened = next(begun, None)
    else:  # 2024-11-05: the session's id stands in the URL that the stream named
        streams = (one for one in so_far.all(LegacySse)[-50:] if one.request.method == "GET" and one.ok)
        posted = mcp.request.method == "POST" and mcp.status == 202
        opened = next((one for one in streams if posted and absolute(one.endpoint or "", one.url) == mcp.url), None)
    if opened and opened.bearer and _served(mcp) and _asks_for_tokens(so_far):
        yield Problem(
            message=f"a request with the session of exchange {opened.exchange.id} and no token was answered {mcp.status}",
            at="response.status",
            expected="401",
            actual=str(mcp.status),
        )


@rule(
    "rs-accepts-foreign-audience",
    must(
        "MCP 2026-07-28 Authorization Security Considerations 'Access Token Privilege Restriction'; RFC 8707 §2",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#access-token-privilege-restriction",
    ),
    who="resource-server",
    since="2025-06-18",
    stops_only_at=(),
)
def foreign_audience(mcp: Mcp, so_far: Handshake) -> Problems:
    """The MCP server accepts an access token with another audience (`aud`).

    Then any token that was issued for that API also works at this server. That is why a server has
    to check that `aud` names it.

    Usual causes: only signature and issuer are checked; the token is passed through to the upstream
    API.

    Repair: Refuse tokens whose `aud` does not name this server, and have tokens issued that do.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL2dyYXBoLmV4YW1wbGUub3JnIn0.bWFkZS11cA
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwczovL21jcC5leGFtcGxlLmNvbS9tY3AifQ.bWFkZS11cA
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    inside = _first_time(mcp, so_far)
    value = inside.get("aud") if inside else None
    named = (value,) if isinstance(value, str) else texts(value)
    if not named:
        return
    own = {so_far.prm.resource if so_far.prm else None, so_far.resource, mcp.request.bare_url}
    family = {_family(url) for url in own if url}
    if all(name in _KNOWN_APIS or (urls.origin(name) and _family(name) not in family) for name in named):
        yield Problem(
            message=f"a token for {', '.join(named)[:200]} was accepted by {urls.origin(mcp.url)}",
            at="request.header.authorization",
            expected=f"401 for tokens whose audience is not {mcp.request.bare_url}",
            actual=", ".join(named)[:200],
        )


@rule(
    "rs-accepts-expired-token",
    must(
        "MCP 2026-07-28 'Token Handling'; OAuth 2.1 draft-13 §5.2",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#token-handling",
    ),
    who="resource-server",
    stops_only_at=(),
)
def expired_token(mcp: Mcp, so_far: Handshake) -> Problems:
    """The MCP server accepts an expired access token.

    Expiry limits the damage of a stolen token. And as long as expired tokens work, clients do not
    refresh.

    Usual causes: `exp` is not checked, or the result of the check is cached too long.

    Repair: Refuse expired tokens with 401 and `error="invalid_token"`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjcyMjAwMDB9.bWFkZS11cA
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjE3NjcyMjkyMDB9.bWFkZS11cA
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    inside = claims(mcp.bearer) if mcp.bearer and _served(mcp) else None
    ends = inside.get("exp") if inside else None
    if isinstance(ends, bool) or not isinstance(ends, int | float) or mcp.exchange.started_at is None:
        return
    if mcp.exchange.started_at - ends > _GRACE:
        yield Problem(
            message=f"the token ended {mcp.exchange.started_at - ends:.0f} seconds before, and was accepted ({mcp.status})",
            at="response.status",
            expected="401",
            actual=str(mcp.status),
        )


def _served(mcp: Mcp) -> bool:
    """Answered as a request that may pass: no refusal, no page, no error in JSON-RPC."""
    if not mcp.ok or isinstance(mcp, Challenge | TokenRejected) or mcp.response.media_type == "text/html":
        return False
    return mcp.response.body is None or "error" not in mcp.reply


def _asks_for_tokens(so_far: Handshake) -> bool:
    """The server has refused a request with 401."""
    refused = [*so_far.all(Challenge)[-50:], *so_far.all(TokenRejected)[-50:]]
    return any(stage.status == 401 for stage in refused)


def _first_time(mcp: Mcp, so_far: Handshake) -> dict[str, object] | None:
    """The claims of a token accepted here for the first time."""
    if (
        not mcp.bearer
        or not _served(mcp)
        or any(s.bearer == mcp.bearer and s.ok for s in reversed(so_far.all(Mcp)[-100:]))
    ):
        return None
    return claims(mcp.bearer)


def _family(url: str) -> str:
    """The last two labels of a host: what one owner's servers usually share."""
    parts = urls.split(url)
    return ".".join((parts.hostname or "").split(".")[-2:]) if parts else ""
