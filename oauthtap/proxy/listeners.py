"""Opens a local port for an upstream origin while the proxy runs."""

from __future__ import annotations

import asyncio
import contextlib

from mitmproxy import ctx, exceptions
from mitmproxy.addons.proxyserver import Proxyserver

from oauthtap.model import urls
from oauthtap.proxy.port_store import Ports, loopback_addresses
from oauthtap.proxy.settings import StartupError

_TRIES = 20
_PATIENCE = 5.0


def modes(origin: str, port: int) -> list[str]:
    """mitmproxy's words for: this port, on every loopback address, stands for that origin.

    Always `http`: for `https` mitmproxy would open a UDP port too. The addon sets the scheme.
    """
    parts = urls.split(origin)
    assert parts is not None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    there = parts.port or (443 if parts.scheme == "https" else 80)
    return [f"reverse:http://{host}:{there}@{address}:{port}" for address in loopback_addresses()]


class Listeners:
    """The ports that are open, one per upstream origin."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._lock = asyncio.Lock()

    async def open(self, origin: str) -> int | None:
        """Listen for an upstream origin, and be ready for it when this returns: the port, or None.

        A port that another program takes in the meantime is passed over.
        """
        async with self._lock:
            if origin in self._ports.taken:
                return self._ports.taken[origin]
            avoid: set[int] = set()
            for _ in range(_TRIES):
                try:
                    port = self._ports.choose(origin, avoid=avoid)
                except StartupError:
                    return None
                if await self._listen(modes(origin, port)):
                    self._ports.remember()
                    return port
                del self._ports.taken[origin]
                avoid.add(port)
            return None

    async def _listen(self, wanted: list[str]) -> bool:
        proxies: Proxyserver = ctx.master.addons.get("proxyserver")
        before = list(ctx.options.mode)
        try:
            ctx.options.update(mode=[*before, *wanted])
        except exceptions.OptionsError:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await proxies.setup_servers()
        # Both loopback addresses were free a moment ago; the one that every client finds has to be there.
        if any(server.mode.full_spec == wanted[0] and server.is_running for server in proxies.servers):
            return True
        ctx.options.update(mode=before)
        return False
