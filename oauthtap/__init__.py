"""oauthtap: watch a real MCP client sign in, and say in one sentence why it does not."""

__version__ = "0.1.0"
