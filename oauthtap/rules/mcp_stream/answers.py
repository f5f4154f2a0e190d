"""How the MCP endpoint answers GET, and other methods it does not serve."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Initialize, Mcp, McpStream, SessionEnd
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import may, must, should
from oauthtap.rules import rule

_ABOUT_SESSION = re.compile(r"session", re.I)


@rule(
    "mcp-405-without-allow",
    must("RFC 9110 §15.5.6", "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.6"),
    who="resource-server",
    severity="note",
)
def without_allow(stage: Mcp, so_far: Handshake) -> Problems:
    """The 405 has no `Allow` header.

    HTTP requires an `Allow` header with every 405. MCP clients do not read it, but strict gateways
    treat a response without it as invalid and turn it into a 502.

    Usual causes: the status is set by hand in the server's code.

    Repair: Send `Allow: POST` (and the other supported methods) with every 405.

    Bad:
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        405

    Good:
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        405
        Allow: POST
    """
    if stage.status == 405 and stage.response.header("allow") is None:
        allowed = "GET" if stage.request.method == "POST" else "POST"
        yield Problem(
            message=f"{stage.request.method} is answered 405 without an Allow header",
            at="response.header.allow",
            expected=allowed,
            patch=Patch(headers={"Allow": allowed}, assumes=f"the endpoint serves {allowed}"),
        )


@rule(
    "mcp-get-status",
    must(
        "MCP 2025-11-25 Transports 'Listening for Messages from the Server'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#listening-for-messages-from-the-server",
    ),
    who="resource-server",
    severity="note",
    until="2025-11-25",
    stops_at=(
        "mcp-token-rejected",
        "prm-discovery",
        "as-discovery",
        "authorization-request",
        "authorization-interaction",
    ),
)
def get_status(stage: McpStream, so_far: Handshake) -> Problems:
    """GET on the MCP endpoint is answered with neither an event stream nor 405.

    After signing in, clients send GET to open a stream of the server's messages. The response is an
    event stream, or 405 if the server has none. Anything else (a page, a 404, a 500) makes some
    clients close the connection; and a 401 for a token that POST accepts makes them sign in again
    and again.

    Usual causes: only POST is routed to the MCP server, and GET is routed to a web application.

    Repair: Answer GET on the MCP endpoint with `text/event-stream`, or with 405 and
    `Allow: POST`; check its token as for POST.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-at
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        Authorization: Bearer made-up-at
        404 <h1>Not Found</h1>

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-at
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        Authorization: Bearer made-up-at
        405
        Allow: POST
    """
    accepts = stage.request.header("accept") or ""
    if stage.request.method != "GET" or "text/event-stream" not in accepts or stage.exchange.response is None:
        return
    code, kind = stage.response.status, stage.response.media_type
    if code == 405 or (code == 200 and kind == "text/event-stream"):
        return
    alike = [m for m in so_far.all(Mcp) if m.ok and m.request.method == "POST" and m.bearer == stage.bearer]
    if not alike:
        return
    if code in (400, 404) and (
        stage.request.header("mcp-session-id") or _ABOUT_SESSION.search(stage.response.body or "")
    ):
        return
    refused = code in (401, 403)
    if refused and (stage.bearer is None or code == 403):
        return
    token = f", although POST in exchange {alike[-1].exchange.id} took the same token" if refused else ""
    yield Problem(
        message=f"GET is answered {code} with {kind or 'no content type'}{token}; it has to be an event stream, or 405",
        at="response.status",
        expected="200 text/event-stream, or 405",
        actual=f"{code} {kind}".strip(),
        patch=Patch(status=405, headers={"Allow": "POST", "WWW-Authenticate": None}, body=""),
        severity="error" if refused else "note",
    )


@rule(
    "mcp-initialize-never-sent",
    must(
        "MCP 2025-11-25 Lifecycle 'Initialization'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#initialization",
    ),
    who="client",
    until="2025-11-25",
    stops_at=("mcp-stream",),
)
def initialize_never_sent(handshake: Handshake) -> Problems:
    """The client has a token and sends only GET, never `initialize` by POST.

    A session begins with `initialize` by POST. A server without a stream of its own answers GET
    with 404 or 405, which is no error, and waits for the POST that does not come.

    Usual causes: after the sign-in the client does not start its Streamable HTTP transport again,
    and falls back to the HTTP+SSE transport of 2024-11-05.

    Repair: In the client: open a new transport after the sign-in and send `initialize` by
    POST. As a user: start the client again; it has the token now.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        Authorization: Bearer made-up-token-1
        404

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        Authorization: Bearer made-up-token-1
        404
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
    """
    token = handshake.token
    if token is None:
        return
    later = [m for m in handshake.all(Mcp) if m.exchange.id > token.exchange.id and m.exchange.actor == "client"]
    gets = [m for m in later if m.request.method == "GET" and m.bearer == token.access_token]
    if not gets or len(gets) < len(later) or gets[-1].status not in (404, 405):
        return
    yield Problem(
        exchange=gets[-1].exchange.id,
        message=f"after the token of exchange {token.exchange.id} the client sends GET, is answered "
        f"{gets[-1].status}, and never sends `initialize` by POST",
        at="request.method",
        expected="POST with initialize",
        actual="GET",
    )


@rule(
    "mcp-get-405-is-fine",
    may(
        "MCP 2025-11-25 Transports 'Listening for Messages from the Server'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#listening-for-messages-from-the-server",
    ),
    who="resource-server",
    until="2025-11-25",
)
def get_405(stage: McpStream, so_far: Handshake) -> Problems:
    """GET on the MCP endpoint is answered with 405, which is not an error.

    It is visible in every log, but it does not break the connection: the server has no stream of
    server-initiated messages, which is allowed, and clients continue without one. Usual causes: the
    server sends no messages outside of responses.

    Repair: Nothing has to be done.

    Bad:
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        405
        Allow: POST

    Good:
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        200
          data: {"jsonrpc": "2.0", "method": "notifications/message"}
    """
    if stage.request.method == "GET" and stage.status == 405:
        yield Problem(
            message="GET is answered 405: the server offers no stream, which is legal and not the cause",
            at="response.status",
            actual="405",
        )


@rule(
    "modern-get-delete-answer",
    should(
        "MCP 2026-07-28 Streamable HTTP 'Earlier Streamable HTTP Revisions'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#earlier-streamable-http-revisions",
    ),
    who="resource-server",
    severity="note",
    since="2026-07-28",
)
def modern_answer(stage: McpStream | SessionEnd, so_far: Handshake) -> Problems:
    """A server of 2026-07-28 does not answer GET or DELETE with 405.

    In this revision there is neither a GET stream nor a session to end. A 405 tells an older client
    so; a 404 or a page does not. Usual causes: the method is not routed, and another application
    answers.

    Repair: Answer GET and DELETE on the MCP endpoint with 405 and `Allow: POST`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        MCP-Protocol-Version: 2026-07-28
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        MCP-Protocol-Version: 2026-07-28
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        405
        Allow: POST
    """
    modern = any(mcp.ok and mcp.is_stateless_revision for mcp in so_far.all(Mcp))
    both = any(hello.ok and hello.method == "initialize" for hello in so_far.all(Initialize))
    if stage.request.method not in ("GET", "DELETE") or stage.status in (None, 401, 403, 405) or not modern or both:
        return
    if stage.ok and stage.response.media_type != "text/html":
        return  # it still serves older clients as well
    yield Problem(
        message=f"{stage.request.method} is answered {stage.status}; in 2026-07-28 it has to be 405",
        at="response.status",
        expected="405",
        actual=str(stage.status),
        patch=Patch(status=405, headers={"Allow": "POST"}, body=""),
    )
