"""mitmweb as we run it: bounded, with a token that stays, and without a way to save secrets."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from mitmproxy import ctx, exceptions, http
from mitmproxy.master import Master
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.offers import FixSwitch
from oauthtap.proxy import _mitmproxy_internals as internals
from oauthtap.proxy import contentview, live_page
from oauthtap.proxy.flow_state import redact_known
from oauthtap.proxy.settings import Settings
from oauthtap.redaction.redactor import Redactor

_KEPT = 2000
"""Flows that the list holds. A browser asks for all of them at once, and the proxy waits meanwhile."""
_EVERY = 100


def set_up(master: Master, settings: Settings, tap: SessionAnalyzer, fixes: FixSwitch | None = None) -> str:
    """Give mitmweb its token, our content view, the live page and its bounds. Gives its address with the token."""
    token = token_of(settings.state)
    master.options.update(web_password=token)
    master.addons.add(FlowLimit())
    if not tap.keeps_secrets:
        internals.put_first(master, [NoSecretsSaved()])  # before the addon that opens the file
        rules = master.app.default_router.rules  # type: ignore[attr-defined]
        rules.insert(0, Rule(RedactFirst(master, tap.redactor), None))
    live_page.mount(master, tap, fixes)  # type: ignore[arg-type]
    contentview.add()
    return f"http://{master.options.web_host}:{settings.web_port}/?token={token}"


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


class NoSecretsSaved:
    """Refuses the option that writes each flow before its response has left: until then it holds its secrets. And keeps
    no WebSocket message: nobody has read it, so nobody knows what in it is secret."""

    name = "oauthtap_no_secrets_saved"

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Forget the message; mitmproxy passes it on all the same."""
        if flow.websocket is not None:
            flow.websocket.messages.clear()

    def configure(self, updated: set[str]) -> None:
        """Raises OptionsError for `save_stream_file`."""
        if "save_stream_file" in updated and ctx.options.save_stream_file:
            raise exceptions.OptionsError(
                "save_stream_file would write secrets; the session folder has the flows without them (flows.mitm). "
                "Try: oauthtap --keep-secrets"
            )


class RedactFirst(Matcher):
    """Matches no request. Before mitmweb answers one, it takes out of the flows what was learned since the last one: a
    flow loses its secrets when it is complete, and an upstream may tell a secret before anybody can know it is one."""

    def __init__(self, master: Master, redactor: Redactor) -> None:
        self._master, self._redactor, self._learned = master, redactor, 0

    def match(self, request: HTTPServerRequest) -> None:
        """Redact the flows that are complete."""
        if self._learned == self._redactor.learned:
            return
        self._learned = self._redactor.learned
        for flow in self._master.commands.call("view.flows.resolve", "@all"):
            if isinstance(flow, http.HTTPFlow) and not flow.live:
                redact_known(flow, self._redactor)


class FlowLimit:
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
        if self._seen % _EVERY:
            return
        flows: list[Any] = list(ctx.master.commands.call("view.flows.resolve", "@unmarked"))
        ended = [one for one in flows if not (one.live or one.intercepted)]
        if over := ended[: max(0, len(flows) - _KEPT)]:
            ctx.master.commands.call("view.flows.remove", over)
