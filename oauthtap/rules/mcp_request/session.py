"""Sessions and revisions of the older transports: ids, headers, and what happens when they are lost."""

from __future__ import annotations

import re

from oauthtap.findings import Patch, Problem, Problems
from oauthtap.handshake import Handshake
from oauthtap.redemption import by_client
from oauthtap.rules import rule
from oauthtap.specs import REVISIONS, must, practice, should
from oauthtap.stages import Challenge, Discover, Initialize, Mcp

_SESSIONS = "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management"
_VERSIONS = "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#protocol-version-header"
_UNKNOWN = re.compile(
    r"session.{0,30}(not found|unknown|invalid|expired|terminated|does not exist|not recogni[sz]ed)"
    r"|(unknown|invalid|expired|no valid|no such).{0,15}session|not initialized",
    re.I,
)
_NO_ID = re.compile(r"session.?id.{0,40}(missing|required|not provided|must be)|(missing|no|requires?).{0,20}session.?id", re.I)  # fmt: skip
_VERSION = re.compile(r"protocol.?version|(unsupported|unknown).{0,20}version", re.I)


@rule(
    "mcp-session-header-missing",
    must("MCP 2025-11-25 Transports 'Session Management'", _SESSIONS),
    who="client",
    until="2025-11-25",
)
def header_missing(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client does not send the session id that the server gave it.

    The server cannot tell which session the request belongs to, and answers 400.

    Usual causes: a client in a browser that may not read the header
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
    opened = _opened(mcp, so_far)
    if opened is None or not by_client(mcp) or mcp.request.header("mcp-session-id") or isinstance(mcp, Challenge):
        return
    given = opened.response.header("mcp-session-id")
    if given and not mcp.ok and mcp.status in (400, 404, 422):
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
    """The session is gone, and the client does not open a new one.

    404 to a request with a session id means: start again with `initialize`. A client that
    does not takes it for a wrong URL and stops.

    Usual causes: a new deployment during the sign-in; several instances of the server
    without a shared session store.

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
    """An unknown session is answered with another status than 404.

    404 is the sign to open a new session. On 400 clients give up, and on 401 they send
    the user to sign in again, although the token is good.

    Usual causes: sessions kept in memory, and gone after a restart; one error for all
    requests without a live session.

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
    """The server asks for a session id that the client was never given.

    It insists on `Mcp-Session-Id`, but the answer to `initialize` had none by the time it
    reached the client. No client can get past that.

    Usual causes: a proxy that copies only some of the response headers.

    Repair: Pass on `Mcp-Session-Id`, and all other headers, of the `initialize` answer.

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
    opened = _opened(mcp, so_far)
    if opened is None or not by_client(mcp) or mcp.ok or mcp.request.header("mcp-session-id"):
        return
    if opened.response.header("mcp-session-id") is None and _NO_ID.search(mcp.answer_text[:4000]):
        yield Problem(
            message=f"the server wants a session id, but the answer of exchange {opened.exchange.id} gave none",
            at="response.status",
            expected="Mcp-Session-Id in the initialize answer",
            actual="absent",
        )


@rule(
    "mcp-protocol-version-header-missing",
    must("MCP 2025-11-25 Transports 'Protocol Version Header'", _VERSIONS),
    who="client",
    severity="warning",
    since="2025-06-18",
    until="2025-11-25",
)
def version_missing(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client does not say which protocol version was agreed on.

    Without `MCP-Protocol-Version` a server has to assume 2025-03-26, or answers 400.

    Usual causes: a client older than 2025-06-18; a proxy that drops the header.

    Repair: Send `MCP-Protocol-Version` with the agreed version on every request after `initialize`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        MCP-Protocol-Version: 2025-06-18
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}
    """
    opened, agreed = _opened(mcp, so_far), so_far.negotiated
    if opened is None or not agreed or agreed < "2025-06-18" or not by_client(mcp):
        return
    since = [s for s in so_far.all(Mcp)[-50:] if s.exchange.id > opened.exchange.id and s.exchange.actor == "client"]
    before = any(s.request.header("mcp-protocol-version") is None for s in since)
    if mcp.request.header("mcp-protocol-version") is None and not before:
        yield Problem(
            message=f"the request has no MCP-Protocol-Version; {agreed} was agreed on in exchange {opened.exchange.id}",
            at="request.header.mcp-protocol-version",
            expected=agreed,
            actual="absent",
        )


@rule(
    "mcp-protocol-version-header-differs",
    should("MCP 2025-11-25 Transports 'Protocol Version Header'", _VERSIONS),
    who="client",
    severity="note",
    since="2025-06-18",
    until="2025-11-25",
)
def version_differs(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client sends another protocol version than was agreed on.

    The answer to `initialize` names the version to speak. A strict server refuses another
    one with 400.

    Usual causes: the client sends the version it asked for.

    Repair: Send the `protocolVersion` of the `initialize` answer.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        MCP-Protocol-Version: 2025-11-25
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        MCP-Protocol-Version: 2025-06-18
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}
    """
    opened, agreed = _opened(mcp, so_far), so_far.negotiated
    sent = mcp.request.header("mcp-protocol-version")
    if opened and agreed and sent and sent != agreed and by_client(mcp):
        seen = [s for s in so_far.all(Mcp)[-50:] if s.exchange.id > opened.exchange.id]
        if not any(s.request.header("mcp-protocol-version") == sent for s in seen):
            yield Problem(
                message=f"MCP-Protocol-Version is {sent:.40}; {agreed} was agreed on in exchange {opened.exchange.id}",
                at="request.header.mcp-protocol-version",
                expected=agreed,
                actual=f"{sent:.40}",
            )


@rule(
    "mcp-protocol-version-rejected",
    practice("MCP 2025-11-25 Transports 'Protocol Version Header'", _VERSIONS),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    until="2025-11-25",
    stops_at=(
        "mcp-challenge",
        "mcp-initialize",
        "mcp-token-rejected",
        "prm-discovery",
        "as-discovery",
        "client-registration",
    ),
)
def version_rejected(mcp: Mcp, so_far: Handshake) -> Problems:
    """The server refuses a published protocol version that it does not know.

    It would only have to answer `initialize` with the newest version it knows. Refused at
    the level of HTTP, the client sees a failure that has nothing to do with signing in.

    Usual causes: a server library older than the client.

    Repair: Update the server's library, or answer `initialize` with a version it supports.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        MCP-Protocol-Version: 2025-11-25
        400 text/plain Bad Request: Unsupported protocol version

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        MCP-Protocol-Version: 2025-11-25
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}
    """
    if mcp.modern:
        return  # a client that begins without `initialize` takes this as a sign to go back to it
    if mcp.status == 400 and mcp.version in REVISIONS and _VERSION.search(mcp.answer_text[:4000]):
        yield Problem(
            message=f"the server answers 400 to protocol version {mcp.version}, which is a published one",
            at="request.header.mcp-protocol-version",
            expected="an answer in a version the server knows",
            actual=mcp.version,
        )


@rule(
    "mcp-batch-not-allowed",
    must(
        "MCP 2025-06-18 'Key Changes'; Transports 'Sending Messages to the Server'",
        "https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#sending-messages-to-the-server",
    ),
    who="client",
    severity="warning",
    since="2025-06-18",
)
def batch(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client sends several messages in one list.

    Lists of messages existed in 2025-03-26 alone. Servers of later revisions answer 400.

    Usual causes: a client of that revision, or a gateway that bundles messages.

    Repair: Send each message with a request of its own.

    Bad:
        POST https://mcp.example.com/mcp [{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}]
        400

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    value = mcp.request.json_value
    if mcp.exchange.actor == "client" and isinstance(value, list) and value:
        yield Problem(
            message=f"the body is a list of {len(value)} messages; since 2025-06-18 it has to be one message",
            at="request.body",
            expected="one JSON-RPC message",
            actual=f"a list of {len(value)}",
        )


def _opened(mcp: Mcp, so_far: Handshake) -> Initialize | None:
    """The successful `initialize` of the session this request belongs to, if it began after that answer."""
    if mcp.method == "initialize" or isinstance(mcp, Discover) or mcp.modern or mcp.request.method == "OPTIONS":
        return None
    opened = next((i for i in reversed(so_far.all(Initialize)) if i.ok and i.method == "initialize"), None)
    if opened is None or opened.exchange.ended is None or mcp.exchange.at is None or opened.url != mcp.url:
        return None
    known = opened.exchange.actor == "client" and not any(s.modern for s in so_far.all(Mcp)[-20:])
    return opened if known and mcp.exchange.at >= opened.exchange.ended else None


def _good_without_session(mcp: Mcp, handshake: Handshake) -> bool:
    """The same token opened a new session right after: it was the session that was unknown."""
    return any(
        i.ok and i.bearer == mcp.bearer and i.exchange.id > mcp.exchange.id and not i.request.header("mcp-session-id")
        for i in handshake.all(Initialize)
        if mcp.bearer and i.method == "initialize"
    )
