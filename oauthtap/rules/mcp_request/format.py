"""What may be sent and answered at the MCP endpoint: media types, statuses, and streams."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Challenge, Mcp
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule
from oauthtap.rules.mcp_request.modern_reading import over_two_urls

_SENDING = "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#sending-messages"
_BOTH = ("application/json", "text/event-stream")


@rule(
    "mcp-accept-header",
    must("MCP 2026-07-28 Streamable HTTP 'Sending Messages'", _SENDING),
    who="client",
    severity="warning",
)
def accept_header(mcp: Mcp, so_far: Handshake) -> Problems:
    """`Accept` does not list both `application/json` and `text/event-stream`.

    The server chooses between the two, so clients have to list both. Several servers answer 406
    otherwise, which looks like a broken endpoint.

    Usual causes: a test with curl; a gateway that rewrites `Accept`.

    Repair: Send `Accept: application/json, text/event-stream` with every POST.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Accept: application/json
        406

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Accept: application/json, text/event-stream
        401
        WWW-Authenticate: Bearer
    """
    if mcp.request.method != "POST" or mcp.exchange.actor != "client" or not mcp.message:
        return
    if over_two_urls(mcp, so_far):
        return  # the answer comes on the stream, whatever Accept says
    accept = mcp.request.header("accept")
    refused = mcp.status == 406
    if _takes_both(accept) or (accept is None and not refused):
        return
    if not any(s.request.header("accept") == accept and s.status != 406 for s in so_far.all(Mcp)[-50:]) or refused:
        yield Problem(
            message=f"`Accept` is {accept or 'absent':.80}; it has to list application/json and text/event-stream",
            at="request.header.accept",
            expected=", ".join(_BOTH),
            actual=f"{accept or 'absent':.80}",
            severity="note" if not refused and "*/*" in (accept or "") else None,
        )


@rule(
    "mcp-406-despite-accept",
    practice("MCP 2026-07-28 Streamable HTTP 'Sending Messages'; RFC 9110 §15.5.7", _SENDING),
    who="resource-server",
    severity="error",
    stops_at=("mcp-challenge", "prm-discovery", "as-discovery", "client-registration", "mcp-stream", "legacy-sse"),
)
def not_acceptable(mcp: Mcp, so_far: Handshake) -> Problems:
    """The server answers 406, although `Accept` lists both media types of MCP.

    The client lists both media types, as MCP requires.

    Usual causes: a gateway that changes `Accept`; a server that compares the header as one string.

    Repair: Parse `Accept` as a list, in any order and with parameters, and forward it unchanged.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Accept: application/json, text/event-stream
        406

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Accept: application/json, text/event-stream
        401
        WWW-Authenticate: Bearer
    """
    accept = mcp.request.header("accept")
    if mcp.status == 406 and mcp.request.method == "POST" and _takes_both(accept):
        yield Problem(
            message=f"the answer is 406 to `Accept: {accept}`, which lists both media types of MCP",
            at="response.status",
            expected="an answer",
            actual="406",
        )


@rule(
    "mcp-response-media-type",
    must("MCP 2026-07-28 Streamable HTTP 'Sending Messages'", _SENDING),
    who="resource-server",
)
def media_type(mcp: Mcp, so_far: Handshake) -> Problems:
    """`Content-Type` of the MCP response is neither JSON nor an event stream.

    Clients refuse any other type as an unexpected content type, whatever the body is.

    Usual causes: a missing Content-Type; an old proxy that relabels JSON as text.

    Repair: Answer with application/json or text/event-stream.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        200 text/plain {"jsonrpc": "2.0", "id": 1, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        200 application/json {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if mcp.request.method != "POST" or mcp.status != 200 or "id" not in mcp.message or not mcp.method:
        return
    kind = mcp.response.media_type
    if kind in _BOTH or isinstance(mcp, Challenge) or over_two_urls(mcp, so_far):
        return
    if mcp.response.body is not None:
        yield Problem(
            message=f"the answer is {kind or 'without a Content-Type'}; it has to be JSON or an event stream",
            at="response.header.content-type",
            expected=" or ".join(_BOTH),
            actual=kind or "absent",
            patch=Patch(headers={"Content-Type": "application/json"}) if mcp.answer_object else None,
        )


@rule(
    "mcp-notification-status",
    must(
        "MCP 2025-11-25 Transports 'Sending Messages to the Server'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#sending-messages-to-the-server",
    ),
    who="resource-server",
    severity="note",
)
def notification_status(mcp: Mcp, so_far: Handshake) -> Problems:
    """A notification is not answered with 202 and an empty body.

    A notification has no response; 202 says that it arrived. Most clients also accept 200.

    Usual causes: the server treats notifications like requests.

    Repair: Answer notifications and responses with 202 and an empty body.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "method": "notifications/initialized"}
        200 {}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "method": "notifications/initialized"}
        202
    """
    one_way = bool(mcp.message) and ("id" not in mcp.message or mcp.method is None)
    if mcp.request.method != "POST" or not one_way or not mcp.ok or isinstance(mcp, Challenge):
        return
    if over_two_urls(mcp, so_far):
        return  # there, any success will do
    if mcp.status != 202 or mcp.response.body:
        yield Problem(
            message=f"a message without an answer got {mcp.status}{' with a body' if mcp.response.body else ''}; it has "
            "to be 202 without one",
            at="response.status",
            expected="202 without a body",
            actual=str(mcp.status),
            patch=Patch(status=202, body=""),
        )


@rule(
    "sse-buffering-hint",
    should(
        "MCP 2026-07-28 Streamable HTTP 'Receiving Messages'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#receiving-messages",
    ),
    who="resource-server",
    severity="note",
    since="2026-07-28",
)
def buffering(mcp: Mcp, so_far: Handshake) -> Problems:
    """The event stream has no `X-Accel-Buffering: no` header.

    nginx and other proxies hold a stream back until a buffer is full. To the client the call seems
    to hang.

    Usual causes: a server that was never tested behind such a proxy.

    Repair: Send `X-Accel-Buffering: no` with every event stream.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        200 text/event-stream
          data: {"jsonrpc": "2.0", "id": 1, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        200 text/event-stream
        X-Accel-Buffering: no
          data: {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if not mcp.ok or mcp.response.media_type != "text/event-stream" or mcp.response.body == "":
        return
    if (mcp.response.header("x-accel-buffering") or "").lower() != "no":
        yield Problem(
            message="the event stream has no `X-Accel-Buffering: no`; a proxy may hold it back",
            at="response.header.x-accel-buffering",
            expected="no",
            actual=mcp.response.header("x-accel-buffering") or "absent",
            patch=Patch(headers={"X-Accel-Buffering": "no"}),
        )


@rule(
    "url-elicitation-is-not-mcp-auth",
    practice(
        "MCP 2025-11-25 Elicitation 'URL Elicitation Required Error'",
        "https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#url-elicitation-required-error",
    ),
    who="resource-server",
    since="2025-11-25",
    until="2025-11-25",
)
def url_elicitation(mcp: Mcp, so_far: Handshake) -> Problems:
    """The server asks for a URL elicitation (error -32042), not for a new sign-in.

    Error -32042 sends the user to a third-party service in the browser. The token for this server
    is valid and has to be kept.

    Usual causes: a tool that acts for the user at another service.

    Repair: Nothing on the server. The client opens the URL and repeats the call; it does not sign
    in again.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        200 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32042, "message": "Please connect your account"}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if mcp.status == 200 and mcp.rpc_error.get("code") == -32042:
        yield Problem(
            message="the answer is -32042: an account of another service is to be connected, not a new sign-in here",
            at="response.json.error.code",
            actual="-32042",
        )


def _takes_both(accept: str | None) -> bool:
    kinds = {part.partition(";")[0].strip().lower() for part in (accept or "").split(",")}
    return set(_BOTH) <= kinds
