"""Vercel's mcp-handler as a resource server behind oidc-provider."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.clients.installed import from_npm, node, versions
from tests.support.servers import HERE, NODE, Running, Stack, laid
from tests.support.servers.oidc import authorization_server
from tests.support.servers.process import Process, serving
from tests.support.tapped import free_port

FOLDER = "server-mcp-handler"
PACKAGES = ("mcp-handler@latest", "@modelcontextprotocol/server@latest", "zod@4")


@contextlib.contextmanager
def behind(issuer: str, port: int | None = None) -> Iterator[tuple[str, Process, dict[str, str]]]:
    """The resource server that trusts this issuer: its URL, its program, and what it is made of."""
    port = port or free_port()
    command = [node(22) / "node", *NODE, "server.mjs"]
    with (
        laid(HERE / "mcp_handler", from_npm(FOLDER, *PACKAGES)) as folder,
        serving(command, folder, port, ready="ready", ISSUER=issuer) as process,
    ):
        yield f"http://localhost:{port}/mcp", process, {"mcp-handler": versions("npm", FOLDER)["mcp-handler"]}


@contextlib.contextmanager
def start() -> Iterator[Running]:
    """The server and the authorization server it leads to."""
    port = free_port()
    with (
        authorization_server(f"http://localhost:{port}/mcp") as (issuer, trusted),
        behind(issuer, port) as (url, process, named),
    ):
        yield Running(url, (process, trusted), named)


STACKS = {"mcp-handler": Stack("mcp-handler (Vercel) behind oidc-provider", start)}
