"""Whose log a text is, by a few words that only that client writes."""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re

CLIENTS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("codex", r"AuthRequired\(|worker quit with fatal|codex(?:_core|_rmcp_client|_mcp|-mcp-client| mcp login|_cli)|\bcodex_"),
        ("gemini-cli", r"Failed to authenticate with MCP server '|MCPOAuthProvider|gemini(?:-cli)?[/\\.]|Gemini CLI|MCP server '[^']+' (?:rejected|requires)|Starting OAuth authentication for MCP server '|MCP ERROR \(|error received for (?:SSE|HTTP) server '"),
        ("cursor", r"anysphere|\[MCPClient\]|user-[\w-]+: |cursor://|HandleAction|MCPService|\[V\d(?: FSM)?\] |Handling CreateClient action|Creating streamableHttp transport|Client error for command|to streamableHttp server|\bCursor (?:MCP|IDE)"),
        ("vs-code", r"vscode-|Visual Studio Code"),
        ("fastmcp", r"\bfastmcp[./]client|fastmcp\.client|FastMCP Client"),
        ("mcp-inspector", r"MCP Inspector|modelcontextprotocol/inspector|inspector[/\\](?:server|client|cli)|New StreamableHttp connection request|Failed to connect directly to MCP Server at|Connected MCP client to backing server transport|Created (?:streamable )?web app transport|Error from MCP server: |[Rr]eceived 401 Unauthorized from MCP server|SSE transport: url=|Proxy server listening"),
        ("mcp-remote", r"mcp-remote"),
        ("claude-code", r"claude-code|Claude Code|claude mcp |SDK auth (?:failed|error)"),
        ("claude-ai", r"Anthropic/ClaudeAI"),
        ("python-sdk-2", r"\bhttpcore2\b|\bhttpx2\b"),
        ("python-sdk-1", r"\bmcp\.client\.(?:auth|streamable_http|sse)|mcp/client/auth|OAuthClientProvider"),
        ("typescript-sdk-1", r"@modelcontextprotocol/sdk|StreamableHTTPClientTransport|client/auth\.js"),
    )
)  # fmt: skip
"""Names of client profiles, and what only that client writes. The first that is found counts."""


def client_of(text: str) -> str | None:
    """The profile of the client whose words these are; None where nothing tells."""
    return next((name for name, pattern in CLIENTS if pattern.search(text[:200_000])), None)
