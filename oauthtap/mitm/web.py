"""mitmweb as we run it: quiet while nobody looks, bounded, and never a secret in what it saves. Knows no OAuth."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import mitmproxy.types
from mitmproxy import command, ctx, flow, flowfilter, http
from mitmproxy.addons import cut, export, save, savehar
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.io import tnetstring
from mitmproxy.tools.web import app
from mitmproxy.tools.web.master import WebMaster

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.mitm import embed, live, view
from oauthtap.mitm.flowrecord import redacted_state
from oauthtap.mitm.growing import GrowingMaster, Meanwhile
from oauthtap.mitm.settings import Settings
from oauthtap.redaction.redact import Redactor

_KEPT = 2000
"""Flows that the list holds. A browser asks for all of them at once, and the proxy waits meanwhile."""
_EVERY = 100
_REDACTOR = "oauthtap_redactor"


class WatchedMaster(WebMaster, GrowingMaster):
    """Tells browsers of flows only while there are any: describing a flow costs more than carrying it.

    Nobody makes one: a master that carries traffic already becomes one.
    """

    @property
    def watched(self) -> bool:
        """A browser has the page open."""
        return bool(app.ClientConnection.connections)

    def _sig_view_add(self, flow: flow.Flow) -> None:
        if self.watched:
            super()._sig_view_add(flow)

    def _sig_view_update(self, flow: flow.Flow) -> None:
        if self.watched:
            super()._sig_view_update(flow)

    def _sig_options_update(self, updated: set[str]) -> None:
        if self.watched:
            super()._sig_options_update(updated)


def take_over(master: GrowingMaster, settings: Settings, tap: SessionAnalyzer, meanwhile: Meanwhile) -> WatchedMaster:
    """Make mitmweb of a master that runs: with its token, its view, the live page, and saves without secrets.

    It shows what passed `meanwhile`. Its port is opened by `running()`.
    """
    web = _become(master)
    embed.configure_web(web, settings)
    open_with(web, token_of(settings.state))
    if not tap.keeps_secrets:
        protect(web, tap.redactor)
    web.addons.add(Bounded())
    live.mount(web, tap)
    view.add()
    web.view.add(list(meanwhile.flows.values()))
    web.events.data.extendleft(reversed(meanwhile.events.data))
    return web


def _become(master: GrowingMaster) -> WatchedMaster:
    """What mitmweb does at its start, but for what is there already. Each addon of ours stays behind the same one."""
    manager, before = master.addons, list(master.addons.chain)
    chain: list[Any] = []

    def add(*addons: Any) -> None:
        for addon in addons:
            standing = manager.get(getattr(addon, "name", type(addon).__name__.lower()))
            if standing is None:
                chain.append(manager.register(addon))
            else:
                chain.append(standing)
                if isinstance(addon, ErrorCheck):
                    addon.finish()

    master.__class__ = WatchedMaster
    assert isinstance(master, WatchedMaster)
    manager.add = add  # type: ignore[method-assign]
    try:
        WebMaster.__init__(master, master.options, with_termlog=False)
    finally:
        del manager.add
    for place, addon in enumerate(before):
        if addon not in chain:
            chain.insert(chain.index(before[place - 1]) + 1, addon)
    manager.chain = chain
    return master


def token_of(folder: Path) -> str:
    """The token that opens the web interface: the same in every run, so that a bookmark goes on working."""
    path = folder / "web-token"
    try:
        known = path.read_text().strip()
    except OSError:
        known = ""
    if len(known) >= 32:
        return known
    fresh = secrets.token_hex(16)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(fresh)
    return fresh


def open_with(master: WebMaster, token: str) -> None:
    """Ask for this token."""
    auth: Any = master.addons.get("webauth")
    # The option of that name takes the token out of the printed URL and logs a warning.
    auth._password = token


def protect(master: WebMaster, redactor: Redactor) -> None:
    """Let nothing leave by a save or an export that the redactor knows to be secret."""
    for ours in (Exports(redactor), Saves(redactor), SavesHar(redactor), Cuts(redactor)):
        old = master.addons.get(ours.name)
        place = master.addons.chain.index(old)
        master.addons.remove(old)
        master.addons.register(ours)
        master.addons.chain.insert(place, ours)
    master.app.settings[_REDACTOR] = redactor
    content = r"/flows/(?P<flow_id>[0-9a-f\-]+)/(?P<message>request|response)/content.data"
    master.app.add_handlers(r".*", [(r"/flows/dump", Dump), (content, Download)])


class Bounded:
    """Forgets the oldest flows that nobody marked."""

    name = "oauthtap_bounded"

    def __init__(self) -> None:
        self._seen = 0

    def response(self, flow: http.HTTPFlow) -> None:
        self._tidy()

    def error(self, flow: http.HTTPFlow) -> None:
        self._tidy()

    def _tidy(self) -> None:
        self._seen += 1
        view: Any = getattr(ctx.master, "view", None)
        if view is None or self._seen % _EVERY:
            return
        over = view.store_count() - _KEPT
        oldest = (one for one in list(view._store.values()) if not (one.live or one.marked or one.intercepted))
        view.remove([one for one, _ in zip(oldest, range(over), strict=False)])


def struck(flows: Sequence[flow.Flow], redactor: Redactor) -> list[flow.Flow]:
    """Copies of the flows without secrets; what is no HTTP is left out."""
    return [http.HTTPFlow.from_state(redacted_state(one, redactor)) for one in flows if isinstance(one, http.HTTPFlow)]


class Dump(app.DumpFlows):
    """File > Save in the browser."""

    def get(self) -> None:
        """All flows, or those that a filter names, without their secrets."""
        self.set_header("Content-Disposition", "attachment; filename=flows")
        self.set_header("Content-Type", "application/octet-stream")
        wanted: Callable[[flow.Flow], object] = lambda one: True  # noqa: E731
        if text := self.get_argument("filter", ""):
            try:
                wanted = flowfilter.parse(text)
            except ValueError:
                raise app.APIError(400, "Invalid filter argument / regex") from None
        redactor = self.application.settings[_REDACTOR]
        with BytesIO() as file:
            for one in self.view:
                if wanted(one) and isinstance(one, http.HTTPFlow):
                    tnetstring.dump(redacted_state(one, redactor), file)
            self.write(file.getvalue())


class Download(app.FlowContent):
    """The button that saves one body."""

    _given: flow.Flow | None = None

    @property
    def flow(self) -> Any:
        """The flow that is asked for; while its body is given away, a copy without secrets."""
        return self._given or super().flow

    def get(self, flow_id: str, message: str) -> None:
        """The body of a request or an answer, without its secrets."""
        self._given = next(iter(struck([super().flow], self.application.settings[_REDACTOR])), None)
        super().get(flow_id, message)


class Exports(export.Export):
    """Copy as cURL and its like, to the clipboard too."""

    name = "export"

    def load(self, loader: Any) -> None:
        """The options are there: the addon in whose place this stands brought them."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    @command.command("export.file")  # type: ignore[untyped-decorator]
    def file(self, format: str, flow: flow.Flow, path: mitmproxy.types.Path) -> None:
        """Export a flow to path, without its secrets."""
        super().file(format, struck([flow], self._redactor)[0], path)

    @command.command("export")  # type: ignore[untyped-decorator]
    def export_str(self, format: str, f: flow.Flow) -> str:
        """Export a flow and return the result, without its secrets."""
        return str(super().export_str(format, struck([f], self._redactor)[0]))


