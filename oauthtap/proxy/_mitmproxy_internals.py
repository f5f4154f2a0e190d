"""What has to reach inside mitmproxy, each touch with its reason. Nothing else in oauthtap does.

mitmproxy promises its addon hooks, its options, its commands and its flows. What stands here it may change
in any release: `tests/proxy/test_mitmproxy_internals.py` looks for every name, and fails with mitmproxy's version.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from mitmproxy import flow, http
from mitmproxy.connection import Connection, Server
from mitmproxy.master import Master
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, HttpLayer, HTTPMode, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server, make_error_response

Sent = Callable[[http.HTTPFlow], None]
"""Called with a flow whose request, or whose response, has left: the flow is from there on only looked at."""
Answer = Callable[[str, http.Request], http.Response]
"""Gives the response to a request that failed, for mitmproxy's error message."""
LARGEST_HELD = 1 << 20
"""Bytes of a message that are held back. What is larger passes as it comes."""
LARGEST_HEAD = 128 << 10
"""Bytes of a request line or status line and its header lines."""
_INFORMATIONAL = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d\b")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_read_headers, _read_requests = Http1Client.read_headers, Http1Server.read_headers


class Held:
    """In the place of a message's `stream`: held back to be read as a whole, as long as it is not too large.

    False, so that mitmproxy waits for the end. `let_go` is called once, when more than `LARGEST_HELD` bytes have come,
    and has to put the real `stream` in this place; False when the message may not go on at all.
    """

    def __init__(self, let_go: Callable[[], bool]) -> None:
        self.let_go = let_go

    def __bool__(self) -> bool:
        return False


class ObservedStream(HttpStream):
    """One request and its response, of which no more than `LARGEST_HELD` bytes are held back each.

    mitmproxy has no hook behind the sending of a request or a response. A flow that mitmweb shows may lose its
    secrets only then: before, they would not arrive.
    """

    on_sent: Sent

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().state_consume_request_body(event)
        if isinstance(event, RequestEndOfMessage) and not self.flow.response:
            self.on_sent(self.flow)

    def flow_done(self) -> layer.CommandGenerator[None]:
        yield from super().flow_done()
        self.on_sent(self.flow)

    def check_body_size(self, request: bool) -> layer.CommandGenerator[bool]:
        """Let a message pass that turns out to be too large while it comes (one without Content-Length).

        mitmproxy's own bound, `body_size_limit`, would end it.
        """
        buffer = self.request_body_buf if request else self.response_body_buf
        message = self.flow.request if request else self.flow.response
        if len(buffer) <= LARGEST_HELD or message is None or not isinstance(held := message.stream, Held):
            return (yield from super().check_body_size(request))
        came = bytes(buffer)
        buffer.clear()
        if not held.let_go():
            self.flow.kill()
            yield from self.check_killed(True)
            return True
        message.stream = message.stream or True
        if request:
            yield from self.start_request_stream()
            if self.client_state == self.state_stream_request_body:
                yield from self.handle_event(RequestData(self.stream_id, came))
        else:
            yield from self.start_response_stream()
            yield from self.handle_event(ResponseData(self.stream_id, came))
        return False

    def as_it_was(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> RequestProtocolError | ResponseProtocolError:
        """What ended the request.

        When a client leaves, mitmproxy closes the connection to the upstream as well. Where that one is still being
        made, its end is heard first, and an upstream that did nothing wrong would seem to have hung up. The client's
        leaving waits in the stream's queue meanwhile.
        """
        left = next((one for one in self._paused_event_queue if isinstance(one, RequestProtocolError)), None)
        if left is None or isinstance(event, RequestProtocolError):
            return event
        return ResponseProtocolError(event.stream_id, left.message, left.code)


class ReverseStream(ObservedStream):
    """Answers a request that failed with a response of ours: mitmproxy would send a page, and no hook changes it."""

    failed: str
    """Member of the flow's metadata for mitmproxy's error message."""
    answer: Answer

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        event = self.as_it_was(event)
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
        asked.metadata[self.failed] = event.message
        asked.response = self.answer(event.message, asked.request)
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


class ForwardStream(ObservedStream):
    """Closes the connection where a server gave no response, as it would be without a proxy: no page of mitmproxy's."""

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        event = self.as_it_was(event)
        if isinstance(event, ResponseProtocolError) and event.code.http_status_code() is not None:
            event = ResponseProtocolError(event.stream_id, event.message, ErrorCode.KILL)
        yield from super().handle_protocol_error(event)


class ObservedLayer(HttpLayer):
    """HTTP on one client connection, made of streams of ours. `members`: what each of them is given."""

    def __init__(self, context: Context, mode: HTTPMode, kind: type[ObservedStream], **members: Any) -> None:
        super().__init__(context, mode)
        self._kind, self._members = kind, members

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        stream = self.streams[stream_id] = self._kind(self.context.fork(), stream_id)
        vars(stream).update(self._members)
        yield from self.event_to_child(stream, events.Start())


def correct_heads(wanted: bool) -> None:
    """Read heads of HTTP/1 within a bound, and skip responses that are not the final one.

    mitmproxy bounds no head, and takes an upstream's 103 or 100 for the response: the client waits for ever
    (mitmproxy #2229).
    """
    Http1Client.read_headers = _read_response_head if wanted else _read_headers  # type: ignore[method-assign]
    Http1Server.read_headers = _read_request_head if wanted else _read_requests  # type: ignore[method-assign]


def _has_no_end(self: Any, event: Any) -> bool:
    """A head is longer than any client or server reads (Node 16 kB, Python 64 kB)."""
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


def _read_response_head(self: Any, event: Any) -> Any:
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


def rename_open(server: Server, address: tuple[str, int]) -> None:
    """Give an open connection the address it was meant for (`--connect-to`): by it mitmproxy finds the connection
    again, and mitmweb shows it. The attribute is locked while the connection is open."""
    server.__dict__["address"] = address


def hang_up(master: Master, client_id: str, connection: Connection) -> None:
    """Close one connection of a client, once what was sent on it has left. No command of mitmproxy's closes one."""
    proxies: Any = master.addons.get("proxyserver")
    handler = proxies.connections.get(client_id)
    transport = handler.transports.get(connection) if handler else None
    if transport and transport.writer:
        transport.writer.close()


def end_connections(master: Master) -> Callable[[], bool]:
    """End every open connection, so that each tells its flow. Gives what tells whether there are still some.

    mitmproxy's own end waits for its clients, and for as long as a stream is open.
    """
    proxies: Any = master.addons.get("proxyserver")
    for handler in list(proxies.connections.values()):
        for transport in list(handler.transports.values()):
            if transport.handler is not None:
                transport.handler.cancel("the tap stops")
    return lambda: bool(proxies.connections)


def forget_original(flow: flow.Flow) -> None:
    """Drop what a flow was before somebody edited it in mitmweb: saved flows hold it too, secrets and all."""
    flow._backup = None


def put_first(master: Master, addons: Iterable[Any]) -> None:
    """Add addons before all others, so that what mitmproxy's own save and show is what ours have made of it.

    `WebMaster` adds its own when it is made, and `AddonManager.add` adds at the end.
    """
    for place, addon in enumerate(addons):
        master.addons.register(addon)
        master.addons.chain.insert(place, addon)
