"""Refusals with another status than 401, which is the one that starts a sign-in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Challenge, Mcp, ResourceMetadata, Stage
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.repair import as_challenge

ERROR_HANDLING = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#error-handling"
NO_CREDENTIALS = re.compile(
    r"unauthori[sz]ed|unauthenticated|not authenticated|authentication (?:is )?(?:required|needed)|"
    r"not logged in|log.?in (?:is )?required|sign.?in (?:is )?required|please (?:log|sign).?in|"
    r"(?:missing|no|invalid|without|undefined|required?)[\w\s-]{0,20}(?:token|credentials|authorization|bearer)|"
    r"(?:token|credentials|authorization header|authorization)[\w\s'\"]{0,20}"
    r"(?:missing|required|not (?:provided|found|present|set)|undefined|absent)",
    re.I,
)
_OTHER_REASON = re.compile(
    r"\borigin\b|\bhost\b|cloudflare|cf-ray|akamai|incapsula|captcha|request blocked|"
    r"\bip\b|allow.?list|whitelist|firewall|\bwaf\b|country|region",
    re.I,
)
_CRASHED_ON_HEADER = re.compile(
    r"(?:undefined|null|nil|None\b|NoneType|KeyError|missing)[^\n]{0,80}(?:token|authorization|header|bearer|split)"
    r"|(?:token|authorization|bearer)[^\n]{0,60}(?:undefined|null|nil|None\b|NoneType|missing|required)",
    re.I,
)


def _without_token(stages: list[Mcp], status: int) -> Iterator[Mcp]:
    seen: set[int] = set()
    for stage in reversed(stages):
        if stage.exchange.id not in seen and stage.status == status and not stage.request.carries_token:
            seen.add(stage.exchange.id)
            yield stage


def _succeeds_with_token(stage: Stage) -> bool:
    page = stage.ok and stage.response.media_type == "text/html"
    return isinstance(stage, Mcp) and stage.ok and not page and stage.request.carries_token


def body_of(stage: Stage) -> str:
    """The beginning of what the answer says, empty when nobody has seen it."""
    response = stage.exchange.response
    return ((response.body or "") if response else "")[:4000]


@rule(
    "challenge-status-403",
    must("MCP 2026-07-28 Authorization 'Error Handling'; RFC 6750 §3.1", ERROR_HANDLING),
    who="resource-server",
)
def status_403(stage: Mcp | ResourceMetadata, so_far: Handshake) -> Problems:
    """Missing credentials are answered with 403 instead of 401.

    Only a 401 makes a client start a sign-in. A 403 means "authenticated, but not allowed", so the
    client reports *forbidden* and stops; older ones try the SSE transport instead.

    Usual causes: a framework whose security filter answers 403 to anonymous requests.

    Repair: Answer 401 with a `WWW-Authenticate: Bearer …` header when no token was sent. Keep 403
    for tokens that lack a scope.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        403 {"message": "Authentication required"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    for refused, why in _forbidden(stage, so_far):
        yield Problem(
            message=f"A request without credentials is answered 403 ({why}); it has to be 401",
            at="response.status",
            expected="401",
            actual="403",
            exchange=refused.exchange.id,
            patch=as_challenge(refused, so_far),
        )


@rule(
    "challenge-status-400",
    must("MCP 2026-07-28 Authorization 'Error Handling'; RFC 6750 §3.1", ERROR_HANDLING),
    who="resource-server",
)
def bad_request_without_token(stage: Mcp, so_far: Handshake) -> Problems:
    """Missing credentials are answered with 400 instead of 401.

    Only a 401 makes a client start a sign-in. A 400 means that the request itself is wrong, so the client reports an
    error and stops, unless it looks for metadata unasked.

    Usual causes: a handler that validates `Authorization` as any other required header.

    Repair: Answer 401 with a `WWW-Authenticate: Bearer …` header when no token was sent.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        400 text/plain bad request: missing required Authorization header

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    if stage.status in (400, 422) and not stage.request.carries_token and NO_CREDENTIALS.search(body_of(stage)):
        yield Problem(
            message=f"A request without credentials is answered {stage.status}; it has to be 401",
            at="response.status",
            expected="401",
            actual=str(stage.status),
            patch=as_challenge(stage, so_far),
        )


def _forbidden(stage: Mcp | ResourceMetadata, so_far: Handshake) -> Iterator[tuple[Mcp, str]]:
    """The refusals this exchange proves to be about credentials, each with the proof."""
    if isinstance(stage, Mcp) and stage.status == 403 and not stage.request.carries_token:
        if _may_be_about_credentials(stage) and (why := _proof(stage, so_far)):
            yield stage, why
        return
    if isinstance(stage, ResourceMetadata):
        if so_far.prm is not None or not (stage.found and "resource" in stage.document):
            return
        why = "and protected resource metadata exists for it"
    elif _succeeds_with_token(stage) and so_far.authorized is None and so_far.prm is None:
        why = "and the same call succeeds with a token"
    else:
        return
    for refused in _without_token(list(so_far.all(Mcp)), 403):
        if isinstance(stage, Mcp) and refused.request.method != stage.request.method:
            continue
        if _may_be_about_credentials(refused) and not _proof(refused, None):
            yield refused, why
            return


def _may_be_about_credentials(stage: Mcp) -> bool:
    if stage.request.header("origin") is not None or stage.error == "insufficient_scope":
        return False
    return not _OTHER_REASON.search(body_of(stage)) and stage.exchange.response is not None


def _proof(stage: Mcp, so_far: Handshake | None) -> str | None:
    if stage.challenged.bearer is not None:
        return "with a Bearer challenge"
    if NO_CREDENTIALS.search(body_of(stage)):
        return "and the text speaks of missing credentials"
    if so_far is not None and so_far.prm is not None:
        return "and protected resource metadata exists for it"
    return None


@rule(
    "challenge-5xx-when-unauthenticated",
    practice("MCP 2026-07-28 'Error Handling' (401 for missing authorization)", ERROR_HANDLING),
    who="resource-server",
    severity="error",
)
def server_fails_without_token(stage: Mcp, so_far: Handshake) -> Problems:
    """A request without a token is answered with 5xx instead of 401.

    A client treats a 5xx as an outage: it retries or gives up, and does not sign in.

    Usual causes: code that reads the `Authorization` header without checking that it exists; a
    gateway that turns the upstream server's 401 into a 502.

    Repair: Handle the missing header: answer 401 with a Bearer challenge, and let gateways forward
    that response unchanged.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        500 {"message": "Cannot read properties of undefined (reading 'authorization')"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    for refused, why in _failed(stage, so_far):
        yield Problem(
            message=f"A request without credentials is answered {refused.status} {why}; it has to be 401",
            at="response.status",
            expected="401",
            actual=str(refused.status),
            exchange=refused.exchange.id,
            patch=as_challenge(refused, so_far),
        )


def _failed(stage: Mcp, so_far: Handshake) -> Iterator[tuple[Mcp, str]]:
    if (stage.status or 0) >= 500 and not stage.request.carries_token:
        body = body_of(stage)
        if _CRASHED_ON_HEADER.search(body) or NO_CREDENTIALS.search(body) or re.search(r"\b401\b", body):
            yield stage, "and its text speaks of missing credentials"
    elif _succeeds_with_token(stage) and so_far.authorized is None:
        for status in (500, 501, 502, 503):
            for refused in _without_token(list(so_far.all(Mcp)), status):
                same = refused.method in (stage.method, "ping") and refused.request.method == stage.request.method
                if same and not list(_failed(refused, so_far)):
                    yield refused, "and the same call succeeds with a token"
                    return


@rule(
    "challenge-400-missing-session",
    practice(
        "MCP 2025-11-25 Transports 'Session Management' (400 is only for authenticated requests lacking the id)",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management",
    ),
    who="resource-server",
    severity="warning",
    until="2025-11-25",
)
def session_before_token(stage: Mcp | ResourceMetadata, so_far: Handshake) -> Problems:
    """A request without a token is answered with 400 (no session) instead of 401.

    A client that probes with GET, or that lost its session, gets a session error instead of the 401
    that would start the sign-in.

    Usual causes: the session lookup runs before the bearer check.

    Repair: Run the bearer check first; look up sessions only for authenticated requests.

    Bad:
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        400 {"error": "Bad Request: No valid session ID provided"}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

    Good:
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    for refused in _asked_for_session(stage, so_far):
        yield Problem(
            message="A request without token is answered 400 because it has no session; without a token it has to be 401",
            at="response.status",
            expected="401",
            actual="400",
            exchange=refused.exchange.id,
            patch=as_challenge(refused, so_far),
        )


def _asked_for_session(stage: Mcp | ResourceMetadata, so_far: Handshake) -> Iterator[Mcp]:
    wants_token = so_far.prm is not None or any(c.status == 401 for c in so_far.all(Challenge))
    if wants_token:
        if isinstance(stage, Mcp) and _session_wanted(stage):
            yield stage
    elif (isinstance(stage, Challenge) and stage.status == 401) or (
        isinstance(stage, ResourceMetadata) and stage.found and "resource" in stage.document
    ):
        yield from (r for r in _without_token(list(so_far.all(Mcp)), 400) if _session_wanted(r))


def _session_wanted(stage: Mcp) -> bool:
    return (
        stage.status == 400
        and not stage.request.carries_token
        and stage.request.header("mcp-session-id") is None
        and "session" in body_of(stage).lower()
    )


@rule(
    "challenge-404-masks-auth",
    practice(
        "RFC 9110 §15.5.4 (404 concealment is allowed in general HTTP); "
        "MCP 2025-11-25 Transports 'Backwards Compatibility'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#backwards-compatibility",
    ),
    who="resource-server",
    severity="warning",
)
def not_found_without_token(stage: Mcp, so_far: Handshake) -> Problems:
    """A request without a token is answered with 404 instead of 401.

    Web applications often answer 404 to hide a resource. An MCP client that gets 404 tries the
    HTTP+SSE transport or reports a wrong URL; it does not sign in.

    Repair: Answer 401 with a Bearer challenge on the MCP endpoint when no token was sent.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        404

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if so_far.authorized is not None or not _succeeds_with_token(stage):
        return
    for refused in _without_token(list(so_far.all(Mcp)), 404):
        same = refused.url == stage.url and refused.request.method == stage.request.method
        if same and "-32601" not in body_of(refused) and not refused.request.header("mcp-session-id"):
            yield Problem(
                message="The MCP URL is answered 404 without a token and succeeds with one; without it has to be 401",
                at="response.status",
                expected="401",
                actual="404",
                exchange=refused.exchange.id,
                patch=as_challenge(refused, so_far),
            )
            return