class Saves(save.Save):
    """The command `save.file`, and the option `save_stream_file`."""

    name = "save"

    def load(self, loader: Any) -> None:
        """The options are there: the addon in whose place this stands brought them."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    @command.command("save.file")  # type: ignore[untyped-decorator]
    def save(self, flows: Sequence[flow.Flow], path: mitmproxy.types.Path) -> None:
        """Save flows to a file, without their secrets."""
        super().save(struck(flows, self._redactor), path)

    def save_flow(self, flow: flow.Flow) -> None:
        """One flow to the file that grows with the traffic, without its secrets."""
        self.active_flows.discard(flow)
        if self.stream:
            for one in struck([flow], self._redactor):
                super().save_flow(one)

    def done(self) -> None:
        """The end of that file: what is still under way, without its secrets."""
        self.active_flows = set(struck(list(self.active_flows), self._redactor))
        super().done()


class Cuts(cut.Cut):
    """The commands `cut`, `cut.save` and `cut.clip`: single members of flows."""

    name = "cut"

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    @command.command("cut")  # type: ignore[untyped-decorator]
    def cut(self, flows: Sequence[flow.Flow], cuts: mitmproxy.types.CutSpec) -> mitmproxy.types.Data:
        """Cut data from a set of flows, without their secrets."""
        data: mitmproxy.types.Data = super().cut(struck(flows, self._redactor), cuts)
        return data

    @command.command("cut.save")  # type: ignore[untyped-decorator]
    def save(self, flows: Sequence[flow.Flow], cuts: mitmproxy.types.CutSpec, path: mitmproxy.types.Path) -> None:
        """Save cuts to file, without secrets."""
        super().save(struck(flows, self._redactor), cuts, path)

    @command.command("cut.clip")  # type: ignore[untyped-decorator]
    def clip(self, flows: Sequence[flow.Flow], cuts: mitmproxy.types.CutSpec) -> None:
        """Send cuts to the clipboard, without secrets."""
        super().clip(struck(flows, self._redactor), cuts)


class SavesHar(savehar.SaveHar):
    """The command `save.har`."""

    name = "savehar"

    def load(self, loader: Any) -> None:
        """The options are there: the addon in whose place this stands brought them."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def make_har(self, flows: Sequence[flow.Flow]) -> dict[str, Any]:
        """The flows as a HAR, without their secrets."""
        return super().make_har(struck(flows, self._redactor))
