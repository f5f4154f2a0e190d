"""oidc-provider 9 as an authorization server of its own, and the TypeScript SDK's resource servers behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from tests.support.clients.installed import from_npm, node, versions
from tests.support.servers import HERE, NODE, Running, Stack, laid
from tests.support.servers.process import Process, serving
from tests.support.tapped import free_port

FOLDER = "server-oidc"
PACKAGES = (
    "oidc-provider@9",
    "@modelcontextprotocol/sdk@1",
    "@modelcontextprotocol/express@2",
    "@modelcontextprotocol/node@2",
    "@modelcontextprotocol/server@2",
    "express@5",
    "jose@6",
    "zod@4",
)


@contextlib.contextmanager
def authorization_server(resource: str, redirect: str = "") -> Iterator[tuple[str, Process]]:
    """The authorization server that issues tokens for one resource: its issuer (with a path), and its program."""
    port = free_port()
    issuer = f"http://localhost:{port}/tenant/one"
    with laid(HERE / "oidc", from_npm(FOLDER, *PACKAGES)) as folder:
        named = {"ISSUER": issuer, "RESOURCE": resource} | ({"REDIRECT": redirect} if redirect else {})
        with serving([node(22) / "node", *NODE, "as.mjs"], folder, port, ready="ready", **named) as process:
            yield issuer, process


@contextlib.contextmanager
def resource_server(program: str, port: int, issuer: str, **settings: str) -> Iterator[tuple[str, Process]]:
    """One of the resource servers at this port, behind whatever issuer: its MCP URL, and its program."""
    url = f"http://localhost:{port}/mcp"
    command = [node(22) / "node", *NODE, program]
    with (
        laid(HERE / "oidc", from_npm(FOLDER, *PACKAGES)) as folder,
        serving(command, folder, port, ready="ready", RESOURCE=url, ISSUER=issuer, **settings) as process,
    ):
        yield url, process


@contextlib.contextmanager
def start(program: str, packages: tuple[str, ...]) -> Iterator[Running]:
    """The authorization server and one resource server."""
    port = free_port()
    with (
        authorization_server(f"http://localhost:{port}/mcp") as (issuer, trusted),
        resource_server(program, port, issuer) as (url, process),
    ):
        installed = versions("npm", FOLDER)
        yield Running(url, (process, trusted), {name: installed[name] for name in (*packages, "oidc-provider")})


STACKS = {
    "typescript-sdk-1": Stack(
        "TypeScript SDK 1, oidc-provider as its authorization server (issuer with a path)",
        partial(start, "rs1.mjs", ("@modelcontextprotocol/sdk",)),
    ),
    "typescript-sdk-2": Stack(
        "TypeScript SDK 2, the same authorization server",
        partial(start, "rs2.mjs", ("@modelcontextprotocol/server",)),
    ),
}
