"""`oauthtap mcp`: what oauthtap does, as the tools of a stdio MCP server, for coding agents."""
