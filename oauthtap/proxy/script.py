"""The tap as a script in somebody's own mitmproxy: `mitmweb -s addons/tap.py --set tap_upstream=URL`.

Here the proxy is theirs: their options, their files, their way to stop. What only our own
process can do is missing: the session folder, the redacted saves, the quick dispatch.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from mitmproxy import command, ctx, exceptions, http
from mitmproxy.addonmanager import Loader

from oauthtap.clients import profiles
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.proxy import contentview
from oauthtap.proxy.error_layer import ErrorLayerAddon
from oauthtap.proxy.flow_annotations import annotate, flows_are_shown
from oauthtap.proxy.observer import ProxyCallbacks
from oauthtap.proxy.reverse import build_components, local_url
from oauthtap.proxy.settings import Settings, StartupError
from oauthtap.render.exchange_lines import line
from oauthtap.report.build import build, exchange_row

log = logging.getLogger("oauthtap")

_NEEDED = {"keep_host_header": True, "connection_strategy": "lazy", "tcp_timeout": 86400}
_STOCK_MODE = ["regular"]
_NO_UPSTREAM = "tap_upstream is not set. Try: mitmweb -s addons/tap.py --set tap_upstream=https://mcp.example.com/mcp"


class ScriptAddon:
    """Sets itself up as soon as `tap_upstream` is there."""

    name = "oauthtap_script"

    def __init__(self) -> None:
        self.addons: list[Any] = []
        self._tap: SessionAnalyzer | None = None
        self._url = ""

    def load(self, loader: Loader) -> None:
        """Our options, and our view."""
        loader.add_option("tap_upstream", str, "", "The URL of the MCP endpoint.")
        loader.add_option("tap_port", int, 8090, "First local port of the tap.")
        loader.add_option("tap_callback", str, "auto", "Relay the callback.", choices=("auto", "relay", "direct"))
        loader.add_option("tap_connect_to", str, "", "HOST1:PORT1:HOST2:PORT2, as in curl; several with spaces.")
        contentview.add()

    def configure(self, updated: set[str]) -> None:
        """Start when the upstream is named; it cannot be changed afterwards. Without one mitmproxy ends."""
        if "tap_upstream" not in updated:
            return
        if not ctx.options.tap_upstream:
            log.error(_NO_UPSTREAM)  # at start-up mitmproxy ends with exit code 1
            return
        if self._tap is not None:
            raise exceptions.OptionsError("tap_upstream cannot be changed while the tap runs")
        settings = Settings(
            upstream=ctx.options.tap_upstream,
            port=ctx.options.tap_port,
            web=False,
            callback=ctx.options.tap_callback,
            connect_to=tuple(ctx.options.tap_connect_to.split()),
        )
        tap = SessionAnalyzer(settings.upstream, profiles=profiles())
        try:
            callbacks = ProxyCallbacks(on_exchange=_say, on_flow=_annotate, on_note=log.warning)
            pieces = build_components(settings, tap, callbacks)
        except (StartupError, ValueError) as problem:
            raise exceptions.OptionsError(f"oauthtap: {problem}") from None
        self._url = local_url(settings)
        spoken = ErrorLayerAddon()
        spoken.load(None)
        self.addons, self._tap = [pieces.addon, pieces.addon.hops, spoken], tap
        others = [mode for mode in ctx.options.mode if [mode] != _STOCK_MODE]
        ctx.options.update(mode=[*others, *pieces.modes], **_NEEDED)

    def running(self) -> None:
        """Listen, and say what to give to the client."""
        if self._tap is not None:
            # A script is loaded while the first listeners are being opened: ours came too late for that.
            ctx.options.update(mode=list(ctx.options.mode))
            log.warning("Give the client %s; it forwards to %s", self._url, ctx.options.tap_upstream)

    @command.command("oauthtap.report")  # type: ignore[untyped-decorator]
    def report(self) -> str:
        """What was wrong, so far: the report as JSON."""
        if self._tap is None:
            return "no upstream: set tap_upstream"
        return json.dumps(build(self._tap, now=time.time()).model_dump(mode="json"), indent=2)

    def done(self) -> None:
        """The last word: the cause."""
        cause = build(self._tap, now=time.time()).cause if self._tap else None
        if cause is not None:
            log.warning("the cause: %s (%s)", cause.message, cause.rule)


def _annotate(flow: http.HTTPFlow, step: AnalyzedExchange) -> None:
    """mitmdump has no list of flows, and may save them all the same."""
    if not flows_are_shown():
        annotate(flow, step)


def _say(step: AnalyzedExchange) -> None:
    log.info("%s", line(exchange_row(step.stages)))
