"""When the server requires a token: at once or later, at every method or some; and clients that ignore it."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Challenge,
    ClientMetadata,
    Document,
    Initialize,
    KeySet,
    LegacySse,
    Mcp,
    McpStream,
    Registration,
    SessionEnd,
    StepUp,
    TokenEndpoint,
    TokenRejected,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.repair import as_challenge

_FALLBACK = (
    "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#backward-compatibility"
)
_PATIENCE = 60.0
"""Seconds after a challenge within which a client that understands it has begun to look around."""


@rule(
    "challenge-deferred",
    practice(
        "MCP 2026-07-28 'Authorization Flow Steps' (flow starts from a 401)",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#authorization-flow-steps",
    ),
    who="resource-server",
)
def deferred(stage: Challenge, so_far: Handshake) -> Problems:
    """The first 401 comes with a tool call, not when the client connects.

    That is allowed. But several clients decide while connecting whether a server needs a sign-in,
    and cannot start one later.

    Repair: If every tool needs a signed-in user, answer the first request with 401.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/call"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    if stage.status != 401 or stage.method not in ("tools/call", "resources/read", "prompts/get"):
        return
    before = [s for s in so_far.all(Mcp) if not s.request.carries_token]
    opened = next((s for s in before if s.ok and s.method in ("initialize", "server/discover", "tools/list")), None)
    if opened and not any(isinstance(s, Challenge) for s in before):
        yield Problem(
            message=f"{opened.method} succeeds without a token and {stage.method} is the first to be answered 401",
            at="response.status",
            expected=f"401 to {opened.method} already",
            actual=f"401 to {stage.method}",
        )


@rule(
    "auth-enforced-inconsistently",
    must(
        "MCP 2025-11-25 'Token Requirements' (authorization on every HTTP request); OAuth 2.1 draft-13 §5.2",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#token-requirements",
    ),
    who="resource-server",
    until="2025-11-25",
    stops_only_at=(),
)
def enforced_on_some_methods(stage: Mcp, so_far: Handshake) -> Problems:
    """POST to the MCP endpoint requires a token, but GET or DELETE does not.

    An attacker who has a session id can then read what the server sends to another user, or end
    that user's session.

    Usual causes: the bearer check is attached to one route handler only.

    Repair: Check the token on every method of the MCP endpoint. 405 to GET is fine.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        200 text/event-stream

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        405
    """
    if not _open(stage) and not (stage.status == 401 and stage.request.method == "POST"):
        return
    posts = [s for s in (*so_far.all(Mcp), stage) if s.request.method == "POST" and not s.request.carries_token]
    posts = [s for s in posts if urls.endpoint(s.url) == urls.endpoint(stage.url)]
    if any(s.ok for s in posts) or not any(s.status == 401 for s in posts):
        return
    if _open(stage):
        opened = stage
    elif stage.status == 401 and stage.request.method == "POST" and len(posts) == 1:
        earlier = (s for s in so_far.all(Mcp) if _open(s) and urls.endpoint(s.url) == urls.endpoint(stage.url))
        if (found := next(earlier, None)) is None:
            return
        opened = found
    else:
        return
    yield Problem(
        message=f"{opened.request.method} without a token is answered {opened.status} where POST is answered 401",
        at="response.status",
        expected="401",
        actual=str(opened.status),
        exchange=opened.exchange.id,
        patch=as_challenge(opened, so_far),
    )


def _open(stage: Mcp) -> bool:
    if stage.request.carries_token or not stage.ok:
        return False
    if stage.request.method == "GET":
        return stage.response.media_type == "text/event-stream"
    return isinstance(stage, SessionEnd) and stage.request.header("mcp-session-id") is not None


