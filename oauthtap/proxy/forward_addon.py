"""A forward proxy for one child, under the real names: it observes, repairs where asked, and renames nothing.

A request that finds no server gets no answer of ours: the connection closes, as it would have without us.
"""

from __future__ import annotations

import base64
import hmac
from functools import partial
from typing import Any

from mitmproxy import ctx, http, tls
from mitmproxy.addons.next_layer import stack_match
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode, HttpStream
from mitmproxy.proxy.layers.tls import HTTP_ALPNS, ClientTLSLayer
from mitmproxy.proxy.mode_specs import RegularMode

from oauthtap.model import urls
from oauthtap.proxy import _mitmproxy_internals as internals
from oauthtap.proxy import flow_convert
from oauthtap.proxy.error_layer import end_like_upstream, pass_reset_on, words_for
from oauthtap.proxy.flow_convert import RequestContext
from oauthtap.proxy.observer import TOO_LARGE, Observer
from oauthtap.proxy.refusal import refused
from oauthtap.proxy.resting_addons import resting
from oauthtap.proxy.streaming import Held, should_stream, start
from oauthtap.wrap.capture_scope import CaptureScope

USER = "oauthtap"
_CREDENTIALS = b"proxy-authorization"
_LEFT = ("client disconnect", "killed")
_FORGET_AFTER = 0.2
"""Seconds until we look again whether a flow that is not kept has ended."""


