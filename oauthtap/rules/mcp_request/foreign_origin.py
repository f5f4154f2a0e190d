"""A server that serves a request from any web page, which `oauthtap probe --attack` sends."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Initialize, LegacySse, McpRequest
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.rules import rule


@rule(
    "rs-accepts-foreign-origin",
    must(
        "MCP 2025-11-25 Transports 'Security Warning'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#security-warning",
    ),
    who="resource-server",
    severity="warning",
    stops_only_at=(),
)
def foreign_origin(mcp: Initialize | McpRequest | LegacySse, so_far: Handshake) -> Problems:
    """The MCP server accepts a request with a foreign `Origin`.

    A browser says in `Origin` which page sends a request. A server that does not compare it can be
    reached from any page that a user opens, also where only the user's machine reaches it (DNS
    rebinding). Clients without a browser send no `Origin`.

    Usual causes: the check is an option of the framework, and it is off.

    Repair: Answer 403 to a request whose `Origin` is not in the server's list of allowed origins.

    Bad:
        @reporter
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        Origin: https://oauthtap-attack.invalid
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}

    Good:
        @reporter
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        Origin: https://oauthtap-attack.invalid
        403
    """
    origin = mcp.request.header("origin")
    # Another origin may be an allowed one; this one nobody can have (RFC 2606, 2).
    if mcp.exchange.actor != "reporter" or origin is None or not origin.endswith(".invalid"):
        return
    if mcp.ok and (mcp.endpoint if isinstance(mcp, LegacySse) else "result" in mcp.reply):
        yield Problem(
            message=f"a request with `Origin: {origin}` was answered {mcp.status}; it has to be refused",
            at="response.status",
            expected="403",
            actual=str(mcp.status),
        )
