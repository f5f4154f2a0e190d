"""What stages, parties and outcomes are called in front of a person."""

from __future__ import annotations

from oauthtap.report import Report

WHO = {
    "resource-server": "the MCP server's",
    "authorization-server": "the authorization server's",
    "client": "the client's",
    "config": "the configuration's: each part does what it was told",
    "network": "the network's",
}

STAGE = {
    "cors-preflight": "a browser's permission check",
    "mcp-challenge": "the 401 that starts the sign-in",
    "prm-discovery": "protected resource metadata",
    "as-discovery": "authorization server metadata",
    "jwks-fetch": "the key set",
    "client-metadata-fetch": "the client's metadata document",
    "client-registration": "client registration",
    "pushed-authorization": "the pushed authorization request",
    "authorization-request": "the browser opening the authorization endpoint",
    "authorization-interaction": "login and consent",
    "authorization-response": "the redirect back to the client",
    "token-request": "the code exchanged for a token",
    "token-refresh": "the token refreshed",
    "token-other-grant": "a token by another grant",
    "device-authorization": "device authorization",
    "token-maintenance": "introspection or revocation",
    "mcp-initialize": "MCP initialize",
    "mcp-discover": "MCP server/discover",
    "mcp-request": "MCP requests",
    "mcp-stream": "the MCP stream",
    "mcp-session-end": "the end of the MCP session",
    "legacy-sse": "the legacy SSE transport",
    "mcp-token-rejected": "the MCP server refusing the token",
    "mcp-step-up": "the MCP server asking for more permission",
    "other": "nothing of the handshake",
    "any": "the whole handshake",
}

MARK = {"error": "✗", "warning": "!", "note": "·"}


def outcome(report: Report) -> str:
    """How far it got, in one sentence."""
    if not report.exchanges:
        return "Nothing arrived: the client sent no request."
    if report.connected:
        return "Connected: an MCP request was answered."
    return f"Not connected. It got as far as {STAGE[report.reached]} ({report.reached})."
