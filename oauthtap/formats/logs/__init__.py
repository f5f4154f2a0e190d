"""Readers of clients' logs, a module each; `client_logs` picks between those of Claude Code and mcp-remote."""
