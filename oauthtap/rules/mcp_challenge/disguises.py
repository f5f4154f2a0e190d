"""Refusals that do not look like one: every other answer than 401 to a request without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oauthtap import urls
from oauthtap.findings import Patch, Problem, Problems
from oauthtap.handshake import Handshake, absolute
from oauthtap.recognize import carries_token
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.repair import as_challenge
from oauthtap.specs import must, practice
from oauthtap.stages import Challenge, Mcp, ResourceMetadata, SessionEnd, Stage

_ERROR_HANDLING = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#error-handling"
_NO_CREDENTIALS = re.compile(
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
_LOGIN_WORD = re.compile(r"log-?in|sign-?in|\bsso\b|\bauth\b|oauth2?|authori[sz]e|saml|accounts?\.", re.I)
_APPLICATION = re.compile(r'"isError"\s*:\s*true|-32042')


def _without_token(stages: list[Mcp], status: int) -> Iterator[Mcp]:
    seen: set[int] = set()
    for stage in reversed(stages):
        if stage.exchange.id not in seen and stage.status == status and not carries_token(stage.request):
            seen.add(stage.exchange.id)
            yield stage


def _body(stage: Stage) -> str:
    response = stage.exchange.response
    return ((response.body or "") if response else "")[:4000]


def _succeeds_with_token(stage: Stage) -> bool:
    page = stage.ok and stage.response.media_type == "text/html"
    return isinstance(stage, Mcp) and stage.ok and not page and carries_token(stage.request)


@rule(
    "challenge-status-403",
    must("MCP 2026-07-28 Authorization 'Error Handling'; RFC 6750 §3.1", _ERROR_HANDLING),
    who="resource-server",
)
def status_403(stage: Mcp | ResourceMetadata, so_far: Handshake) -> Problems:
    """The server answers 403 where credentials are missing, and that has to be 401.

    Only a 401 makes a client start a sign-in. A 403 means "known, but not allowed", so
    the client reports *forbidden* and stops; older ones try the SSE transport instead.

    Usual causes: a framework whose security filter answers 403 to anonymous requests.

    Repair: Answer 401 with a `WWW-Authenticate: Bearer …` header when no token came.
    Keep 403 for tokens that lack a permission.

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


def _forbidden(stage: Mcp | ResourceMetadata, so_far: Handshake) -> Iterator[tuple[Mcp, str]]:
    """The refusals this exchange proves to be about credentials, each with the proof."""
    if isinstance(stage, Mcp) and stage.status == 403 and not carries_token(stage.request):
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
    return not _OTHER_REASON.search(_body(stage)) and stage.exchange.response is not None


def _proof(stage: Mcp, so_far: Handshake | None) -> str | None:
    if stage.challenged.bearer is not None:
        return "with a Bearer challenge"
    if _NO_CREDENTIALS.search(_body(stage)):
        return "and the text speaks of missing credentials"
    if so_far is not None and so_far.prm is not None:
        return "and protected resource metadata exists for it"
    return None


@rule(
    "challenge-redirect-to-login",
    must(
        "MCP 2025-03-26 Authorization (401 required when authorization is needed); MCP 2026-07-28 'Error Handling'",
        _ERROR_HANDLING,
    ),
    who="resource-server",
)
def redirect_to_login(stage: Challenge, so_far: Handshake) -> Problems:
    """The server redirects an MCP request to a login page instead of answering 401.

    The client's HTTP library follows the redirect and comes home with an HTML page it
    cannot read. No 401 was seen, so no sign-in begins.

    Usual causes: a web login middleware or SSO proxy that covers the MCP path as well; a
    missing trailing slash that leads to the web application next door.

    Repair: Take the MCP path out of the web login and answer 401 with a Bearer challenge there.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        302
        Location: https://mcp.example.com/login?next=/mcp

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    status = stage.status or 0
    if not 300 <= status < 400 or stage.request.header("sec-fetch-mode") == "navigate":
        return
    target = absolute(stage.response.header("location") or "", stage.url)
    known = so_far.learned("authorization_endpoint", target) is not None
    if known or _leads_to_login(stage.url, target):
        yield Problem(
            message=f"An MCP request is redirected ({status}) to {urls.without_query(target)}; it has to be answered 401",
            at="response.header.location",
            expected="401",
            actual=f"{status} to {urls.without_query(target)}",
            patch=as_challenge(stage, so_far),
        )


def _leads_to_login(url: str, target: str) -> bool:
    host = urls.origin(target).partition("//")[2]
    path = urls.path_of(target)
    if path.rstrip("/") == urls.path_of(url).rstrip("/"):
        return False
    other_host = host if host != urls.origin(url).partition("//")[2] else ""
    return bool(_LOGIN_WORD.search(f"{other_host}{path}"))


@rule(
    "challenge-html-login-page",
    must(
        "MCP 2026-07-28 'Error Handling'; MCP 2026-07-28 Streamable HTTP 'Sending Messages' (response media types)",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#sending-messages",
    ),
    who="resource-server",
)
def html_login_page(stage: Mcp, so_far: Handshake) -> Problems:
    """The server answers an MCP request with a web page and status 200.

    A client that asked for JSON or an event stream stumbles over the first `<`. To it
    this is a broken server, not one that wants a sign-in.

    Usual causes: an SSO proxy that shows its login page, or a single-page application
    whose catch-all route swallows the MCP path.

    Repair: Answer 401 with a Bearer challenge on the MCP path; show pages only to browsers that navigate.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 <!doctype html><title>Sign in</title>

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    if carries_token(stage.request) or not stage.ok or stage.request.header("sec-fetch-mode") == "navigate":
        return
    page = stage.response.media_type == "text/html" or re.match(r"\s*<(?:!doctype html|html)", _body(stage), re.I)
    asked = stage.request.method == "POST" or (
        "text/event-stream" in (stage.request.header("accept") or "") and bool(_LOGIN_WORD.search(_body(stage)))
    )
    if page and asked and not isinstance(stage, SessionEnd):
        yield Problem(
            message=f"An MCP request without credentials is answered {stage.status} with a web page; it has to be 401",
            at="response.header.content-type",
            expected="401 with a Bearer challenge",
            actual=f"{stage.status} {stage.response.media_type or 'without a media type'}",
            patch=as_challenge(stage, so_far),
        )


