"""Authlib (Flask) as an authorization server of its own, and Vercel's mcp-handler behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.clients.installed import from_pypi, versions
from tests.support.servers import HERE, Running, Stack, laid, mcp_handler
from tests.support.servers.process import serving
from tests.support.tapped import free_port

FOLDER = "server-authlib"
PACKAGES = ("authlib>=1.6", "flask", "a2wsgi", "uvicorn")


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The authorization server and the MCP server."""
    python, port = from_pypi(FOLDER, *PACKAGES), free_port()
    with (
        laid(HERE / "authlib") as folder,
        serving([python, "server.py"], folder, port) as trusted,
        mcp_handler.behind(f"http://localhost:{port}") as (url, process, named),
    ):
        yield Running(url, (process, trusted), named | {"authlib": versions("python", FOLDER)["Authlib"]})


STACKS = {"authlib": Stack("Authlib (Flask) as authorization server, mcp-handler (Vercel) behind it", start)}
