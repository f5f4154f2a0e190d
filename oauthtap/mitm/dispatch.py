"""Hooks called from a table. Knows mitmproxy's addon manager and its own addons; knows nothing of OAuth.

mitmproxy asks every one of its thirty-odd addons, for each event anew, whether it wants
that event: that is most of what a request costs. Who wants what is looked up once here,
and an addon of mitmproxy's own that nobody has given anything to do is not asked at all.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import types
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

from mitmproxy import exceptions, flow, hooks
from mitmproxy.addonmanager import AddonManager, safecall, traverse
from mitmproxy.master import Master

Handlers = list[list[Callable[..., Any]]]
"""For each addon that has the hook, its handler and those of the addons it holds."""

_IDLE_WITHOUT = {
    "blocklist.BlockList": "items",
    "mapremote.MapRemote": "replacements",
    "maplocal.MapLocal": "replacements",
    "modifybody.ModifyBody": "replacements",
    "modifyheaders.ModifyHeaders": "replacements",
    "proxyauth.ProxyAuth": "validator",
    "upstream_auth.UpstreamAuth": "auth",
    "stickyauth.StickyAuth": "flt",
    "stickycookie.StickyCookie": "flt",
    "save.Save": "stream",
    "intercept.Intercept": "filt",
}
"""An addon, and what an option has to give it before it does anything in the hooks of a request."""
_IDLE_UNLESS = {"anticache.AntiCache": "anticache", "anticomp.AntiComp": "anticomp", "savehar.SaveHar": "hardump"}
"""The same, and the option that it asks for each time."""
_ON_THE_WAY = ("requestheaders", "request", "responseheaders")
"""Hooks of a request that is not over. Where nobody watches, the list of flows is told of it when it is."""
_OF_A_REQUEST = ("requestheaders", "request", "responseheaders", "response")


class TableOfHooks(AddonManager):
    """An addon manager that remembers which addons have which hook."""

    _table: dict[str, Handlers]
    _nesting: list[Any]
    """The addons that hold further addons."""
    started: asyncio.Event
    """All addons are told that everything runs. Before that, some of them cannot take a request."""

    def register(self, addon: Any) -> Any:
        self._table.clear()
        registered = super().register(addon)
        self._table.clear()
        return registered

    def remove(self, addon: Any) -> None:
        super().remove(addon)
        self._table.clear()

    async def trigger_event(self, event: hooks.Hook) -> None:
        if (rest := self._call(self._handlers(event.name), event.args())) is not None:
            await rest
        if isinstance(event, hooks.RunningHook):
            self.started.set()

    def at_once(self, event: hooks.Hook) -> Awaitable[None] | None:
        """`handle_lifecycle` without a task to run it in; what is left of it where something has to be waited for."""
        subject = getattr(event, _subject(type(event)))  # type: ignore[arg-type]
        rest = self._call(self._handlers(event.name), (subject,))
        if rest is not None:
            return self._then(rest, subject)
        if isinstance(subject, flow.Flow):
            unseen = event.name in _ON_THE_WAY and not getattr(self.master, "watched", True)
            rest = None if unseen else self._call(self._handlers("update"), ([subject],))
            if rest is not None or subject.intercepted:
                return self._resumed(rest, subject)
        return None

    async def _then(self, rest: Awaitable[None], subject: Any) -> None:
        await rest
        if isinstance(subject, flow.Flow):
            await self._resumed(self._call(self._handlers("update"), ([subject],)), subject)

    async def _resumed(self, rest: Awaitable[None] | None, subject: flow.Flow) -> None:
        if rest is not None:
            await rest
        await subject.wait_for_resume()

    def _call(self, handlers: Handlers, arguments: Sequence[Any]) -> Awaitable[None] | None:
        for place, group in enumerate(handlers):
            try:
                for number, handler in enumerate(group):
                    result = handler(*arguments)
                    if result is not None and inspect.isawaitable(result):
                        return self._wait(result, group[number + 1 :], handlers[place + 1 :], arguments)
            except exceptions.AddonHalt:
                return None
            except Exception:
                with safecall():
                    raise
        return None

    async def _wait(
        self, result: Awaitable[Any], group: list[Callable[..., Any]], others: Handlers, arguments: Sequence[Any]
    ) -> None:
        """The rest of a hook, from the first handler on that has to wait."""
        try:
            with safecall():
                await result
                for handler in group:
                    result = handler(*arguments)
                    if result is not None and inspect.isawaitable(result):
                        await result
        except exceptions.AddonHalt:
            return
        if (rest := self._call(others, arguments)) is not None:
            await rest

    def _handlers(self, name: str) -> Handlers:
        if not self._table:
            self._nesting = [addon for addon in self.chain if hasattr(addon, "addons")]
        # A script that mitmproxy reloads comes and goes without telling the manager.
        for addon in self._nesting:
            if addon.addons:
                return self._look_up(name)
        if (known := self._table.get(name)) is None:
            self._table[name] = known = self._look_up(name)
        return known

    def _look_up(self, name: str) -> Handlers:
        found = []
        for addon in self.chain:
            if name in _OF_A_REQUEST and self._is_idle(addon):
                continue
            handlers = [getattr(each, name, None) for each in traverse([addon])]
            wanted = [one for one in handlers if callable(one) and not isinstance(one, types.ModuleType)]
            if wanted:
                found.append(wanted)
        return found

    def _is_idle(self, addon: Any) -> bool:
        for kind in type(addon).__mro__:
            # By name: to import them all takes longer than everything else at the start.
            name = f"{kind.__module__.removeprefix('mitmproxy.addons.')}.{kind.__name__}"
            if member := _IDLE_WITHOUT.get(name):
                return not getattr(addon, member, True)
            if option := _IDLE_UNLESS.get(name):
                return not getattr(self.master.options, option, True)
        return False

    def forget(self, updated: object) -> None:
        """Options have changed: somebody may have got something to do."""
        self._table.clear()


@cache
def _subject(kind: Any) -> str:
    """The one member of such an event."""
    (member,) = dataclasses.fields(kind)
    return member.name


def install(master: Master) -> None:
    """Let this master dispatch from a table, where its addon manager is the kind we know."""
    manager = master.addons
    if type(manager) is AddonManager:
        manager.__class__ = TableOfHooks
        assert isinstance(manager, TableOfHooks)
        manager._table, manager._nesting, manager.started = {}, [], asyncio.Event()
        # Behind the manager itself, which tells the addons: signals are sent in the order of connecting.
        master.options.changed.connect(manager.forget)
