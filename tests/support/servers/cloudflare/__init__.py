"""Cloudflare's workers-oauth-provider before an McpAgent, in workerd as `wrangler dev` runs it on a laptop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from tests.support.clients.installed import from_npm, node, versions
from tests.support.servers import HERE, Running, Stack, laid
from tests.support.servers.process import serving
from tests.support.tapped import free_port

OLD = (
    "@cloudflare/workers-oauth-provider@0.1.0",
    "@modelcontextprotocol/sdk@1.23.0",
    "agents@0.2.35",
    "ai@6",
    "wrangler@4",
    "zod@3",
)
NEW = (
    "@cloudflare/workers-oauth-provider@1",
    "@modelcontextprotocol/sdk@1",
    "@modelcontextprotocol/server@2",
    "agents@0.32",
    "wrangler@4",
    "zod@4",
)
RELEASES = {"old": ("server-cloudflare-0.1", OLD), "new": ("server-cloudflare-1", NEW)}
SHOWN = ("@cloudflare/workers-oauth-provider", "agents", "wrangler")
FLAGS = ("--local", "--ip", "127.0.0.1", "--show-interactive-dev-session=false")


@contextlib.contextmanager
def start(release: str, path: str) -> Iterator[Running]:
    """The worker, with the MCP URL at `path`."""
    name, packages = RELEASES[release]
    modules, port = from_npm(name, *packages), free_port()
    url = f"http://localhost:{port}{path}"
    with laid(HERE / "cloudflare", modules) as folder:
        command = [modules / ".bin" / "wrangler", "dev", f"{release}.ts", "--port", str(port), *FLAGS]
        command += ["--inspector-port", str(free_port()), "--var", f"RESOURCE:{url}"]
        quiet = {"WRANGLER_SEND_METRICS": "false", "PATH": f"{node(22)}:/usr/bin:/bin"}
        with serving(command, folder, port, ready="Ready on", **quiet) as process:
            found = versions("npm", name)
            yield Running(url, (process,), {package: found[package] for package in SHOWN})


STACKS = {
    f"cloudflare-{number}{path.replace('/', '-')}": Stack(what, partial(start, release, path))
    for release, number, what in (
        ("old", "0.1", "Cloudflare workers-oauth-provider 0.1 (late 2025)"),
        ("new", "1", "Cloudflare workers-oauth-provider 1"),
    )
    for path in ("/mcp", "/sse")
}
