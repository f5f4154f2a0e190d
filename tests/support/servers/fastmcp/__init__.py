"""fastmcp's server behind oidc-provider: as a resource server, and as an OAuth proxy that stands in for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

from tests.support.clients.installed import from_pypi, versions
from tests.support.servers import HERE, Running, Stack, laid
from tests.support.servers.oidc import authorization_server
from tests.support.servers.process import serving
from tests.support.tapped import free_port


@contextlib.contextmanager
def start(mode: str) -> Iterator[Running]:
    """The server and the authorization server it leads to."""
    python, port = from_pypi("fastmcp", "fastmcp"), free_port()
    origin = f"http://localhost:{port}"
    redirect = f"{origin}/auth/callback" if mode == "proxy" else ""
    with authorization_server(f"{origin}/mcp", redirect) as (issuer, trusted), laid(HERE / "fastmcp") as folder:
        named = {"ISSUER": issuer, "MODE": mode, "FASTMCP_HOME": str(folder)}
        with serving([python, "server.py"], folder, port, **named) as process:
            found = versions("python", "fastmcp")
            yield Running(f"{origin}/mcp", (process, trusted), {name: found[name] for name in ("fastmcp", "mcp")})


STACKS = {
    "fastmcp-remote": Stack("fastmcp, remote auth, behind oidc-provider", partial(start, "remote")),
    "fastmcp-proxy": Stack("fastmcp, OAuth proxy before oidc-provider", partial(start, "proxy")),
}
