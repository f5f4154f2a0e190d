"""Why a request found no response, and how the client is told: its connection ends as the one to the upstream did.

A status of ours in its place would be an answer: some clients take a 5xx at a metadata URL for "try the next location".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http
from mitmproxy.addons.next_layer import stack_match
from mitmproxy.connection import Server
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import layer, layers, tunnel
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.tls import ClientTLSLayer
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from oauthtap.proxy import _mitmproxy_internals as internals
from oauthtap.rewriting.limits import Limitation

CLOSED, OTHER = "closed", "other"
_REASONS = (
    (r"Errno (110|60)\b|timed? ?out", "timeout", "it does not answer in time"),
    (r"Errno (101|113|51|65)\b", "unreachable", "no route leads to it"),
    (r"Connect call failed|Connection refused|actively refused", "refused", "it refuses connections"),
    (r"Name or service not known|getaddrinfo|nodename|No address associated", "no-such-host", "there is no such host"),
    (r"Temporary failure in name", "no-such-host", "its name cannot be resolved at the moment"),
    (r"certificate has expired", "tls", "its certificate has expired"),
    (r"hostname mismatch|doesn't match|IP address mismatch", "tls", "its certificate is for another name"),
    (r"[Cc]ertificate verify failed|certificate", "tls", "its certificate is not trusted (--ca FILE, or --insecure)"),
    (r"TLS|SSL", "tls", "the TLS handshake failed"),
    (r"closed|EOF|reset|hung up", CLOSED, "it closed the connection before an answer"),
)

_endings: WeakKeyDictionary[Server, Callable[[], Exception | None]] = WeakKeyDictionary()
"""Connection to an upstream → what tells with which error it ended."""
_RESET = (
    "The client's connection to oauthtap was reset instead, so its own words may differ from those without oauthtap."
)
_STREAM = "For the client one HTTP/2 stream ended instead, so its own words may differ from those without oauthtap."


def failure(message: str, request: http.Request) -> tuple[str, str]:
    """A short code and one sentence for a request that found no answer."""
    to = f"{request.scheme}://{request.pretty_host}" + ("" if request.port in (80, 443) else f":{request.port}")
    for pattern, code, words in _REASONS:
        if re.search(pattern, message):
            return code, f"oauthtap could not reach {to}: {words}."
    return OTHER, f"oauthtap could not reach {to}: {message[:200]}."


def failure_answer(code: str, sentence: str, status: int) -> http.Response:
    """What a request gets that oauthtap itself does not pass on."""
    body = json.dumps({"error": code, "error_description": sentence})
    return http.Response.make(
        status,
        body,
        {"Content-Type": "application/json", "Cache-Control": "no-store", "Connection": "close", "X-Oauthtap": code},
    )


def words_for(flow: http.HTTPFlow) -> str:
    """Why a flow has no response, or one that broke off: mitmproxy's words, which call a reset (RST) a close."""
    words = flow.error.msg if flow.error else "no answer"
    if not was_reset(flow):
        return words
    return f"{words} (connection reset)" if flow.response else "server reset the connection"


def was_reset(flow: http.HTTPFlow) -> bool:
    """The upstream ended its connection with a reset (RST), not in order (FIN)."""
    ended = _endings.get(flow.server_conn)
    return ended is not None and isinstance(ended(), ConnectionResetError)


def pass_reset_on(flow: http.HTTPFlow) -> Limitation | None:
    """Reset the client's connection where the upstream reset its own, before a response or within one. In HTTP/2 it
    has other streams, and only this one ends: that is said."""
    if not was_reset(flow):
        return None
    if not flow.request.is_http2:
        internals.reset_at_close(ctx.master, flow.client_conn)
        return None
    origin = f"{flow.request.scheme}://{flow.request.host}:{flow.request.port}"
    return Limitation(f"reset {origin}", f"{origin} reset the connection. {_STREAM}")


def end_like_upstream(flow: http.HTTPFlow, message: str) -> Limitation | None:
    """Have the client's connection end as it would have without us, for mitmproxy's error message.

    A connection that the upstream closed is closed. One that never was is reset: a local port that refused it, or a
    name that does not resolve, would leave no request to record. Gives what to say of that difference.
    """
    code, sentence = failure(message, flow.request)
    if code == CLOSED:
        return None
    never_was = code != OTHER
    if never_was and not flow.request.is_http2:  # there the connection has other streams, and only this one ends
        internals.reset_at_close(ctx.master, flow.client_conn)
    kind = f"unreachable {flow.request.scheme}://{flow.request.host}:{flow.request.port}"
    return Limitation(kind, f"{sentence} {_RESET}" if never_was else sentence)


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

    def server_connected(self, data: ServerConnectionHookData) -> None:
        _endings[data.server] = internals.ending(ctx.master, data.client.id, data.server)

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
        stack /= internals.ObservedLayer(context, HTTPMode.transparent, self._on_sent)
        asked.layer = stack[0]
