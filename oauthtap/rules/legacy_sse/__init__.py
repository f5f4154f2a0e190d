"""The transport of MCP 2024-11-05: one GET stream, and POSTs to the address its first event names."""
