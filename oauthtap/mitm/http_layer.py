"""HTTP as we speak it: an upstream that fails is answered with a sentence, and 1xx answers are skipped.

Both are places where mitmproxy has no hook. Knows mitmproxy's layers; knows nothing of OAuth.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from typing import Any

from mitmproxy import flow, http
from mitmproxy.addons.next_layer import stack_match
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy import commands, events, layer, layers, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, HttpLayer, HTTPMode, SendHttp
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server, make_error_response
from mitmproxy.proxy.layers.tls import ClientTLSLayer
from mitmproxy.proxy.mode_specs import ReverseMode

from oauthtap.mitm.streaming import BoundedStream

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
_INFORMATIONAL = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d\b")
LARGEST_HEAD = 128 << 10
"""Bytes of a request line or status line and its header lines."""
_BLANK_LINE = re.compile(rb"\n\r?\n")
_read_headers, _read_requests = Http1Client.read_headers, Http1Server.read_headers


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


def as_it_was(
    event: RequestProtocolError | ResponseProtocolError, waiting: Iterable[events.Event]
) -> RequestProtocolError | ResponseProtocolError:
    """What ended a request. `waiting`: the events that its stream has not heard yet.

    When a client leaves, mitmproxy closes the connection to the upstream as well. Where that one is still coming
    about, its end is heard first, and an upstream that did nothing wrong would seem to have hung up.
    """
    left = next((one for one in waiting if isinstance(one, RequestProtocolError)), None)
    if left is None or isinstance(event, RequestProtocolError):
        return event
    return ResponseProtocolError(event.stream_id, left.message, left.code)


class TapStream(BoundedStream):
    """A request and its answer, where an upstream that fails gives an answer too."""

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        event = as_it_was(event, self._paused_event_queue)
        waiting = self.server_state in (
            self.state_wait_for_response_headers,
            self.state_uninitialized,
            self.state_consume_response_body,
        )
        left = event.code is ErrorCode.CLIENT_DISCONNECTED
        if left or isinstance(event, RequestProtocolError) or not waiting or self.client_state != self.state_done:
            yield from super().handle_protocol_error(event)
            return
        asked = self.flow
        asked.error = flow.Error(event.message)
        asked.metadata[FAILED] = event.message
        asked.response = failure_answer(*failure(event.message, asked.request), _status_for(asked.request))
        asked.response.timestamp_start = asked.response.timestamp_end = time.time()
        yield HttpErrorHook(asked)
        if (yield from self.check_killed(False)):
            return
        self.server_state = self.state_done
        asked.live = False
        yield SendHttp(ResponseHeaders(self.stream_id, asked.response, False), self.context.client)
        yield SendHttp(ResponseData(self.stream_id, asked.response.raw_content or b""), self.context.client)
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)


def _forked(context: Context) -> Context:
    """What `fork` makes, without a server connection that it makes first, and throws away."""
    forked = Context.__new__(Context)
    vars(forked).update(vars(context), layers=context.layers.copy())
    return forked


class TapLayer(HttpLayer):
    """HTTP on one client connection, made of `TapStream`s."""

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.streams[stream_id] = TapStream(_forked(self.context), stream_id)
        yield from self.event_to_child(self.streams[stream_id], events.Start())


def _has_no_end(self: Any, event: Any) -> bool:
    """A head is longer than any client or server reads (Node 16 kB, Python 64 kB); mitmproxy has no bound."""
    over = isinstance(event, events.DataReceived) and len(self.buf) > LARGEST_HEAD
    return over and not _BLANK_LINE.search(bytes(self.buf), 0, LARGEST_HEAD)


def _read_request_head(self: Any, event: Any) -> Any:
    """A request whose head is too large is refused (RFC 6585, 5)."""
    if _has_no_end(self, event):
        yield commands.SendData(self.conn, make_error_response(431, "The head of this request is too large."))
        yield commands.CloseConnection(self.conn)
        self.state = self.done
        return
    yield from _read_requests(self, event)


def _skip_informational(self: Any, event: Any) -> Any:
    """An upstream's 103 or 100 would be taken for the answer, and the client would wait for ever."""
    if self.request and _has_no_end(self, event):
        words = f"the head of the answer is larger than {LARGEST_HEAD >> 10} kB"
        yield commands.CloseConnection(self.conn)
        yield ReceiveHttp(ResponseProtocolError(self.stream_id, words, ErrorCode.GENERIC_SERVER_ERROR))
        return
    if isinstance(event, events.DataReceived) and self.request:
        while self.buf and _INFORMATIONAL.match(head := bytes(self.buf)):
            end = head.find(b"\r\n\r\n")
            if end < 0:
                return
            self.buf.maybe_extract_at_most(end + 4)
    yield from _read_headers(self, event)


class HttpSpoken:
    """The addon that puts these layers in place for reverse listeners."""

    name = "oauthtap_http"

    def load(self, loader: Any) -> None:
        Http1Client.read_headers = _skip_informational  # type: ignore[method-assign]
        Http1Server.read_headers = _read_request_head  # type: ignore[method-assign]

    def done(self) -> None:
        Http1Client.read_headers = _read_headers  # type: ignore[method-assign]
        Http1Server.read_headers = _read_requests  # type: ignore[method-assign]

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
        stack /= TapLayer(context, HTTPMode.transparent)
        asked.layer = stack[0]
