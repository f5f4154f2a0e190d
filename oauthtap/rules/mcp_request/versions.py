"""The protocol version, as agreed on in `initialize` and repeated with every request (2025-06-18 and 2025-11-25)."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Mcp
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import by_client
from oauthtap.model.requirements import REVISIONS, must, practice, should
from oauthtap.rules import rule
from oauthtap.rules.mcp_request.session import opened_by

_VERSIONS = "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#protocol-version-header"
_VERSION = re.compile(r"protocol.?version|(unsupported|unknown).{0,20}version", re.I)


@rule(
    "mcp-protocol-version-header-missing",
    must("MCP 2025-11-25 Transports 'Protocol Version Header'", _VERSIONS),
    who="client",
    severity="warning",
    since="2025-06-18",
    until="2025-11-25",
)
def version_missing(mcp: Mcp, so_far: Handshake) -> Problems:
    """The request has no `MCP-Protocol-Version` header.

    Without `MCP-Protocol-Version` a server has to assume 2025-03-26, or answers 400.

    Usual causes: a client older than 2025-06-18; a proxy that drops the header.

    Repair: Send `MCP-Protocol-Version` with the negotiated version on every request after
    `initialize`.

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
    agreed = so_far.negotiated
    if mcp.request.header("mcp-protocol-version") is not None or not agreed or agreed < "2025-06-18":
        return
    opened = opened_by(mcp, so_far)
    if opened is None or not by_client(mcp):
        return
    since = [s for s in so_far.all(Mcp)[-50:] if s.exchange.id > opened.exchange.id and s.exchange.actor == "client"]
    before = any(s.request.header("mcp-protocol-version") is None for s in since)
    if not before:
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
    """`MCP-Protocol-Version` is not the version negotiated in `initialize`.

    The `initialize` response names the version to use. A strict server refuses another one with
    400. Usual causes: the client sends the version it requested.

    Repair: Send the `protocolVersion` of the `initialize` response.

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
    sent, agreed = mcp.request.header("mcp-protocol-version"), so_far.negotiated
    if not sent or not agreed or sent == agreed or not by_client(mcp):
        return
    if opened := opened_by(mcp, so_far):
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
    """The server answers a published `MCP-Protocol-Version` with 400.

    It has to answer `initialize` with the newest version it supports instead. After a 400 the
    client reports a failure that has nothing to do with the sign-in.

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
    if mcp.is_stateless_revision:
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
    """The client sends a JSON-RPC batch, which only 2025-03-26 allows.

    Servers of later revisions answer 400.

    Usual causes: a client of that revision, or a gateway that bundles messages.

    Repair: Send each message in a separate request.

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
