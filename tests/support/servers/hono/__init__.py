"""Hono's MCP transport with its authorization router: authorization server and MCP server on one origin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.clients.installed import from_npm, node, versions
from tests.support.servers import HERE, NODE, Running, Stack, laid
from tests.support.servers.process import serving
from tests.support.tapped import free_port

FOLDER = "server-hono"
PACKAGES = ("hono@4", "@hono/mcp@0.3", "@hono/node-server@1", "@modelcontextprotocol/sdk@1", "zod@4")


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The one server."""
    port = free_port()
    command = [node(22) / "node", *NODE, "server.mjs"]
    with (
        laid(HERE / "hono", from_npm(FOLDER, *PACKAGES)) as folder,
        serving(command, folder, port, ready="ready") as process,
    ):
        installed = versions("npm", FOLDER)
        named = {name: installed[name] for name in ("hono", "@hono/mcp")}
        yield Running(f"http://localhost:{port}/mcp", (process,), named)


STACKS = {"hono": Stack("Hono with @hono/mcp, its own authorization router", start)}
