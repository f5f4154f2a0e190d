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
from tornado.web import RequestHandler

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.offers import FixSwitch
from oauthtap.proxy import _mitmproxy_internals as internals
from oauthtap.proxy import contentview, live_page
from oauthtap.proxy.flow_state import is_clean, redact_known
from oauthtap.proxy.resting_addons import RestingAddons
from oauthtap.proxy.sent_flows import SentFlows
from oauthtap.proxy.settings import Settings
from oauthtap.redaction.redactor import Redactor

_KEPT = 2000
"""Flows that the list holds. A browser asks for all of them at once, and the proxy waits meanwhile."""
_EXPORTS = ("/flows/dump", "/commands/export", "/commands/save", "/commands/cut")
"""Paths of mitmweb by which flows leave it."""
_MOST = 12 << 20
"""Bytes of the flows that the list holds."""
_EVERY, _BYTES = 100, 1 << 20
"""After how many flows, and after how many bytes, it is looked whether these are too many."""


def set_up(
    master: Master, settings: Settings, tap: SessionAnalyzer, sent: SentFlows, fixes: FixSwitch | None = None
) -> str:
    """Give mitmweb its token, our content view, the live page and its bounds. Gives its address with the token."""
    token = token_of(settings.state)
    master.options.update(web_password=token)
    resting: RestingAddons = master.addons.get(RestingAddons.name)
    master.addons.add(FlowLimit(sent, resting))
    sent.is_written = lambda: bool(master.options.hardump)
    rules = master.app.default_router.rules  # type: ignore[attr-defined]
    if not tap.keeps_secrets:
        internals.put_first(master, [NoSecretsSaved()])  # before the addon that opens the file
        rules.insert(0, Rule(ExportWhileUnsent(master, tap.redactor), NotYet))
        rules.insert(0, Rule(RedactFirst(master, tap.redactor, sent), None))
    rules.insert(0, Rule(WakeFirst(resting), None))
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


class WakeFirst(Matcher):
    """Matches no request. Before mitmweb answers the first one, its addons wake."""

    def __init__(self, resting: RestingAddons) -> None:
        self._resting = resting

    def match(self, request: HTTPServerRequest) -> None:
        """Somebody looks, or wants to: the password is the business of an addon that rests, too."""
        self._resting.wake()


class RedactFirst(Matcher):
    """Matches no request. Before mitmweb answers one, it redacts what was sent since the last one; and it takes out of
    the other flows what was learned since: an upstream may tell a secret before anybody can know it is one."""

    def __init__(self, master: Master, redactor: Redactor, sent: SentFlows) -> None:
        self._master, self._redactor, self._sent, self._learned = master, redactor, sent, 0

    def match(self, request: HTTPServerRequest) -> None:
        """Redact the flows that are complete, and from now on each as it is sent: a browser is told of it at once."""
        self._sent.is_watched = True
        self._sent.redact()
        if self._learned == self._redactor.learned:
            return
        self._learned = self._redactor.learned
        for flow in self._master.commands.call("view.flows.resolve", "@all"):
            if isinstance(flow, http.HTTPFlow) and not flow.live:
                redact_known(flow, self._redactor)


class ExportWhileUnsent(Matcher):
    """Matches a request to take flows out of mitmweb while one of them has its secrets still: a message loses them when
    it has been sent, and an upstream may be slow to take it."""

    def __init__(self, master: Master, redactor: Redactor) -> None:
        self._master, self._redactor = master, redactor

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Match with no arguments, or not at all."""
        if not request.path.startswith(_EXPORTS):
            return None
        flows = self._master.commands.call("view.flows.resolve", "@all")
        live = [flow for flow in flows if isinstance(flow, http.HTTPFlow) and flow.live]
        return None if all(is_clean(flow, self._redactor) for flow in live) else {}


class NotYet(RequestHandler):
    """Says why nothing is exported now."""

    def prepare(self) -> None:
        """Whatever the method."""
        self.set_status(409)
        self.finish("A message is still being sent, with its secrets in it. Try again when it has ended.")


class FlowLimit:
    """Forgets the oldest flows that nobody marked."""

    name = "oauthtap_bounded"

    def __init__(self, sent: SentFlows, resting: RestingAddons) -> None:
        self._sent, self._resting, self._sizes = sent, resting, dict[str, int]()
        self._seen = self._bytes = 0

    def response(self, flow: http.HTTPFlow) -> None:
        self._tidy(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self._tidy(flow)

    def _tidy(self, flow: http.HTTPFlow) -> None:
        self._sizes[flow.id] = size = _size(flow)
        self._seen, self._bytes = self._seen + 1, self._bytes + size
        if self._seen < _EVERY and self._bytes < _BYTES:
            return
        self._seen = self._bytes = 0
        flows: list[Any] = self._resting.unmarked()
        self._sizes = sizes = {one.id: self._sizes.get(one.id) or _size(one) for one in flows}
        count, size, over = len(flows), sum(sizes.values()), []
        for one in flows:
            if count <= _KEPT and size <= _MOST:
                break
            if not (one.live or one.intercepted):
                over.append(one)
                count, size = count - 1, size - sizes[one.id]
        if over:
            self._sent.forget(over)
            self._resting.forget(over)


def _size(flow: Any) -> int:
    """Bytes of the messages of a flow."""
    messages = [getattr(flow, "request", None), getattr(flow, "response", None)]
    return sum(
        len(message.raw_content or b"") + sum(len(name) + len(value) for name, value in message.headers.fields)
        for message in messages
        if message
    )
