"""Hooks called from a table. Knows mitmproxy's addon manager and nothing else.

mitmproxy asks every one of its thirty-odd addons, for each event anew, whether it wants
that event: that is most of what a request costs. Who wants what is looked up once here.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

from mitmproxy import exceptions, hooks
from mitmproxy.addonmanager import AddonManager, safecall, traverse
from mitmproxy.master import Master

Handlers = list[list[Callable[..., Any]]]


class TableOfHooks(AddonManager):
    """An addon manager that remembers which addons have which hook."""

    _table: dict[str, Handlers]
    _nesting: list[Any]
    """The addons that hold further addons."""

    def register(self, addon: Any) -> Any:
        self._table.clear()
        registered = super().register(addon)
        self._table.clear()
        return registered

    def remove(self, addon: Any) -> None:
        super().remove(addon)
        self._table.clear()

    async def trigger_event(self, event: hooks.Hook) -> None:
        for handlers in self._handlers(event.name):
            try:
                with safecall():
                    arguments = event.args()
                    for handler in handlers:
                        result = handler(*arguments)
                        if result is not None and inspect.isawaitable(result):
                            await result
            except exceptions.AddonHalt:
                return

    def _handlers(self, name: str) -> Handlers:
        if not self._table:
            self._nesting = [addon for addon in self.chain if hasattr(addon, "addons")]
        # A script that mitmproxy reloads comes and goes without telling the manager.
        if any(addon.addons for addon in self._nesting):
            return self._look_up(name)
        if name not in self._table:
            self._table[name] = self._look_up(name)
        return self._table[name]

    def _look_up(self, name: str) -> Handlers:
        found = []
        for addon in self.chain:
            handlers = [getattr(each, name, None) for each in traverse([addon])]
            wanted = [one for one in handlers if callable(one) and not isinstance(one, types.ModuleType)]
            if wanted:
                found.append(wanted)
        return found


def install(master: Master) -> None:
    """Let this master dispatch from a table, where its addon manager is the kind we know."""
    if type(master.addons) is AddonManager:
        master.addons.__class__ = TableOfHooks
        master.addons._table, master.addons._nesting = {}, []  # type: ignore[attr-defined]
