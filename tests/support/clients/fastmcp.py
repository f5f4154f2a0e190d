"""Drives fastmcp's client, which brings its own callback and opens the browser itself."""

from __future__ import annotations

from tests.support.clients import HERE, Sandbox, Transport
from tests.support.clients.installed import from_pypi
from tests.support.clients.python_sdk import listed


def drive(sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """The newest fastmcp; its own files stay in the sandbox."""
    sandbox.env["FASTMCP_HOME"] = str(sandbox.home)
    ran = sandbox.run(from_pypi("fastmcp", "fastmcp"), HERE / "programs" / "fastmcp_client.py", url, transport)
    return ran.code == 0, listed(ran.said)
