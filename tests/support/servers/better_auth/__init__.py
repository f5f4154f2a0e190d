"""better-auth with its MCP plugin: authorization server and MCP server on one origin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.clients.installed import from_npm, node, versions
from tests.support.servers import HERE, NODE, Running, Stack, laid
from tests.support.servers.process import serving
from tests.support.tapped import free_port

FOLDER = "server-better-auth"
RELEASE = "1.7.5"
"""Its packages ask for each other by exact version, and not all are published at once: one release for all."""
PACKAGES = (
    *(f"{name}@{RELEASE}" for name in ("better-auth", "@better-auth/mcp", "@better-auth/oauth-provider")),
    f"@better-auth/core@{RELEASE}",
    "@better-auth/utils@0.4.2",
    "@modelcontextprotocol/sdk@1",
    "zod@4",
)


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The one server."""
    port = free_port()
    with laid(HERE / "better_auth", from_npm(FOLDER, *PACKAGES)) as folder:
        command = [node(22) / "node", *NODE, "server.mjs"]
        with serving(command, folder, port, ready="ready") as process:
            installed = versions("npm", FOLDER)
            named = {name: installed[name] for name in ("better-auth", "@better-auth/mcp")}
            yield Running(f"http://localhost:{port}/mcp", (process,), named)


STACKS = {"better-auth": Stack("better-auth, MCP plugin", start)}
