"""Drives the Python SDK's own OAuth client, 1.x and 2.x, each in a virtual environment of its own.

mitmproxy's pins would hold the SDK back if it were installed beside it.
"""

from __future__ import annotations

import json
from pathlib import Path

from oauthtap.drive.driver import PROGRAMS
from tests.support.clients import Sandbox, Transport
from tests.support.clients.installed import from_pypi

CALL = ("add", '{"a": 2, "b": 3}')
"""The bed's one tool, and what it is called with."""


def drive_1(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The last 1.x."""
    return drive(sandbox, from_pypi("mcp1", "mcp<2"), PROGRAMS / "python_sdk_1.py", url, transport)


def drive_2(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The newest 2.x."""
    return drive(sandbox, from_pypi("mcp2", "mcp>=2,<3"), PROGRAMS / "python_sdk_2.py", url, transport)


def drive(
    sandbox: Sandbox, python: Path, program: Path, url: str, transport: Transport
) -> tuple[bool, tuple[str, ...]]:
    """Run one of the product's programs, which print `TOOLS` and what the tool said once they have signed in."""
    ran = sandbox.run(python, program, url, transport, *CALL)
    return ran.code == 0 and "CALLED 5\n" in ran.said, listed(ran.said)


def listed(said: str) -> tuple[str, ...]:
    """The names after `TOOLS`, the line by which our own client programs report success."""
    for line in said.splitlines():
        if line.startswith("TOOLS "):
            return tuple(json.loads(line.removeprefix("TOOLS ")))
    return ()
