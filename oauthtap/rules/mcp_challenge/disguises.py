"""Missing authentication that is not answered with 401: a login page, a redirect, an error with status 200."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.mcp_refusal import DENIED, told_by_tool
from oauthtap.handshake.stages import Challenge, Mcp, SessionEnd
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.repair import as_challenge
from oauthtap.rules.mcp_challenge.statuses import ERROR_HANDLING, NO_CREDENTIALS, body_of

_LOGIN_WORD = re.compile(r"log-?in|sign-?in|\bsso\b|\bauth\b|oauth2?|authori[sz]e|saml|accounts?\.", re.I)
_APPLICATION = re.compile(r'"isError"\s*:\s*true|-32042')


@rule(
    "challenge-redirect-to-login",
    must(
        "MCP 2025-03-26 Authorization (401 required when authorization is needed); MCP 2026-07-28 'Error Handling'",
        ERROR_HANDLING,
    ),
    who="resource-server",
)
def redirect_to_login(stage: Challenge, so_far: Handshake) -> Problems:
    """The server redirects an MCP request to a login page instead of answering 401.

    The client's HTTP library follows the redirect and gets an HTML page that it cannot parse.
    Without a 401 no sign-in starts.

    Usual causes: a web login middleware or SSO proxy that includes the MCP path; a missing trailing
    slash that routes to a web application.

    Repair: Exclude the MCP path from the web login and answer 401 with a Bearer challenge there.

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
    if known or urls.leads_to_login(stage.url, target):
        yield Problem(
            message=f"An MCP request is redirected ({status}) to {urls.without_query(target)}; it has to be answered 401",
            at="response.header.location",
            expected="401",
            actual=f"{status} to {urls.without_query(target)}",
            patch=as_challenge(stage, so_far),
        )


@rule(
    "challenge-html-login-page",
    must(
        "MCP 2026-07-28 'Error Handling'; MCP 2026-07-28 Streamable HTTP 'Sending Messages' (response media types)",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#sending-messages",
    ),
    who="resource-server",
)
def html_login_page(stage: Mcp, so_far: Handshake) -> Problems:
    """The server answers an MCP request with an HTML page and status 200 instead of 401.

    A client that asked for JSON or an event stream cannot parse the page. It reports a broken
    server and does not sign in.

    Usual causes: an SSO proxy that shows its login page, or a single-page application whose
    catch-all route includes the MCP path.

    Repair: Answer 401 with a Bearer challenge on the MCP path; serve pages only to browser
    navigations.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 <!doctype html><title>Sign in</title>

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    if stage.request.carries_token or not stage.ok or stage.request.header("sec-fetch-mode") == "navigate":
        return
    page = stage.response.media_type == "text/html" or re.match(r"\s*<(?:!doctype html|html)", body_of(stage), re.I)
    asked = stage.request.method == "POST" or (
        "text/event-stream" in (stage.request.header("accept") or "") and bool(_LOGIN_WORD.search(body_of(stage)))
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
    must("MCP 2026-07-28 'Error Handling'; RFC 6750 §3", ERROR_HANDLING),
    who="resource-server",
)
def ok_with_errorbody_of(stage: Challenge, so_far: Handshake) -> Problems:
    """The server reports missing credentials with status 200 instead of 401.

    The status is a success, so the client treats the error as a protocol failure and shows it. A
    sign-in starts only on status 401.

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
    if not stage.ok or stage.method == "tools/call" or _APPLICATION.search(body_of(stage)):
        return
    told = " ".join(map(str, (stage.reply.get("error") or "", stage.reply.get("error_description") or "")))
    if match := NO_CREDENTIALS.search(told):
        yield Problem(
            message=f"Missing credentials are reported inside a {stage.status} (“{match[0]}”); the status has to be 401",
            at="response.status",
            expected="401",
            actual=str(stage.status),
            patch=as_challenge(stage, so_far),
        )


@rule(
    "mcp-denied-without-challenge",
    must("MCP 2026-07-28 'Error Handling' (401: authorization required)", ERROR_HANDLING),
    who="resource-server",
)
def denied_without_challenge(stage: Mcp, so_far: Handshake) -> Problems:
    """A tool is denied with status 200 to a client without a token, and no 401 ever asked it to sign in.

    A client signs in when it is answered 401 with a Bearer challenge. This server lets everybody
    connect and list the tools, and denies each in its result, so no sign-in ever starts.

    Usual causes: only the methods of the tools are secured, and not the MCP endpoint.

    Repair: Answer the first MCP request without a token with 401 and a Bearer challenge that has
    `resource_metadata`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "Access Denied"}], "isError": true}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    if stage.bearer is not None or not stage.ok or stage.exchange.actor != "client":
        return
    if stage.exchange.response is None or stage.exchange.response.body is None or "isError" not in stage.answer_text:
        return
    words = told_by_tool(stage.reply)
    if not DENIED.fullmatch(words) or any(one.bearer is not None or one.status == 401 for one in so_far.all(Mcp)):
        return
    yield Problem(
        message=f"the result of the tool says “{words}” with status 200 to a client that has no token",
        at="response.json.result.content",
        expected="401 with WWW-Authenticate: Bearer",
        actual="200 with isError",
    )
