"""Drives Claude Code as a user does: add, login, get. Knows its commands and what it prints."""

from __future__ import annotations

import re

from tests.clients import Sandbox, Transport
from tests.clients.installed import from_npm

QUIET = {
    "DISABLE_TELEMETRY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
}
NAME = "bed"


def drive(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """`claude mcp add`, `claude mcp login` on a terminal (else it opens no browser), `claude mcp get`."""
    claude = from_npm("claude-code", "@anthropic-ai/claude-code@latest") / ".bin" / "claude"
    sandbox.env.update(QUIET)
    sandbox.run(claude, "mcp", "add", "--transport", transport, NAME, url)
    sandbox.run(claude, "mcp", "login", NAME, terminal=True)
    state = sandbox.run(claude, "mcp", "get", NAME).said
    return bool(re.search(r"\bConnected\b", state)), ()
