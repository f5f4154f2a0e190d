"""The response to a request that found none, and the layer that sends it: mitmproxy has no hook there."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from mitmproxy import flow as mitmproxy_flow
from mitmproxy import http
from mitmproxy.addons.next_layer import stack_match
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, layers, tunnel
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.tls import ClientTLSLayer
from mitmproxy.proxy.mode_specs import ReverseMode

from oauthtap.proxy import _mitmproxy_internals as internals

FAILED = "oauthtap_failed"
"""In a flow's metadata: why there is no answer, in mitmproxy's words."""

_REASONS = (
    (r"Connect call failed|Connection refused|actively refused", "refused", "it refuses connections"),
    (r"Name or service not known|getaddrinfo|nodename|No address associated", "no-such-host", "there is no such host"),
    (r"Temporary failure in name", "no-such-host", "its name cannot be resolved at the moment"),
    (r"timed? ?out", "timeout", "it does not answer in time"),
    (r"certificate has expired", "tls", "its certificate has expired"),
    (r"hostname mismatch|doesn't match|IP address mismatch", "tls", "its certificate is for another name"),
    (r"[Cc]ertificate verify failed|certificate", "tls", "its certificate is not trusted (--ca FILE, or --insecure)"),
    (r"TLS|SSL", "tls", "no secure connection comes about"),
    (r"closed|EOF|reset", "closed", "it closed the connection before an answer"),
)


def failure(message: str, request: http.Request) -> tuple[str, str]:
    """A short code and one sentence for a request that found no answer."""
    to = f"{request.scheme}://{request.pretty_host}" + ("" if request.port in (80, 443) else f":{request.port}")
    for pattern, code, words in _REASONS:
        if re.search(pattern, message):
            return code, f"oauthtap could not reach {to}: {words}."
    return "unreachable", f"oauthtap could not reach {to}: {message[:200]}."


def failure_answer(code: str, sentence: str, status: int = 502) -> http.Response:
    """What the client gets in place of an answer. The connection closes: mitmproxy would give
    the same answer on it for ever, also when the upstream is back."""
    body = json.dumps({"error": code, "error_description": sentence})
    return http.Response.make(
        status,
        body,
        {"Content-Type": "application/json", "Cache-Control": "no-store", "Connection": "close", "X-Oauthtap": code},
    )


def _status_for(request: http.Request) -> int:
    """502, but for metadata. Without us the client would meet a broken connection there and stop; to a 502 in
    this place the TypeScript SDK says "try the next location", and fails elsewhere than without us."""
    return 504 if "/.well-known/" in request.path else 502


def _fail(flow: http.HTTPFlow, message: str) -> http.Response:
    """The flow is answered by oauthtap, and tells why."""
    flow.error = mitmproxy_flow.Error(message)
    flow.metadata[FAILED] = message
    flow.response = failure_answer(*failure(message, flow.request), _status_for(flow.request))
    flow.response.timestamp_start = flow.response.timestamp_end = time.time()
    return flow.response


class ErrorLayerAddon:
    """The addon that puts our HTTP in place for reverse listeners. `on_sent`: told when a flow's request has left, and
    again when its response has."""

    name = "oauthtap_http"

    def __init__(self, on_sent: internals.Sent = lambda flow: None) -> None:
        self._on_sent = on_sent

    def load(self, loader: Any) -> None:
        internals.correct_heads(True)

    def done(self) -> None:
        internals.correct_heads(False)

    def next_layer(self, asked: layer.NextLayer) -> None:
        """Speak our HTTP where mitmproxy would speak its own behind a reverse listener."""
        context = asked.context
        mode = context.client.proxy_mode
        ours = isinstance(mode, ReverseMode) and mode.scheme == "http" and context.client.transport_protocol == "tcp"
        if asked.layer or not ours or not stack_match(context, (layers.modes.ReverseProxy,)):
            return
        stack = tunnel.LayerStack()
        if starts_like_tls_record(asked.data_client()):
            stack /= ClientTLSLayer(context)
        stack /= internals.ObservedLayer(
            context, HTTPMode.transparent, internals.ReverseStream, failed=_fail, on_sent=self._on_sent
        )
        asked.layer = stack[0]
