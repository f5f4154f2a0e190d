"""DELETE on the MCP endpoint: a client says that it is done with its session."""
