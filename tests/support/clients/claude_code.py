"""Drives Claude Code as a user does: add, login, get; older ones by what they had then. Knows what it prints."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from oauthtap.drive.driver import drivers
from tests.support.clients import HERE, Sandbox, Transport
from tests.support.clients.installed import from_npm
from tests.support.clients.python_sdk import listed

DRIVER = drivers()["claude-code"]
NAME = "bed"
FEBRUARY_2026 = ("claude-code-2.1.54", "@anthropic-ai/claude-code@2.1.54")
"""The first that signs in without its screen: over its control channel, as in an editor."""
DECEMBER_2025 = ("claude-code-2.0.76", "@anthropic-ai/claude-code@2.0.76")
"""As all before, it signs in at its screen alone."""
NOT_ASKED = {
    "hasCompletedOnboarding": True,
    "officialMarketplaceAutoInstallAttempted": True,
    "officialMarketplaceAutoInstalled": True,
}
"""Settings of somebody who has seen its first start: no welcome, and no plugins fetched from elsewhere."""


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


def drive_at_its_screen(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """One of 2025: `/mcp` in a session, on a terminal. No account: what asks no model works without one."""
    claude = from_npm(*DECEMBER_2025) / ".bin" / "claude"
    sandbox.env.update(DRIVER.env)
    sandbox.run(claude, "mcp", "add", "--transport", transport, NAME, url, at_home=True)
    accept(sandbox.home)
    ran = sandbox.run(claude, by=(sys.executable, HERE / "programs" / "claude_code_screen.py", NAME))
    return ran.code == 0, listed(ran.said)


def accept(home: Path) -> None:
    """Answer beforehand what its screen would ask at the first start in this folder."""
    file = home / ".claude.json"
    settings = json.loads(file.read_text()) | NOT_ASKED
    for project in settings["projects"].values():
        project["hasTrustDialogAccepted"] = True
    file.write_text(json.dumps(settings))


def tools_in(said: str) -> list[str]:
    """The tools of our server in the last state it told of on its control channel."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    states = [line["response"].get("response") or {} for line in lines if line.get("type") == "control_response"]
    servers = [server for state in states for server in state.get("mcpServers", ()) if server["name"] == NAME]
    return [tool["name"] for tool in servers[-1].get("tools", ())] if servers else []
