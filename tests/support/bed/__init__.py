"""The fault bed: MCP servers under real host names over TLS, in one thread of this process.

    with Bed() as bed:
        bed.url("good")        # https://good.mcp.test/mcp
        bed.connect_to         # what curl's and oauthtap's --connect-to need to find it
        bed.log                # what arrived, in order

`python -m tests.support.bed` starts it by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import trustme
import uvicorn

from tests.support.bed import namespace
from tests.support.bed.listener import Dispatch, ForwardProxy, Received
from tests.support.bed.mcp import McpServer
from tests.support.bed.origin import Origin
from tests.support.bed.targets import EVERY_TARGET, ORIGINS, TARGETS

__all__ = ["EVERY_TARGET", "TARGETS", "Bed", "Received"]

NEVER_PROXIED = "localhost,127.0.0.1,::1"


class Bed:
    """All targets, and `more`, while the `with` (or `async with`) lasts. Fresh keys, clients and CA every time."""

    def __init__(self, *more: type[Origin]) -> None:
        self._kinds = (*ORIGINS, *more)
        targets = [kind for kind in more if issubclass(kind, McpServer)]
        self._targets = EVERY_TARGET | {kind.host.partition(".")[0]: kind for kind in targets}
        self.log: list[Received] = []
        """Every request that reached an origin, in order of arrival."""
        self.issued: set[str] = set()
        """Every token, code, verifier, state, client secret and cookie made or seen by an origin."""
        self.origins: dict[str, Origin] = {}
        self._stack = contextlib.ExitStack()

    # Where things are

    @property
    def refused(self) -> list[str]:
        """What the CONNECT proxy was asked for and refused: `METHOD target`."""
        return self._proxy.refused

    def url(self, name: str) -> str:
        """The MCP URL of a target by its name in the table, as a user types it."""
        target = self._targets[name]
        return f"https://{target.host}{target.path}"

    @property
    def connect_to(self) -> list[str]:
        """Values for `--connect-to`: port 443 of every name is here; port 80 is refused, as where nobody listens."""
        return [f":443:127.0.0.1:{self.port}", f":80:127.0.0.1:{self._closed_port}"]

    def received(self, name: str | None = None) -> list[Received]:
        """The log, or only what one target's own host received."""
        return [entry for entry in self.log if name is None or entry.host == EVERY_TARGET[name].host]

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[Received]]:
        """A list that holds, after the block, only what arrived within it."""
        seen: list[Received] = []
        start = len(self.log)
        yield seen
        seen.extend(self.log[start:])

    def http(self) -> httpx.Client:
        """An httpx client that finds and trusts the bed, and follows no redirects. To be closed by the caller."""
        trust = ssl.create_default_context(cafile=self.ca_file)
        plain = {"http://": httpx.HTTPTransport(proxy=self.nobody)}
        return httpx.Client(proxy=self.proxy, mounts=plain, verify=trust, trust_env=False, timeout=10)

    def browser_env(self) -> dict[str, str]:
        """What the hands-free browser needs to find the bed's names and to trust them."""
        return {"BED_PROXY": self.proxy, "BED_CA": str(self.ca_file)}

    def direct_env(self) -> dict[str, str]:
        """What a client needs to reach the bed without a tap: a proxy for the names, and the CA.

        For Claude Code (Bun), Python (httpx) and Node from 22.21 on, which heeds `NODE_USE_ENV_PROXY`. In the bed's
        namespace no proxy is needed.
        """
        if namespace.is_entered():
            return self.trust_env() | self.browser_env()
        proxied = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), self.proxy)
        proxied |= dict.fromkeys(("HTTP_PROXY", "http_proxy"), self.nobody)
        not_proxied = {"NO_PROXY": NEVER_PROXIED, "no_proxy": NEVER_PROXIED}
        return proxied | not_proxied | self.trust_env() | self.browser_env() | {"NODE_USE_ENV_PROXY": "1"}

    def trust_env(self) -> dict[str, str]:
        """The CA in the variables that Node, Bun, Python and curl read."""
        names = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        return dict.fromkeys(names, str(self.ca_file))

    # Life

    def __enter__(self) -> Self:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="oauthtap-bed-")))
        self.ca_file = folder / "ca.pem"
        certificate_file = folder / "server.pem"
        authority = trustme.CA(organization_name="oauthtap test bed")
        authority.cert_pem.write_to_path(str(self.ca_file))
        names = authority.issue_cert(*(origin.host for origin in self._kinds))
        names.private_key_and_cert_chain_pem.write_to_path(str(certificate_file))
        self.origins = {kind.host: kind(self.issued) for kind in self._kinds}
        self._start(certificate_file)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._stack.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.__exit__)

    def _start(self, certificate_file: Path) -> None:
        listening, proxying, closed = (self._bound() for _ in range(3))
        self.port, proxy_port, self._closed_port = (s.getsockname()[1] for s in (listening, proxying, closed))
        self.proxy = f"http://127.0.0.1:{proxy_port}"
        self.nobody = f"http://127.0.0.1:{self._closed_port}"
        self._proxy = ForwardProxy(lambda host: host in self.origins, self.port)
        settings: dict[str, Any] = {"log_level": "critical", "lifespan": "off", "timeout_graceful_shutdown": 1}
        settings |= {"ssl_certfile": str(certificate_file), "timeout_keep_alive": 60}
        self._server = uvicorn.Server(uvicorn.Config(Dispatch(self.origins, self.log), **settings))

        public = [self._stack.enter_context(namespace.listening())] if namespace.is_entered() else []

        async def serve() -> None:
            async with await asyncio.start_server(self._proxy.serve, sock=proxying):
                await self._server.serve(sockets=[listening, *public])

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),), name="bed", daemon=True)
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            self._thread.join(timeout=0.01)
        if not self._server.started:
            raise RuntimeError("the bed did not start")

    def _bound(self) -> socket.socket:
        """A loopback socket that is bound but does not listen: connecting to it is refused until somebody does."""
        # The protocol is named because asyncio turns Nagle's delay off only where it is: 40 ms per request.
        made = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP))
        made.bind(("127.0.0.1", 0))
        return made
