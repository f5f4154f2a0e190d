"""Drives fastmcp's client, which brings its own callback and opens the browser itself."""

from __future__ import annotations

from oauthtap.drive.driver import PROGRAMS
from tests.support.clients import Sandbox, Transport
from tests.support.clients.installed import from_pypi
from tests.support.clients.python_sdk import CALL, listed


def drive(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The newest fastmcp; its own files stay in the sandbox."""
    sandbox.env["FASTMCP_HOME"] = str(sandbox.home)
    ran = sandbox.run(from_pypi("fastmcp", "fastmcp"), PROGRAMS / "fastmcp_client.py", url, transport, *CALL)
    return ran.code == 0 and "CALLED 5\n" in ran.said, listed(ran.said)