@rule(
    "modern-auth-after-validation",
    practice("MCP 2026-07-28 Streamable HTTP 'Backward Compatibility' (400 drives fallback)", _FALLBACK),
    who="resource-server",
    severity="warning",
    since="2026-07-28",
)
def validated_before_token(stage: Mcp, so_far: Handshake) -> Problems:
    """The server validates the protocol version before it asks for a token with 401.

    A 400 or 404 tells a client that speaks both old and new MCP that this is an old server. It
    falls back to `initialize` instead of signing in.

    Repair: Check the token before the protocol headers.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        Mcp-Method: server/discover
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "header expected"}}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "server/discover"}
        Mcp-Method: server/discover
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        Mcp-Method: server/discover
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    shows_need = isinstance(stage, Challenge) and stage.status == 401
    if not shows_need or any(c.status == 401 for c in so_far.all(Challenge)):
        return
    for refused in reversed(so_far.all(Mcp)):
        bare = (
            not refused.request.carries_token
            and refused.is_stateless_revision
            and urls.endpoint(refused.url) == urls.endpoint(stage.url)
        )
        if bare and refused.status in (400, 404) and not isinstance(refused, Challenge):
            yield Problem(
                message=f"A request without a token is answered {refused.status} before it is asked for one (401)",
                at="response.status",
                expected="401",
                actual=str(refused.status),
                exchange=refused.exchange.id,
                patch=as_challenge(refused, so_far),
            )
            return


@rule(
    "era-fallback-after-401",
    practice("MCP 2026-07-28 Streamable HTTP 'Backward Compatibility'", _FALLBACK),
    who="client",
    severity="warning",
)
def fallback_after_refusal(stage: Initialize | McpStream | LegacySse, so_far: Handshake) -> Problems:
    """The client falls back to an older MCP revision after a 401 instead of signing in.

    A 401 says nothing about the MCP revision. A client that falls back here may treat a modern
    server as an old one from then on.

    Repair: Sign in first, then repeat the same modern request.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        Mcp-Method: server/discover
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        Mcp-Method: server/discover
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

        GET https://mcp.example.com/prm
        200 {"resource": "https://mcp.example.com/mcp"}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "initialize"}
        Authorization: Bearer made-up-token
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}
    """
    if stage.exchange.actor != "client" or stage.request.carries_token or stage.is_stateless_revision:
        return
    modern = [s for s in so_far.all(Mcp) if s.is_stateless_revision and s.exchange.actor == "client"]
    if not modern or modern[-1].status not in (401, 403) or modern[-1].request.carries_token:
        return
    since = modern[-1].exchange.id
    tried = (Document, Registration, AuthorizationRequest, TokenEndpoint, Initialize, LegacySse)
    if not any(isinstance(s, tried) and s.exchange.id > since for s in so_far.stages):
        asked = stage.method or f"{stage.request.method} for a stream"
        yield Problem(
            message=f"After {modern[-1].status} to {modern[-1].method} the client tries {asked} without signing in",
            at="request.json.method",
            expected="a sign-in",
            actual=asked,
        )


@rule(
    "client-ignored-challenge",
    must(
        "MCP 2026-07-28 'Authorization Flow Steps'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#authorization-flow-steps",
    ),
    who="client",
    severity="warning",
    since="2025-06-18",
    symptom=True,
    stops_at=("mcp-token-rejected", "mcp-step-up"),
)
def ignored_challenge(handshake: Handshake) -> Problems:
    """The client does not sign in after a 401 with a valid challenge.

    After a 401 with `resource_metadata` a client has to fetch that URL. This one stops, or repeats
    the request.

    Usual causes: a client without OAuth, one with a fixed header in its configuration, or one that
    signs in only while connecting and got this 401 later.

    Repair: Use a client that signs in (or update it). A server that requires a token only for some
    calls can require it from the first one.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

        GET https://mcp.example.com/prm
        200 {"resource": "https://mcp.example.com/mcp"}
    """
    if (refused := _left_at(handshake)) is not None:
        lacks = isinstance(refused, StepUp)
        yield Problem(
            message="The server asks for "
            + (f"the scope {refused.scope or '(not named)'}" if lacks else "another token")
            + "; the client "
            + ("does not ask its user for it" if lacks else "neither refreshes nor signs in again"),
            at="response.header.www-authenticate",
            expected="a sign-in with that scope" if lacks else "a refresh or a sign-in",
            actual="neither" if not lacks else "no such request",
            exchange=refused.exchange.id,
        )
    usable = [c for c in handshake.all(Challenge) if c.exchange.actor == "client" and _usable(c)]
    signed_in = (Registration, AuthorizationRequest, TokenEndpoint, TokenRejected, StepUp)
    if not usable or any(isinstance(s, signed_in) or _looked_around(s) for s in handshake.stages):
        return
    last = usable[-1]
    if any(s.request.carries_token or (s.ok and s.exchange.id > last.exchange.id) for s in handshake.all(Mcp)):
        return
    waited = (handshake.ended or 0) - last.exchange.ended if last.exchange.ended is not None and handshake.ended else 0
    if waited >= _PATIENCE or len(usable) > 2:
        yield Problem(
            message=f"The client does nothing with a challenge that names {last.metadata_url}; it has to fetch that URL",
            at="response.header.www-authenticate.resource_metadata",
            expected="a request for the metadata",
            actual="no such request",
            exchange=last.exchange.id,
        )


def _left_at(handshake: Handshake) -> TokenRejected | StepUp | None:
    """The last refusal of a token that worked before, or that lacks a scope, after which the client did nothing.

    Its patience counts from the first of the refusals in a row: one that is refused again and again has had its time.
    """
    last = max(handshake.last(TokenRejected), handshake.last(StepUp), key=lambda r: r.exchange.id if r else -1)
    if last is None or last.exchange.actor != "client" or handshake.ended is None:
        return None
    told = last.challenged.bearer is not None and not last.challenged.deviations
    known = isinstance(last, StepUp) or (handshake.authorized is not None and last.bearer is not None)
    moved = (Registration, AuthorizationRequest, TokenEndpoint)
    moves = [s.exchange.id for s in handshake.stages if isinstance(s, moved) or (isinstance(s, Mcp) and s.ok)]
    since = max(moves, default=0)
    row = [one for one in handshake.all(type(last)) if one.exchange.id > since and one.exchange.ended is not None]
    if not told or not known or not row or since > last.exchange.id:
        return None
    return last if handshake.ended - (row[0].exchange.ended or 0) >= _PATIENCE else None


def _looked_around(stage: object) -> bool:
    return isinstance(stage, Document) and not isinstance(stage, KeySet | ClientMetadata)


def _usable(stage: Challenge) -> bool:
    named = stage.metadata_url
    if stage.status != 401 or not named or stage.challenged.bearer is None or stage.challenged.deviations:
        return False
    by_script = stage.request.header("origin") is not None
    return not by_script and urls.origin(named) == urls.origin(stage.url) and urls.split(named) is not None
