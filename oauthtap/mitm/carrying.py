"""Connections whose hooks need no task of their own. Knows mitmproxy's connection handler; knows no HTTP.

mitmproxy starts a task for every hook of every request, which then waits for a lock to
say that it is done. Where all handlers have come back already, it is said at once. Head
and body of a message are sent in one piece.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from mitmproxy.connection import Connection
from mitmproxy.proxy import commands, events, mode_servers
from mitmproxy.proxy.commands import StartHook
from mitmproxy.utils import asyncio_utils

from oauthtap.mitm.dispatch import TableOfHooks

_Handler = mode_servers.ProxyConnectionHandler


class QuickHandler(_Handler):
    """A connection of a master that dispatches from a table; any other is handled as ever."""

    async def handle_client(self) -> None:
        if isinstance(self.master.addons, TableOfHooks):
            self.layer: Any = _HooksAtOnce(self.layer, self.master.addons, self._later)
        await super().handle_client()

    async def handle_connection(self, connection: Connection) -> None:
        if isinstance(self.master.addons, TableOfHooks):
            # Ports are open a moment before the addons are ready, and a client may be waiting for just that.
            await self.master.addons.started.wait()
        await super().handle_connection(connection)

    def _later(self, hook: StartHook, rest: Awaitable[None]) -> None:
        asyncio_utils.create_task(
            self._wait(hook, rest), name=f"handle_hook({hook.name})", keep_ref=True, client=self.client.peername
        )

    async def _wait(self, hook: StartHook, rest: Awaitable[None]) -> None:
        with self.timeout_watchdog.disarm():
            await rest
        if hook.blocking:
            await self.server_event(events.HookCompleted(hook))


class _HooksAtOnce:
    """Stands before the first layer and keeps the hooks to itself."""

    def __init__(self, layer: Any, addons: TableOfHooks, later: Callable[[StartHook, Awaitable[None]], None]) -> None:
        self._layer, self._addons, self._later = layer, addons, later

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)

    def handle_event(self, event: events.Event) -> Iterator[commands.Command]:
        """What the layer wants done after this event, hooks aside. What goes to one connection goes at once."""
        waiting, sending = [event], None
        for one in waiting:
            for command in self._layer.handle_event(one):
                if isinstance(command, StartHook):
                    if (rest := self._addons.at_once(command)) is not None:
                        self._later(command, rest)
                    elif command.blocking:
                        waiting.append(events.HookCompleted(command))
                elif not isinstance(command, commands.SendData):
                    if sending is not None:
                        yield sending
                        sending = None
                    yield command
                elif sending is not None and sending.connection is command.connection:
                    # Head and body: two calls of the system would wake the other side twice.
                    sending.data += command.data
                else:
                    if sending is not None:
                        yield sending
                    sending = command
        if sending is not None:
            yield sending


def install() -> None:
    """From now on connections are handled so, for masters with a table of hooks."""
    mode_servers.ProxyConnectionHandler = QuickHandler  # type: ignore[misc]
