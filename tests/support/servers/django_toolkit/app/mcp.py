"""The bed's one tool."""

from __future__ import annotations

from mcp_server import mcp_server


@mcp_server.tool()
def add(a: float, b: float) -> str:
    """Adds two numbers."""
    return str(int(a + b))
