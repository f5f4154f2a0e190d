"""oauth2-server (npm), the fork that is kept up and 3.x, with the MCP server on the same origin."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from tests.support.clients.installed import from_npm, node, versions
from tests.support.servers import HERE, NODE, Running, Stack, laid
from tests.support.servers.process import serving
from tests.support.tapped import free_port

FOLDER = "server-oauth2-server"
FORK, OLD = "@node-oauth/oauth2-server", "oauth2-server"
PACKAGES = (f"{FORK}@5", f"{OLD}@3", "@modelcontextprotocol/sdk@1", "express@5", "zod@4")


@contextlib.contextmanager
def start(library: str) -> Iterator[Running]:
    """The one server, on either library."""
    port = free_port()
    command = [node(22) / "node", *NODE, "server.mjs"]
    with (
        laid(HERE / "oauth2_server", from_npm(FOLDER, *PACKAGES)) as folder,
        serving(command, folder, port, ready="ready", LIBRARY=library) as process,
    ):
        named = {library: versions("npm", FOLDER)[library]}
        yield Running(f"http://localhost:{port}/mcp", (process,), named)


STACKS = {
    "oauth2-server": Stack("oauth2-server (npm, the fork that is kept up), with PKCE", partial(start, FORK)),
    "oauth2-server-3": Stack("oauth2-server 3 (npm), which knows no PKCE and announces none", partial(start, OLD)),
}
