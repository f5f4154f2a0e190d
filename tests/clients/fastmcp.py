"""Drives fastmcp's client, which brings its own callback and opens the browser itself."""

from __future__ import annotations

from tests.clients import Sandbox, Transport
from tests.clients.installed import from_pypi
from tests.clients.python_sdk import drive as drive_program


def drive(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The newest fastmcp; its own files stay in the sandbox."""
    sandbox.env["FASTMCP_HOME"] = str(sandbox.home)
    return drive_program(sandbox, from_pypi("fastmcp", "fastmcp"), "fastmcp_client.py", url, transport)
