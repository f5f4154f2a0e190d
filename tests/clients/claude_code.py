"""Drives Claude Code as a user does: add, login, get. Knows its commands and what it prints."""

from __future__ import annotations

import json
import sys

from oauthtap.drivers import drivers
from tests.clients import HERE, Sandbox, Transport
from tests.clients.installed import from_npm

DRIVER = drivers()["claude-code"]
NAME = "bed"
FEBRUARY_2026 = ("claude-code-2.1.54", "@anthropic-ai/claude-code@2.1.54")
"""The first that signs in without a person before its screen; of the versions before, none does."""


def drive(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """`claude mcp add`, `claude mcp login` on a terminal (else it opens no browser), `claude mcp get`."""
    claude = from_npm("claude-code", "@anthropic-ai/claude-code@latest") / ".bin" / "claude"
    sandbox.env.update(DRIVER.env)
    sandbox.run(claude, "mcp", "add", "--transport", transport, NAME, url, at_home=True)
    sandbox.run(claude, "mcp", "login", NAME, terminal=True)
    state = sandbox.run(claude, "mcp", "get", NAME).said
    return DRIVER.is_connected(state, 0), ()


def drive_embedded(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """An older one, before `claude mcp login`: signed in over its control channel, as by an editor."""
    claude = from_npm(*FEBRUARY_2026) / ".bin" / "claude"
    sandbox.env.update(DRIVER.env)
    sandbox.run(claude, "mcp", "add", "--transport", transport, NAME, url, at_home=True)
    ran = sandbox.run(sys.executable, HERE / "programs" / "claude_code_control.py", claude, NAME)
    return ran.code == 0, tuple(tools_in(ran.said))


def tools_in(said: str) -> list[str]:
    """The tools of our server in the last state it told of on its control channel."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    states = [line["response"].get("response") or {} for line in lines if line.get("type") == "control_response"]
    servers = [server for state in states for server in state.get("mcpServers", ()) if server["name"] == NAME]
    return [tool["name"] for tool in servers[-1].get("tools", ())] if servers else []
