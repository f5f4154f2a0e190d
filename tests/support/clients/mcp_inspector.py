"""Drives the MCP Inspector's command line. Knows its flags and the JSON it prints."""

from __future__ import annotations

import json

from tests.support.clients import Sandbox, Transport
from tests.support.clients.installed import from_npm, node
from tests.support.tapped import free_port


def drive(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """One command does it all; it opens a browser without a terminal only when told to."""
    inspector = from_npm("inspector", "@modelcontextprotocol/inspector@latest") / ".bin" / "mcp-inspector"
    # Its usual callback has one port for all, and two runs at once would take each other's answers.
    callback = f"http://127.0.0.1:{free_port()}/oauth/callback"
    sandbox.env.update({"MCP_AUTO_OPEN_ENABLED": "true", "MCP_OAUTH_CALLBACK_URL": callback})
    flags = ["--cli", "--server-url", url, "--transport", transport, "--method", "tools/list", "--format", "json"]
    ran = sandbox.run(inspector, *flags, path=node(22))
    tools = tools_in(ran.said)
    return ran.code == 0 and bool(tools), tools


def tools_in(said: str) -> tuple[str, ...]:
    """The names in the last JSON object with `tools`, which may follow lines of other text."""
    decoder = json.JSONDecoder()
    for start in (at for at, character in enumerate(said) if character == "{"):
        try:
            value, _ = decoder.raw_decode(said[start:])
        except ValueError:
            continue
        found = value.get("tools") or value.get("result", {}).get("tools")
        if found:
            return tuple(tool["name"] for tool in found)
    return ()
