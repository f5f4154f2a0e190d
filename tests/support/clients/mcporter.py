"""Drives mcporter: sign in, then list. Knows its configuration file and commands."""

from __future__ import annotations

import json

from tests.support.clients import Sandbox, Transport
from tests.support.clients.installed import from_npm, node
from tests.support.clients.mcp_inspector import tools_in


def drive(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """`mcporter auth`, `mcporter list --json`; it finds the transport out by itself."""
    program = from_npm("mcporter", "mcporter@latest") / ".bin" / "mcporter"
    config = sandbox.home / "mcporter.json"
    config.write_text(json.dumps({"mcpServers": {"bed": {"url": url, "auth": "oauth"}}, "imports": []}))
    flags = ["--config", str(config), "--oauth-timeout", "20000"]
    sandbox.run(program, *flags, "auth", "bed", path=node(24))
    ran = sandbox.run(program, *flags, "list", "bed", "--json", path=node(24))
    tools = tools_in(ran.said)
    return bool(tools), tools
