"""Drives the TypeScript SDK's own OAuth client, 1.x and 2.x, by a small program that embeds it."""

from __future__ import annotations

from pathlib import Path

from oauthtap.drive.driver import PROGRAMS
from tests.support.clients import Sandbox, Transport
from tests.support.clients.installed import from_npm, node
from tests.support.clients.python_sdk import CALL, listed


def drive_1(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The last 1.x: `@modelcontextprotocol/sdk`."""
    return drive(sandbox, from_npm("typescript-sdk-1", "@modelcontextprotocol/sdk@1"), "1", url, transport)


def drive_1_24(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The 1.x of December 2025, which hosts of that winter still ship."""
    return drive(sandbox, from_npm("typescript-sdk-1-2025", "@modelcontextprotocol/sdk@1.24.3"), "1", url, transport)


def drive_2(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The newest 2.x: `@modelcontextprotocol/client`."""
    return drive(sandbox, from_npm("typescript-sdk-2", "@modelcontextprotocol/client@2"), "2", url, transport)


def drive(sandbox: Sandbox, modules: Path, major: str, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """Run the program with the SDK in that `node_modules`."""
    program = PROGRAMS / "typescript_sdk.mjs"
    ran = sandbox.run("node", program, modules, major, url, transport, *CALL, path=node(22))
    return ran.code == 0 and "CALLED 5\n" in ran.said, listed(ran.said)