@rule(
    "challenge-200-with-error-body",
    must("MCP 2026-07-28 'Error Handling'; RFC 6750 §3", _ERROR_HANDLING),
    who="resource-server",
)
def ok_with_error_body(stage: Challenge, so_far: Handshake) -> Problems:
    """The server says "sign in first" inside a 200, where no client looks for it.

    The transport succeeded, so the client takes the text for a protocol failure and
    shows it. The sign-in starts on status 401 and on nothing else.

    Usual causes: authentication done inside a JSON-RPC handler, or a wrapper that turns
    every failure into a JSON-RPC error.

    Repair: Check the token before the JSON-RPC layer and answer 401 with a Bearer challenge.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "Unauthorized"}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32001, "message": "Unauthorized"}}
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    if not stage.ok or stage.method == "tools/call" or _APPLICATION.search(_body(stage)):
        return
    told = " ".join(map(str, (stage.reply.get("error") or "", stage.reply.get("error_description") or "")))
    if match := _NO_CREDENTIALS.search(told):
        yield Problem(
            message=f"Missing credentials are reported inside a {stage.status} (“{match[0]}”); the status has to be 401",
            at="response.status",
            expected="401",
            actual=str(stage.status),
            patch=as_challenge(stage, so_far),
        )


@rule(
    "challenge-5xx-when-unauthenticated",
    practice("MCP 2026-07-28 'Error Handling' (401 for missing authorization)", _ERROR_HANDLING),
    who="resource-server",
    severity="error",
)
def server_fails_without_token(stage: Mcp, so_far: Handshake) -> Problems:
    """The server fails with 5xx when no token comes, instead of asking for one.

    A client takes a 5xx for an outage: it retries or gives up. It does not begin to sign in.

    Usual causes: code that reads the Authorization header without asking whether it is
    there; a gateway that turns the 401 of the server behind it into a 502.

    Repair: Handle the missing header: answer 401 with a Bearer challenge, and let gateways
    relay that answer as it is.

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
    if (stage.status or 0) >= 500 and not carries_token(stage.request):
        body = _body(stage)
        if _CRASHED_ON_HEADER.search(body) or _NO_CREDENTIALS.search(body) or re.search(r"\b401\b", body):
            yield stage, "and its text speaks of missing credentials"
    elif _succeeds_with_token(stage) and so_far.authorized is None:
        for status in (500, 501, 502, 503):
            for refused in _without_token(list(so_far.all(Mcp)), status):
                same = refused.method == stage.method and refused.request.method == stage.request.method
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
    """The server asks for a session before it asks for a token.

    A client that probes with GET, or that lost its session, gets to read about sessions
    and never sees the 401 that would start the sign-in.

    Usual causes: the session lookup is mounted in front of the bearer check.

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
            message="A request without token is answered 400 for want of a session; without a token it has to be 401",
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
        and not carries_token(stage.request)
        and stage.request.header("mcp-session-id") is None
        and "session" in _body(stage).lower()
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
    """The server answers 404 without a token and serves the same URL with one.

    Hiding what a stranger may not see is a habit of web applications. An MCP client that
    reads 404 tries the old SSE transport or reports a wrong URL; it does not sign in.

    Repair: Answer 401 with a Bearer challenge on the MCP endpoint when no token came.

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
        if same and "-32601" not in _body(refused) and not refused.request.header("mcp-session-id"):
            yield Problem(
                message="The MCP URL is answered 404 without a token and succeeds with one; without it has to be 401",
                at="response.status",
                expected="401",
                actual="404",
                exchange=refused.exchange.id,
                patch=as_challenge(refused, so_far) or Patch(status=401),
            )
            return
