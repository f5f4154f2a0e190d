"""A master that carries traffic first, and gets its web interface meanwhile. Knows mitmproxy; knows no OAuth.

Half of what mitmweb imports is of no use to a request, so ports are open and answered before it is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import pkgutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from mitmproxy import http
from mitmproxy.addonmanager import safecall
from mitmproxy.addons.eventstore import EventStore
from mitmproxy.connection import Client
from mitmproxy.hooks import RunningHook
from mitmproxy.master import Master
from mitmproxy.options import Options

from oauthtap.lazily import uncollected
from oauthtap.mitm.sparing import LEFT_OUT

_FIRST_WORD = 0.05
"""Seconds that somebody who has connected gets to begin with a request."""
_ANSWER = 1.0
"""Seconds that a request may hold up what is still to come."""
_ALL = 3.0
"""Seconds that all of them may: somebody who asks without a pause must not keep mitmweb away."""


class GrowingMaster(Master):
    """Runs with the addons it has. What `afterwards` does is done when it carries traffic, one after the other."""

    _begun = False

    def __init__(self, chosen: Options, with_termlog: bool = False) -> None:
        if self._begun:  # a class with more to it has taken it over, and brings only what is new
            return
        super().__init__(chosen, with_termlog=with_termlog)
        self._begun = True
        self._told: list[Any] | None = None
        self.to_be_watched = False
        """Flows are kept for a list that is there, or will be."""
        self.afterwards: list[Callable[[], Awaitable[None]]] = []

    @property
    def stopping(self) -> bool:
        """Nothing more needs to come: it ends, or takes no new connection any more."""
        return self.should_exit.is_set() or not self.options.server

    async def running(self) -> None:
        """Tell the addons, each once, that everything runs; the first time, do then what is to be done afterwards."""
        told, self._told = self._told, list(self.addons.chain)
        if told is not None:
            for addon in self._told:
                if not any(addon is known for known in told):
                    with safecall():
                        await self.addons.invoke_addon(addon, RunningHook())
            return
        await super().running()
        for work in self.afterwards:
            if not self.stopping:
                await work()


class Meanwhile:
    """Remembers what passes before there is a list to show it, and when it is nobody's turn but ours."""

    name = "oauthtap_meanwhile"

    def __init__(self) -> None:
        self.flows: dict[str, http.HTTPFlow] = {}
        self.events = EventStore()
        self._patience: float | None = None
        """Until when anybody is waited for."""
        self._until: dict[str, float] = {}
        """Connections without a request yet, and requests without an answer, and how long they are waited for."""

    def client_connected(self, client: Client) -> None:
        self._until[client.id] = time.monotonic() + _FIRST_WORD

    def client_disconnected(self, client: Client) -> None:
        self._until.pop(client.id, None)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        self.flows[flow.id] = flow
        self._until.pop(flow.client_conn.id, None)
        self._until[flow.id] = time.monotonic() + _ANSWER

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """A stream may take for ever."""
        if flow.response and flow.response.stream:
            self._until.pop(flow.id, None)

    def response(self, flow: http.HTTPFlow) -> None:
        self._until.pop(flow.id, None)

    def error(self, flow: http.HTTPFlow) -> None:
        self._until.pop(flow.id, None)

    def done(self) -> None:
        self.events.done()
        self.flows.clear()

    async def turn(self) -> None:
        """Let everybody go first who waits for an answer, within reason."""
        await asyncio.sleep(0)
        now = time.monotonic()
        self._patience = self._patience or now + _ALL
        while now < self._patience and any(now < until for until in self._until.values()):
            await asyncio.sleep(0.001)
            now = time.monotonic()


async def bring(master: GrowingMaster, meanwhile: Meanwhile, modules: Iterable[str]) -> None:
    """Import these modules piece by piece: a request that comes meanwhile waits for one piece, not for all."""
    await meanwhile.turn()
    for name in modules:
        for _ in pieces(name):
            await meanwhile.turn()
            if master.stopping:
                return


def pieces(name: str) -> Iterator[None]:
    """Import a module, with a pause behind it. Of a package that stands for its folder alone (`sparing.py`) its modules
    come first, each with a pause behind it."""
    known = sys.modules.get(name)
    if known is not None and not hasattr(known, "__getattr__"):
        return
    for each in pkgutil.iter_modules(getattr(known, "__path__", ()), f"{name}."):
        if each.name not in LEFT_OUT:
            with contextlib.suppress(ImportError), uncollected():  # then it is not needed, or the whole tells
                import_module(each.name)
            yield
    with uncollected():
        import_module(name)
    yield
