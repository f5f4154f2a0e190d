"""How connections to an upstream are made: elsewhere on request, in HTTP/2 where it is spoken, and never to an
address that a document must not lead us to.
"""

from __future__ import annotations

from collections.abc import Sequence

from mitmproxy import ctx
from mitmproxy.connection import Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from oauthtap.model import urls
from oauthtap.proxy import _mitmproxy_internals as internals
from oauthtap.rewriting import ssrf_guard
from oauthtap.upstream.options import split_rule


class UpstreamConnections:
    """The addon for the connections to upstreams."""

    name = "oauthtap_hops"

    def __init__(self, upstream: str, connect_to: Sequence[str], *, allow_private: bool) -> None:
        parts = urls.split(upstream)
        self._host = parts.hostname if parts else ""
        self._rules = [split_rule(rule) for rule in connect_to]
        self.private = allow_private or ssrf_guard.is_private_host(self._host or "")
        """Private addresses are fine: the upstream is on one, or the person said so."""
        self._placed = False
        """The upstream's address was seen."""
        self.refused: dict[str, str] = {}
        """Server connection id to why it was given up."""
        self._meant: dict[str, tuple[str, int]] = {}

    def connect_target(self, host: str, port: int) -> tuple[str, int] | None:
        """Where to connect in place of this host and port, by the first rule that fits; None without one."""
        for host1, port1, host2, port2 in self._rules:
            if host1.lower() in ("", host.lower()) and port1 in ("", str(port)):
                return host2 or host, int(port2 or port)
        return None

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Before a connection is made. mitmproxy keeps connections by their address, so the name comes back after."""
        assert data.server.address is not None
        host, port = data.server.address[:2]
        if data.server.tls:
            data.server.alpn_offers = (b"h2", b"http/1.1")
        target = self.connect_target(host, port)
        if target is not None:
            self._meant[data.server.id] = (host, port)
            data.server.address = target

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """The connection stands and nothing was sent on it yet."""
        if data.server.id in self._meant:
            self._name_again(data.server)
            return
        reason: str | None = "its address could not be checked"
        try:
            reason = self._reason_against(data.server)
        finally:
            if reason:
                self.refused[data.server.id] = f"connection refused by oauthtap: {reason}"
                internals.hang_up(ctx.master, data.client.id, data.server)

    def _reason_against(self, server: Server) -> str | None:
        """Why nothing may be sent on this connection; None when all is well."""
        address = ssrf_guard.parse_ip(server.peername[0]) if server.peername else None
        if address is None or server.address is None:
            return "its address could not be checked"
        if server.address[0] == self._host:
            self.found_upstream_at(address)
        return ssrf_guard.address_refusal(address, private=self.private)

    def found_upstream_at(self, address: ssrf_guard.Address) -> None:
        """The upstream's own name led here. The first time decides whether it is on this network: a name that
        leads elsewhere later (DNS rebinding) opens nothing."""
        if not self._placed:
            self._placed = True
            self.private = self.private or ssrf_guard.is_private(address)

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        self._name_again(data.server)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        self._meant.pop(data.server.id, None)

    def _name_again(self, server: Server) -> None:
        if meant := self._meant.pop(server.id, None):
            internals.rename_open(server, meant)
