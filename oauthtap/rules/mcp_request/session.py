"""Sessions, until 2025-11-25: how their ids travel, and what happens when they are lost."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Challenge, Discover, Initialize, Mcp
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import by_client
from oauthtap.model.requirements import must
from oauthtap.rules import rule

_SESSIONS = "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management"
_UNKNOWN = re.compile(
    r"session.{0,30}(not found|unknown|invalid|expired|terminated|does not exist|not recogni[sz]ed)"
    r"|(unknown|invalid|expired|no valid|no such).{0,15}session|not initialized",
    re.I,
)
_NO_ID = re.compile(r"session.?id.{0,40}(missing|required|not provided|must be)|(missing|no|requires?).{0,20}session.?id", re.I)  # fmt: skip


@rule(
    "mcp-session-header-missing",
    must("MCP 2025-11-25 Transports 'Session Management'", _SESSIONS),
    who="client",
    until="2025-11-25",
)
def header_missing(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client does not send the `Mcp-Session-Id` that the server issued.

    The server cannot tell which session the request belongs to, and answers 400.

    Usual causes: a client in a browser that cannot read the header
    (`Access-Control-Expose-Headers`); a proxy that drops it.

    Repair: Send `Mcp-Session-Id` with every request after `initialize`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        Mcp-Session-Id: session-1
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        400

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        Mcp-Session-Id: session-1
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Mcp-Session-Id: session-1
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}
    """
    if mcp.ok or not by_client(mcp) or mcp.request.header("mcp-session-id") or isinstance(mcp, Challenge):
        return
    opened = opened_by(mcp, so_far)
    given = opened.response.header("mcp-session-id") if opened else None
    if opened and given and mcp.status in (400, 404, 422):
        yield Problem(
            message=f"exchange {opened.exchange.id} gave the session id {given:.60}; this request has none",
            at="request.header.mcp-session-id",
            expected=given,
            actual="absent",
        )


@rule(
    "mcp-session-expired",
    must("MCP 2025-11-25 Transports 'Session Management'", _SESSIONS),
    who="client",
    severity="warning",
    until="2025-11-25",
)
def expired(handshake: Handshake) -> Problems:
    """The session is unknown (404), and the client does not send a new `initialize`.

    404 to a request with a session id means that the client has to send a new `initialize`. A
    client that does not treats it as a wrong URL and stops.

    Usual causes: a deployment during the sign-in; several instances of the server without a shared
    session store.

    Repair: Send a new `initialize` without the id. On the server: sticky sessions, a
    shared store, or no sessions.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Mcp-Session-Id: session-1
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Mcp-Session-Id: session-1
        404
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
    """
    lost = [s for s in handshake.all(Mcp) if s.status == 404 and s.request.header("mcp-session-id") and by_client(s)]
    lost = [s for s in lost if s.request.method == "POST"]  # GET may be unknown here without any harm
    if not lost or handshake.ended is None or (lost[-1].exchange.ended or handshake.ended) + 5 > handshake.ended:
        return
    anew = any(s.exchange.id > lost[0].exchange.id and s.method == "initialize" for s in handshake.all(Initialize))
    served = any(s.exchange.id > lost[-1].exchange.id and s.ok for s in handshake.all(Mcp))
    if not anew and not served:
        yield Problem(
            message=f"the session of exchange {lost[0].exchange.id} is unknown (404), and no new `initialize` followed",
            at="request.header.mcp-session-id",
            expected="a new initialize",
            actual="nothing",
            exchange=lost[0].exchange.id,
        )


@rule(
    "mcp-session-unknown-status",
    must("MCP 2025-11-25 Transports 'Session Management'", _SESSIONS),
    who="resource-server",
    severity="warning",  # a note could not be named as the cause, and clients do stop here
    until="2025-11-25",
    stops_at=("mcp-token-rejected", "mcp-stream"),
)
def unknown_status(handshake: Handshake) -> Problems:
    """A request with an unknown `Mcp-Session-Id` is not answered with 404.

    404 tells a client to open a new session. On 400 clients give up, and on 401 they sign in again,
    although the token is valid.

    Usual causes: sessions that are kept in memory and lost in a restart; one error for all requests
    without a live session.

    Repair: Answer requests of an unknown session with 404.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Mcp-Session-Id: session-1
        400 {"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "Session not found"}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Mcp-Session-Id: session-1
        404 {"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "Session not found"}}
    """
    for mcp in handshake.all(Mcp):
        if mcp.status not in (400, 401) or mcp.request.header("mcp-session-id") is None:
            continue
        body = "" if mcp.status == 401 and mcp.error == "invalid_token" else mcp.response.body or ""
        if _UNKNOWN.search(body[:4000]) or (mcp.status == 401 and _good_without_session(mcp, handshake)):
            yield Problem(
                message=f"a request of an unknown session is answered {mcp.status}; it has to be 404",
                at="response.status",
                expected="404",
                actual=str(mcp.status),
                exchange=mcp.exchange.id,
                patch=Patch(status=404),
            )
            return


@rule(
    "mcp-session-id-not-issued",
    must("MCP 2025-11-25 Streamable HTTP 'Session Management'", _SESSIONS),
    who="resource-server",
    until="2025-11-25",
)
def not_issued(mcp: Mcp, so_far: Handshake) -> Problems:
    """The server requires `Mcp-Session-Id`, but its `initialize` response has none.

    It requires `Mcp-Session-Id`, but the `initialize` response reached the client without one. No
    client can work with that.

    Usual causes: a proxy that forwards only some of the response headers.

    Repair: Forward `Mcp-Session-Id` and all other headers of the `initialize` response.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        400 {"error": "Mcp-Session-Id header is required"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}
    """
    if mcp.ok or not by_client(mcp) or mcp.request.header("mcp-session-id"):
        return
    opened = opened_by(mcp, so_far)
    if opened is None:
        return
    if opened.response.header("mcp-session-id") is None and _NO_ID.search(mcp.answer_text[:4000]):
        yield Problem(
            message=f"the server wants a session id, but the answer of exchange {opened.exchange.id} gave none",
            at="response.status",
            expected="Mcp-Session-Id in the initialize answer",
            actual="absent",
        )


def opened_by(mcp: Mcp, so_far: Handshake) -> Initialize | None:
    """The successful `initialize` of the session this request belongs to, if it began after that answer."""
    if (
        mcp.method == "initialize"
        or isinstance(mcp, Discover)
        or mcp.is_stateless_revision
        or mcp.request.method == "OPTIONS"
    ):
        return None
    opened = next((i for i in reversed(so_far.all(Initialize)) if i.ok and i.method == "initialize"), None)
    if opened is None or opened.exchange.ended is None or mcp.exchange.started_at is None or opened.url != mcp.url:
        return None
    known = opened.exchange.actor == "client" and not any(s.is_stateless_revision for s in so_far.all(Mcp)[-20:])
    return opened if known and mcp.exchange.started_at >= opened.exchange.ended else None


def _good_without_session(mcp: Mcp, handshake: Handshake) -> bool:
    """The same token opened a new session right after: it was the session that was unknown."""
    return any(
        i.ok and i.bearer == mcp.bearer and i.exchange.id > mcp.exchange.id and not i.request.header("mcp-session-id")
        for i in handshake.all(Initialize)
        if mcp.bearer and i.method == "initialize"
    )
