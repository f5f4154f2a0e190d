"""What has to reach inside mitmproxy, each touch with its reason. Nothing else in oauthtap does.

mitmproxy promises its addon hooks, its options, its commands and its flows. What stands here it may change
in any release: `tests/test_mitmproxy_internals.py` looks for every name, and fails with mitmproxy's version.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from mitmproxy import flow, http
from mitmproxy.connection import Connection, Server
from mitmproxy.master import Master
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import DropStream, HttpLayer, HTTPMode, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook
from mitmproxy.proxy.layers.http._http1 import Http1Client

Sent = Callable[[http.HTTPFlow], None]
"""Called with a flow whose request, or whose response, has left: the flow is from there on only looked at."""
Answer = Callable[[str, http.Request], http.Response]
"""Gives the response to a request that failed, for mitmproxy's error message."""
_INFORMATIONAL = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d\b")
_read_headers = Http1Client.read_headers


class ObservedStream(HttpStream):
    """One request and its response.

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


def skip_informational_responses(wanted: bool) -> None:
    """mitmproxy takes an upstream's 103 or 100 for the response, and the client waits for ever (mitmproxy #2229)."""
    Http1Client.read_headers = _skipping if wanted else _read_headers  # type: ignore[method-assign]


def _skipping(self: Any, event: Any) -> Any:
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
