"""GET on the MCP endpoint: the stream on which a server may speak up by itself, until 2025-11-25."""
