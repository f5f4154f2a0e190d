"""Vercel's mcp-handler as a resource server behind oidc-provider."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.clients.installed import from_npm, node, versions
from tests.support.servers import HERE, NODE, Running, Stack, laid
from tests.support.servers.oidc import authorization_server
from tests.support.servers.process import serving
from tests.support.tapped import free_port

FOLDER = "server-mcp-handler"
PACKAGES = ("mcp-handler@latest", "@modelcontextprotocol/server@latest", "zod@4")


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The server and the authorization server it leads to."""
    port = free_port()
    url = f"http://localhost:{port}/mcp"
    with (
        authorization_server(url) as (issuer, trusted),
        laid(HERE / "mcp_handler", from_npm(FOLDER, *PACKAGES)) as folder,
    ):
        command = [node(22) / "node", *NODE, "server.mjs"]
        with serving(command, folder, port, ready="ready", ISSUER=issuer) as process:
            named = {"mcp-handler": versions("npm", FOLDER)["mcp-handler"]}
            yield Running(url, (process, trusted), named)


STACKS = {"mcp-handler": Stack("mcp-handler (Vercel) behind oidc-provider", start)}
