"""Drives the Python SDK's own OAuth client, 1.x and 2.x, each in a virtual environment of its own.

mitmproxy's pins would hold the SDK back if it were installed beside it.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.clients import HERE, Sandbox, Transport
from tests.clients.installed import from_pypi


def drive_1(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The last 1.x."""
    return drive(sandbox, from_pypi("mcp1", "mcp<2"), "python_sdk_1.py", url, transport)


def drive_2(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The newest 2.x."""
    return drive(sandbox, from_pypi("mcp2", "mcp>=2,<3"), "python_sdk_2.py", url, transport)


def drive(sandbox: Sandbox, python: Path, program: str, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """Run one of the programs, which print `TOOLS` and a JSON list once they have signed in."""
    ran = sandbox.run(python, HERE / "programs" / program, url, transport)
    return ran.code == 0, listed(ran.said)


def listed(said: str) -> tuple[str, ...]:
    """The names after `TOOLS`, the line by which our own client programs report success."""
    for line in said.splitlines():
        if line.startswith("TOOLS "):
            return tuple(json.loads(line.removeprefix("TOOLS ")))
    return ()