class ForwardAddon:
    """The proxy of one child. `password`: without it nobody else on this machine may use it."""

    name = "oauthtap_forward"

    def __init__(self, observer: Observer, interest: CaptureScope, password: str, *, repairing: bool = False) -> None:
        self._observer, self.interest, self._repairing = observer, interest, repairing
        self._password = base64.b64encode(f"{USER}:{password}".encode())
        self._passages: dict[str, tuple[RequestContext, http.HTTPFlow]] = {}
        self._tunnels: set[str] = set()
        """Client connections that came in with the password."""

    # --- the door

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """A tunnel is asked for."""
        if self._may(flow):
            self._tunnels.add(flow.client_conn.id)

    def client_disconnected(self, client: Any) -> None:
        self._tunnels.discard(client.id)

    def _may(self, flow: http.HTTPFlow) -> bool:
        """The password is there; it goes no further. Without it the flow is answered already (RFC 9110, 11.7)."""
        headers = {"Proxy-Authenticate": 'Basic realm="oauthtap run"', "Connection": "close"}
        answer = http.Response.make(407, b"This proxy serves one program of oauthtap run alone.\n", headers)
        with refused(flow, answer):
            lines = flow.request.headers.fields
            given = [value for name, value in lines if name.lower() == _CREDENTIALS]
            flow.request.headers.fields = tuple(line for line in lines if line[0].lower() != _CREDENTIALS)
            scheme, _, password = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
            if scheme.lower() != b"basic" or not hmac.compare_digest(password.strip(), self._password):
                flow.response = answer.copy()
        return flow.response is None

    # --- what is opened

    def next_layer(self, asked: layer.NextLayer) -> None:
        """Behind the door: our HTTP where we look in, and a blind tunnel everywhere else."""
        context = asked.context
        if asked.layer or not isinstance(context.client.proxy_mode, RegularMode):
            return
        if stack_match(context, (layers.modes.HttpProxy,)):
            asked.layer = self._http(context, HTTPMode.regular)
        elif isinstance(context.layers[-1], HttpStream):
            self._in_a_tunnel(asked)
        elif isinstance(context.layers[-1], ClientTLSLayer) and _speaks_http(asked):
            asked.layer = self._http(context, HTTPMode.transparent)

    def _http(self, context: Context, mode: HTTPMode) -> layer.Layer:
        return internals.ObservedLayer(context, mode, self._observer.sent)

    def _in_a_tunnel(self, asked: layer.NextLayer) -> None:
        address = asked.context.server.address
        if address is None:
            return
        # Blind unless the choice below comes to another end, also by an exception.
        blind = asked.layer = layers.TCPLayer(asked.context, ignore=True)
        encrypted = starts_like_tls_record(asked.data_client())
        opened = self.interest.should_intercept(address[0], address[1]) and (encrypted or _speaks_http(asked))
        if opened and asked.layer is blind:
            asked.layer = None if encrypted else self._http(asked.context, HTTPMode.transparent)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """The child does not trust our certificate. Its next try gets through, unseen."""
        address = data.context.server.address
        if address is None:
            return
        if self.interest.is_ours(address[0], address[1]):
            self._observer.note(
                f"A program did not accept oauthtap's certificate for {address[0]}; it is told by NODE_EXTRA_CA_CERTS, "
                "SSL_CERT_FILE, REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, and this one reads none of them."
            )
        self.interest.mark_untrusting(address[0], address[1])

    # --- a request and its answer

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if flow.is_replay or flow.response:
            return
        if flow.client_conn.id in self._tunnels or self._may(flow):
            self._passages[flow.id] = (RequestContext(urls.origin(flow.request.url), ""), flow)
            flow.request.stream = Held(self._too_large)  # type: ignore[assignment]

    def _too_large(self) -> bool:
        self._observer.note(TOO_LARGE, kind="too-large")
        return True

    def request(self, flow: http.HTTPFlow) -> None:
        if flow.id in self._passages:
            passage, _ = self._passages[flow.id]
            passage.client_request = flow_convert.request_from_flow(flow, passage.upstream)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Streams pass as they come; a document waits only until it is whole."""
        if flow.id not in self._passages or flow.response is None:
            return
        passage, _ = self._passages[flow.id]
        passage.answered = flow_convert.lines(flow.response)

        at_endpoint = partial(self._observer.judge_stream, flow, passage, ended=False)

        def let_go() -> bool:
            start(flow, passage, None, at_endpoint, self._observer.without_secrets, partial(self._observer.sent, flow))
            self._observer.note(TOO_LARGE, kind="too-large")
            return True

        if should_stream(flow, repairing=self._repairing):
            start(flow, passage, None, at_endpoint, self._observer.without_secrets, partial(self._observer.sent, flow))
        else:
            flow.response.stream = Held(let_go)  # type: ignore[assignment]

    def response(self, flow: http.HTTPFlow) -> None:
        """Observe, and repair where that was asked for."""
        passage, _ = self._passages.pop(flow.id, (None, flow))
        if passage is None or flow.response is None:
            return
        if passage.copy is not None:
            self._observer.judge_stream(flow, passage, ended=True)
        else:
            came = flow_convert.response_from_flow(flow, passage.answered or ())
            error = flow_convert.unreadable(flow.response)
            shown = self._observer.judge(flow, passage, came, error=error)
            if shown is not None:
                flow_convert.put_response(flow, came, shown)
        self._finished(flow, passage)

    def error(self, flow: http.HTTPFlow) -> None:
        """No answer, or one that broke off."""
        passage, _ = self._passages.pop(flow.id, (None, flow))
        if passage is None:
            return
        words = words_for(flow)
        left = words.lower().startswith(_LEFT)
        differences = [] if left else [pass_reset_on(flow)]
        if passage.copy is not None and flow.response is not None:
            self._observer.judge_stream(flow, passage, ended=False, error=None if left else words)
        elif passage.client_request is not None:
            words = "client disconnected before an answer came" if left else words
            self._observer.judge(flow, passage, error=words)
            differences += [] if left else [end_like_upstream(flow, words)]
        if passage.step is not None:
            self._observer.tell([difference for difference in differences if difference])
        self._finished(flow, passage)
        self._observer.sent(flow)

    def done(self) -> None:
        """The child has ended: streams that are still open are recorded as far as they came."""
        for passage, flow in list(self._passages.values()):
            if passage.copy is not None:
                self._observer.judge_stream(flow, passage, ended=False)
                self._finished(flow, passage)
        self._passages.clear()

    def _finished(self, flow: http.HTTPFlow, passage: RequestContext) -> None:
        self._observer.finished(flow, passage)
        if passage.step is None:
            _forget(flow)


def _speaks_http(asked: layer.NextLayer) -> bool:
    """What comes is HTTP: by its negotiated name, or by a method and a blank."""
    if asked.context.client.alpn:
        return asked.context.client.alpn in HTTP_ALPNS
    verb, blank, _ = asked.data_client().partition(b" ")
    return bool(blank) and verb.isalpha() and verb.isupper()


def _forget(flow: http.HTTPFlow) -> None:
    """Take what is not kept out of mitmweb's list, once nobody waits for it (mitmproxy ends what it removes)."""
    shown = resting()
    if shown is None:
        return
    if flow.live:
        ctx.master.event_loop.call_later(_FORGET_AFTER, _forget, flow)
    else:
        shown.forget([flow])
