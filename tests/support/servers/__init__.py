"""Real MCP servers built on the stacks people deploy: one function to start any of them.

    with STACKS["python-sdk-2"].start() as server:
        server.url, server.heard

Each is installed from npm, PyPI or Debian's packages into the cache of `tests.support.clients.installed`, runs under
`localhost` on free ports, and consents to everything at once. Its program writes down each request itself, at its own
door, so that a run straight at it meets the very names a user would.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers.heard import Heard
from tests.support.servers.process import Process

HERE = Path(__file__).parent
NODE = ("--import", "./door.mjs")
"""The flags by which a program in Node has the door."""


@dataclass
class Running:
    """A server that is up."""

    url: str
    """The MCP URL, as a user types it."""
    processes: tuple[Process, ...]
    """It, and the authorization server it trusts when that is another program."""
    versions: dict[str, str]
    """Package → version, of what it is made of."""

    @property
    def hosts(self) -> dict[str, str]:
        """Host and port → what to call it, because the ports are others every time."""
        names = ("server", "authorization-server")
        return {f"localhost:{process.port}": name for process, name in zip(self.processes, names, strict=False)}

    @property
    def heard(self) -> list[Heard]:
        """Every request that was answered so far, in order."""
        return sorted((heard for process in self.processes for heard in process.heard), key=lambda one: one.at)


@dataclass(frozen=True)
class Stack:
    """One server there is a driver for."""

    what: str
    """The line of the table: what it is made of."""
    start: Callable[[], AbstractContextManager[Running]]


@contextlib.contextmanager
def laid(programs: Path, modules: Path | None = None) -> Iterator[Path]:
    """A throw-away folder with the files of the folder `programs`, the doors, and `node_modules` beside them."""
    with tempfile.TemporaryDirectory(prefix="oauthtap-server-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        shutil.copytree(programs, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__*"))
        for door in ("door.mjs", "door.py"):
            shutil.copy(HERE / door, folder)
        if modules:
            (folder / "node_modules").symlink_to(modules)
        yield folder


def stacks() -> dict[str, Stack]:
    """Every real server there is a driver for, by the name of its row."""
    from tests.support.servers import (
        authlib,
        better_auth,
        canaille,
        cloudflare,
        django_toolkit,
        fastmcp,
        glewlwyd,
        hono,
        lemonldap,
        mcp_handler,
        nginx,
        oauth2_server,
        oidc,
        python_sdk,
    )

    return {
        **cloudflare.STACKS,
        **oidc.STACKS,
        **python_sdk.STACKS,
        **fastmcp.STACKS,
        **better_auth.STACKS,
        **hono.STACKS,
        **mcp_handler.STACKS,
        **django_toolkit.STACKS,
        **oauth2_server.STACKS,
        **authlib.STACKS,
        **nginx.STACKS,
        **glewlwyd.STACKS,
        **lemonldap.STACKS,
        **canaille.STACKS,
    }
