"""Readers of clients' logs, a module each. Those of Claude Code and mcp-remote are in `oauthtap.formats.logs.client_logs`."""
