"""What the server says when it is asked what it speaks."""

from __future__ import annotations

import json

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Discover, Mcp
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.rules import rule

_UNKNOWN_METHOD = -32601


@rule(
    "modern-discover-missing",
    must("MCP 2026-07-28 'Discovery'", "https://modelcontextprotocol.io/specification/2026-07-28/server/discover"),
    who="resource-server",
    severity="warning",
    since="2026-07-28",
)
def discover_missing(handshake: Handshake) -> Problems:
    """A server of 2026-07-28 does not implement `server/discover`.

    With this method a client asks for the supported versions first. "Method not found" is the
    response of an older server, so clients that support both fall back to `initialize`.

    Usual causes: the methods were registered one by one, and this one was forgotten; a gateway
    forwards only the methods it knows.

    Repair: Answer `server/discover` with the supported versions, capabilities and the
    server's name.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        MCP-Protocol-Version: 2026-07-28
        404 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no such method"}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Mcp-Method: tools/list
        MCP-Protocol-Version: 2026-07-28
        200 {"jsonrpc": "2.0", "id": 2, "result": {}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        MCP-Protocol-Version: 2026-07-28
        200 {"jsonrpc": "2.0", "id": 1, "result": {"supportedVersions": ["2026-07-28"]}}
    """
    served = [m for m in handshake.all(Mcp) if m.is_stateless_revision and m.version == "2026-07-28" and _served(m)]
    for asked in handshake.all(Discover):
        if asked.exchange.response is None or asked.rpc_error.get("code") != _UNKNOWN_METHOD:
            continue
        others = [m for m in served if m.exchange.id != asked.exchange.id]
        if others or "2026-07-28" in json.dumps(asked.rpc_error):
            claim = f"it served exchange {others[0].exchange.id} in 2026-07-28" if others else "it names 2026-07-28"
            yield Problem(
                message=f"server/discover is an unknown method here, and {claim}, where that method is a duty",
                at="response.json.error.code",
                expected="a result with the supported versions",
                actual=str(_UNKNOWN_METHOD),
                exchange=asked.exchange.id,
            )
            return


def _served(stage: Mcp) -> bool:
    """The request was answered with a result."""
    response = stage.exchange.response
    return stage.ok and response is not None and response.body is not None and "result" in stage.reply
