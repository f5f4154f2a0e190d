"""mitmweb's addons at rest: nobody has opened mitmweb yet, so nothing has to be shown.

Each addon takes its time of each hook of each request, and the list of flows takes most: it makes a JSON object of a
flow whenever that changes, for browsers that are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mitmproxy import ctx, flow, flowfilter, hooks, http

if TYPE_CHECKING:
    from mitmproxy.tools.web.master import WebMaster

_RESTING = (
    "core", "browser", "stripdnshttpsrecords", "blocklist", "anticache", "anticomp", "commandhistory", "comment",
    "cut", "export", "onboarding", "proxyauth", "scriptloader", "dnsresolver", "serverplayback", "mapremote",
    "maplocal", "modifybody", "modifyheaders", "stickyauth", "stickycookie", "save", "savehar", "upstreamauth",
    "webaddon", "intercept", "readfilestdin", "staticviewer", "view",
)  # fmt: skip
"""Addons that wait for an option, for a command or for somebody who looks: all of that comes by the browser. The others
carry the traffic, know the password (`webauth`), or cannot be taken out (`clientplayback`, `eventstore`)."""


class RestingAddons:
    """Takes mitmweb's addons out of the chain, keeps the flows that its list has to get, and from `wake` on is their
    place in the chain."""

    name = "oauthtap_resting"

    def __init__(self, master: WebMaster) -> None:
        self._master, self._flows = master, dict[str, flow.Flow]()
        self.addons: list[Any] = []
        """Those that are awake: mitmproxy gives each hook to these, too."""
        self._resting = [addon for name in _RESTING if (addon := master.addons.get(name)) is not None]
        for addon in self._resting:
            master.addons.remove(addon)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Keep a flow as mitmweb's list would."""
        if self._resting:
            self._flows[flow.id] = flow

    def wake(self) -> None:
        """Somebody looks: from now on mitmweb is as it always is. Its options and commands always were there."""
        if not self._resting:
            return
        self.addons, self._resting = self._resting, []
        for addon in self.addons:  # what each would have been told at the start
            self._master.addons.invoke_addon_sync(addon, hooks.ConfigureHook(set(self._master.options.keys())))
            self._master.addons.invoke_addon_sync(addon, hooks.RunningHook())
        view = self._master.view
        view.set_filter(flowfilter.parse("! ~all"))  # else each flow that is added is told to browsers by itself
        view.add(list(self._flows.values()))
        view.set_filter(None)
        self._flows.clear()

    def unmarked(self) -> list[flow.Flow]:
        """The flows of the list that nobody marked, oldest first."""
        if self._resting:
            return [one for one in self._flows.values() if not one.marked]
        return list(self._master.commands.call("view.flows.resolve", "@unmarked"))

    def forget(self, flows: Sequence[flow.Flow]) -> None:
        """Take these flows out of the list."""
        for one in flows:
            self._flows.pop(one.id, None)
        if not self._resting:
            self._master.view.remove(flows)


def resting() -> RestingAddons | None:
    """Those of the master that runs; None where it has no mitmweb."""
    found: RestingAddons | None = ctx.master.addons.get(RestingAddons.name)
    return found
