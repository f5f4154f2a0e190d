"""HTTP+SSE: the `endpoint` event, the address it names, and the token on both halves.

The transport shows by itself, whatever revision is negotiated over it, so its rules
belong to all revisions.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Document,
    Initialize,
    LegacySse,
    Mcp,
    McpStream,
    Registration,
)
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.model.sse import sse_events
from oauthtap.rules import rule

_ABOUT_SESSION = re.compile(r"session", re.I)


@rule(
    "legacy-sse-no-endpoint-event",
    must(
        "MCP 2024-11-05 Transports 'HTTP with SSE'",
        "https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse",
    ),
    who="resource-server",
)
def no_endpoint_event(stage: LegacySse | McpStream, so_far: Handshake) -> Problems:
    """The SSE stream does not begin with an `endpoint` event.

    A client of HTTP+SSE opens the stream and then waits for the event `endpoint`, which tells it
    where to POST. Without it the client waits until its user sees a timeout.

    Usual causes: the server supports Streamable HTTP at this URL; a proxy dropped the first event,
    or sends its own keep-alive messages.

    Repair: Send `event: endpoint` with the message URL as the first event of the stream.

    Bad:
        # mcp: https://mcp.example.com/sse
        GET https://mcp.example.com/sse
        200
          event: message
          data: {}

    Good:
        # mcp: https://mcp.example.com/sse
        GET https://mcp.example.com/sse
        200
          event: endpoint
          data: /messages?session_id=1
    """
    if stage.request.method != "GET" or not stage.ok or stage.response.media_type != "text/event-stream":
        return
    posts = [mcp for mcp in so_far.all(Mcp) if mcp.exchange.actor == "client" and mcp.request.method == "POST"]
    fell_back = bool(posts) and posts[-1].status in (404, 405)
    old = fell_back or (not posts and stage.request.path.rstrip("/").endswith("/sse"))
    if not old or any(post.ok for post in posts):
        return  # a stream of the newer transport has no such event
    events = sse_events(stage.answer_text)
    if events and events[0][0] != "endpoint":
        yield Problem(
            message=f"the stream begins with the event {events[0][0] or 'message'!r}; it has to begin with 'endpoint'",
            at="response.event[0]",
            expected="endpoint",
            actual=events[0][0] or "message",
        )


@rule(
    "legacy-sse-endpoint-other-origin",
    practice(
        "MCP 2024-11-05 Transports 'HTTP with SSE'",
        "https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse",
    ),
    who="resource-server",
    severity="error",
)
def endpoint_elsewhere(stage: LegacySse, so_far: Handshake) -> Problems:
    """The `endpoint` event of the SSE stream names a URL of another origin.

    The client would have to send its token there. The TypeScript and Python clients refuse a URL
    with another scheme, host or port than the stream.

    Usual causes: the server builds an absolute URL from its internal address, or from a
    request that lost its https at a reverse proxy.

    Repair: Name the message URL by its path alone (`/messages?session_id=…`), or with the
    public origin.

    Bad:
        # mcp: https://mcp.example.com/sse
        GET https://mcp.example.com/sse
        200
          event: endpoint
          data: http://10.0.0.7:8000/messages?session_id=1

    Good:
        # mcp: https://mcp.example.com/sse
        GET https://mcp.example.com/sse
        200
          event: endpoint
          data: /messages?session_id=1
    """
    named = stage.endpoint
    if named is None:
        return
    target = absolute(named, stage.url)
    here, there = urls.origin(stage.url), urls.origin(target)
    if there and there != here:
        parts = urlsplit(target)
        own = parts.path + (f"?{parts.query}" if parts.query else "")
        # A struck-out secret in the body could not be put back.
        plain = "‹" not in stage.answer_text
        yield Problem(
            message=f"the `endpoint` event names {there}; the stream is at {here}, and clients stay there",
            at="response.event[0].data",
            expected=own,
            actual=named,
            patch=Patch(body=stage.answer_text.replace(named, own, 1), assumes=f"{here} serves {parts.path} too")
            if plain
            else None,
        )


@rule(
    "legacy-sse-post-unauthorized",
    practice(
        "MCP 2025-03-26 'Token Requirements' (every HTTP request)",
        "https://modelcontextprotocol.io/specification/2025-03-26/basic/authorization#token-requirements",
    ),
    who="client",
    severity="error",
    stops_at=("mcp-challenge",),
)
def post_unauthorized(stage: LegacySse, so_far: Handshake) -> Problems:
    """The client sends its Bearer token only with GET (the SSE stream) or only with POST.

    HTTP+SSE has a stream (GET) and POSTs, and each request has to carry the token. One of them came
    without and was refused, although the client has a token and used it a moment ago.

    Usual causes: headers are configured for the stream but not for the POSTs; the browser's
    EventSource cannot send any.

    Repair: Send `Authorization: Bearer …` with the GET and with every POST.

    Bad:
        # mcp: https://mcp.example.com/sse
        GET https://mcp.example.com/sse
        Authorization: Bearer made-up-at
        200
          event: endpoint
          data: /messages?session_id=1
        POST https://mcp.example.com/messages?session_id=1 {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401

    Good:
        # mcp: https://mcp.example.com/sse
        GET https://mcp.example.com/sse
        Authorization: Bearer made-up-at
        200
          event: endpoint
          data: /messages?session_id=1
        POST https://mcp.example.com/messages?session_id=1 {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-at
        202
    """
    if stage.exchange.actor != "client" or stage.bearer is not None or stage.status != 401:
        return
    method = stage.request.method
    others = [
        half for half in so_far.all(LegacySse) if half.request.method != method and half.exchange.actor == "client"
    ]
    if others and others[-1].bearer is not None and others[-1].ok:
        yield Problem(
            message=f"the {method} carries no token and is refused; "
            f"the {others[-1].request.method} of exchange {others[-1].exchange.id} carried one",
            at="request.header.authorization",
            expected="Bearer with the token of the other half",
        )


@rule(
    "legacy-sse-fallback-on-401",
    practice(
        "MCP 2025-11-25 Transports 'Backwards Compatibility'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#backwards-compatibility",
    ),
    who="client",
    severity="warning",
    since="2025-03-26",
    until="2025-06-18",
)
def fallback_on_401(stage: LegacySse | McpStream, so_far: Handshake) -> Problems:
    """The client falls back to HTTP+SSE after a 401 instead of signing in.

    The server answered 401: it requires a token. Instead of signing in, the client tries the
    transport of 2024-11-05 and opens a stream. Its user then sees an SSE error that does not
    mention the sign-in.

    Usual causes: the client falls back on any 4xx, as 2025-03-26 and 2025-06-18 say.

    Repair: Sign in after a 401; fall back only on 400, 404 and 405.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        401
        WWW-Authenticate: Bearer

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        404
        GET https://mcp.example.com/mcp
        Accept: text/event-stream
        401
        WWW-Authenticate: Bearer
    """
    if stage.exchange.actor != "client" or stage.request.method != "GET" or stage.bearer is not None:
        return
    if "text/event-stream" not in (stage.request.header("accept") or ""):
        return
    before = [mcp for mcp in so_far.all(Mcp) if mcp.exchange.actor == "client"]
    last = before[-1] if before else None
    started = any(so_far.all(kind) for kind in (Document, Registration, AuthorizationRequest))
    if isinstance(last, Initialize) and last.status == 401 and last.bearer is None and not started:
        yield Problem(
            message=f"initialize was answered 401 in exchange {last.exchange.id}, "
            "and the client opens a stream where it has to sign in",
            at="request.method",
            expected="the sign-in that the 401 asks for",
            actual="GET with Accept: text/event-stream",
        )


@rule(
    "legacy-sse-deprecated",
    practice(
        "MCP 2026-07-28 'Deprecated Features' registry",
        "https://modelcontextprotocol.io/specification/2026-07-28/deprecated",
    ),
    who="resource-server",
)
def deprecated(stage: LegacySse, so_far: Handshake) -> Problems:
    """The server supports only the deprecated HTTP+SSE transport.

    HTTP+SSE is deprecated since 2025-03-26. Clients still fall back to it, after a failed request
    each time, and several hosts have removed it.

    Usual causes: the server's SDK, or its start command, is from before Streamable HTTP.

    Repair: Support Streamable HTTP, at this URL or another one.

    Bad:
        # mcp: https://mcp.example.com/sse
        POST https://mcp.example.com/sse {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        405
        GET https://mcp.example.com/sse
        200
          event: endpoint
          data: /messages?session_id=1

    Good:
        # mcp: https://mcp.example.com/sse
        POST https://mcp.example.com/sse {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        GET https://mcp.example.com/sse
        200
          event: endpoint
          data: /messages?session_id=1
    """
    if stage.endpoint is None:
        return
    here = urls.endpoint(stage.url)
    tried = [m for m in so_far.all(Mcp) if m.request.method == "POST" and urls.endpoint(m.url) == here]
    if tried and tried[-1].status in (404, 405):
        yield Problem(
            message=f"the server answers POST with {tried[-1].status} and offers only the HTTP+SSE transport here",
            at="response.event[0]",
            expected="Streamable HTTP",
            actual="HTTP+SSE",
        )


@rule(
    "legacy-sse-endpoint-unreachable",
    practice(
        "MCP 2024-11-05 HTTP with SSE",
        "https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse",
    ),
    who="resource-server",
    severity="error",
)
def endpoint_unreachable(stage: LegacySse, so_far: Handshake) -> Problems:
    """The URL in the `endpoint` event of the SSE stream does not answer.

    The client used the URL of the `endpoint` event, which does not answer. It has no other URL to
    try.

    Usual causes: the server is behind a proxy under a path prefix and leaves that prefix out of the
    event; the event names an internal host.

    Repair: Configure the server's public base URL (or mount path), so that the event contains the
    whole path.

    Bad:
        # mcp: https://mcp.example.com/api/sse
        GET https://mcp.example.com/api/sse
        200
          event: endpoint
          data: /messages?session_id=1
        POST https://mcp.example.com/messages?session_id=1 {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        404

    Good:
        # mcp: https://mcp.example.com/api/sse
        GET https://mcp.example.com/api/sse
        200
          event: endpoint
          data: /api/messages?session_id=1
        POST https://mcp.example.com/api/messages?session_id=1 {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        202
    """
    named = so_far.message_urls.get(urls.endpoint(stage.url))
    if stage.request.method != "POST" or named is None:
        return
    earlier = [half for half in so_far.all(LegacySse) if urls.endpoint(half.url) == urls.endpoint(stage.url)]
    lost = stage.exchange.response is None and stage.exchange.error is not None
    gone = stage.status in (404, 405) and not _ABOUT_SESSION.search((stage.response.body or "")[:2000])
    if (lost or gone) and not any(half.ok for half in earlier if half.request.method == "POST"):
        yield Problem(
            message=f"the `endpoint` event of exchange {named.exchange} names {named.value}, "
            f"and {urls.without_query(stage.url)} answers {stage.status or 'nothing'}",
            at="response.status" if gone else "request.url",
            expected="202",
            actual=str(stage.status) if stage.status else stage.exchange.error,
        )
