"""The Python SDK's own server, 1.x and 2.x: with its built-in authorization server, or behind oidc-provider."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from tests.support.clients.installed import from_pypi, versions
from tests.support.servers import HERE, Running, Stack, laid
from tests.support.servers.oidc import authorization_server
from tests.support.servers.process import serving
from tests.support.tapped import free_port

VERSIONS = {"1": ("mcp1", "mcp<2"), "2": ("mcp2", "mcp>=2,<3")}
"""Major to the environment and requirement that the clients of `tests.support.clients.python_sdk` use too."""


@contextlib.contextmanager
def start(major: str, trusting: bool) -> Iterator[Running]:
    """The server; `trusting` puts oidc-provider before it."""
    folder, requirement = VERSIONS[major]
    python, port = from_pypi(folder, requirement), free_port()
    url = f"http://localhost:{port}/mcp"
    with contextlib.ExitStack() as stack:
        issuer, others = "", []
        if trusting:
            issuer, other = stack.enter_context(authorization_server(url))
            others.append(other)
        place = stack.enter_context(laid(HERE / "python_sdk"))
        named = {"ISSUER": issuer} if issuer else {}
        process = stack.enter_context(serving([python, "server.py"], place, port, **named))
        yield Running(url, (process, *others), {"mcp": versions("python", folder)["mcp"]})


STACKS = {
    "python-sdk-1": Stack("Python SDK 1 with its own authorization server", partial(start, "1", False)),
    "python-sdk-2": Stack("Python SDK 2 with its own authorization server", partial(start, "2", False)),
    "python-sdk-1-oidc": Stack("Python SDK 1 behind oidc-provider", partial(start, "1", True)),
    "python-sdk-2-oidc": Stack("Python SDK 2 behind oidc-provider", partial(start, "2", True)),
}
