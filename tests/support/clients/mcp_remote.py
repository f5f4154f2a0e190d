"""Drives mcp-remote, a stdio server that is a client: our own small stdio client sits in front of it."""

from __future__ import annotations

import sys

from oauthtap.drive.driver import PROGRAMS, drivers
from tests.support.clients import Sandbox, Transport
from tests.support.clients.installed import from_npm, node
from tests.support.clients.python_sdk import CALL, listed


def drive(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """`--enable-proxy`, because without it no proxy variable is heeded."""
    remote = from_npm("mcp-remote", "mcp-remote@latest") / ".bin" / "mcp-remote"
    flags = ["--transport", drivers()["mcp-remote"].transports[transport], "--enable-proxy"]
    ran = sandbox.run(sys.executable, PROGRAMS / "stdio.py", "--call", *CALL, remote, url, *flags, path=node(22))
    return ran.code == 0 and "CALLED 5\n" in ran.said, listed(ran.said)
