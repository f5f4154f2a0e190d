"""What has to reach inside mitmproxy, each touch with its reason. Nothing else in oauthtap does.

mitmproxy promises its addon hooks, its options, its commands and its flows. What stands here it may change
in any release: `tests/proxy/test_mitmproxy_internals.py` looks for every name, and fails with mitmproxy's version.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any

from mitmproxy import flow, http
from mitmproxy.connection import Connection, Server
from mitmproxy.master import Master
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode, HttpStream, _base, _http1
from mitmproxy.proxy.layers.http import _events as parts

from oauthtap.proxy import http1_heads
from oauthtap.proxy.streaming import Held

Sent = Callable[[http.HTTPFlow], None]
"""Called with a flow whose request, or whose response, has left: the flow is from there on only looked at."""
_Ended = parts.RequestProtocolError | parts.ResponseProtocolError
_read_headers, _read_requests = _http1.Http1Client.read_headers, _http1.Http1Server.read_headers


class ObservedStream(HttpStream):
    """One request and its response, of which no more is held back than `Held` has room for.

    mitmproxy has no hook behind the sending of a request or a response. A flow that mitmweb shows may lose its
    secrets only then: before, they would not arrive.
    """

    on_sent: Sent

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().state_consume_request_body(event)
        if isinstance(event, parts.RequestEndOfMessage) and not self.flow.response:
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
        held = message.stream if message else None
        if message is None or not isinstance(held, Held) or held.has_room(len(buffer)):
            return (yield from super().check_body_size(request))
        came = bytes(buffer)
        buffer.clear()
        if not held.let_go():
            self.flow.kill()
            return (yield from self.check_killed(True))
        message.stream = message.stream or True
        yield from self.start_request_stream() if request else self.start_response_stream()
        if not request:
            yield from self.handle_event(parts.ResponseData(self.stream_id, came))
        elif self.client_state == self.state_stream_request_body:
            yield from self.handle_event(parts.RequestData(self.stream_id, came))
        return False

    def handle_protocol_error(self, event: _Ended) -> layer.CommandGenerator[None]:
        """Close the client's connection where there is no response, as it would end without a proxy. mitmproxy would
        send a page with a status, which some clients take for "try the next location", and no hook changes that."""
        event = self.original_cause(event)
        if isinstance(event, parts.ResponseProtocolError) and event.code.http_status_code() is not None:
            event = parts.ResponseProtocolError(event.stream_id, event.message, parts.ErrorCode.KILL)
        yield from super().handle_protocol_error(event)

    def original_cause(self, event: _Ended) -> _Ended:
        """What ended the request: a client's leaving may still wait in the stream's queue.

        mitmproxy then closes the connection to the upstream too, and where that one is still being made its end is
        heard first: an upstream that did nothing wrong would seem to have hung up.
        """
        left = next((one for one in self._paused_event_queue if isinstance(one, parts.RequestProtocolError)), None)
        if left is None or isinstance(event, parts.RequestProtocolError):
            return event
        return parts.ResponseProtocolError(event.stream_id, left.message, left.code)


class ObservedLayer(HttpLayer):
    """HTTP on one client connection, made of streams of ours."""

    def __init__(self, context: Context, mode: HTTPMode, on_sent: Sent) -> None:
        super().__init__(context, mode)
        self._on_sent = on_sent

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        stream = self.streams[stream_id] = ObservedStream(self.context.fork(), stream_id)
        stream.on_sent = self._on_sent
        yield from self.event_to_child(stream, events.Start())


def correct_heads(wanted: bool) -> None:
    """Read heads of HTTP/1 within a bound, and skip 1xx responses: mitmproxy bounds no head, and takes an upstream's
    103 or 100 for the response, so that the client waits for ever (mitmproxy #2229)."""
    _http1.Http1Client.read_headers = _read_response_head if wanted else _read_headers  # type: ignore[method-assign]
    _http1.Http1Server.read_headers = _read_request_head if wanted else _read_requests  # type: ignore[method-assign]


def _read_request_head(self: Any, event: Any) -> Any:
    """A request whose head is too large is refused (RFC 6585, 5)."""
    if isinstance(event, events.DataReceived) and http1_heads.is_too_large(self.buf):
        yield commands.SendData(self.conn, _http1.make_error_response(431, "The head of this request is too large."))
        yield commands.CloseConnection(self.conn)
        self.state = self.done
        return
    yield from _read_requests(self, event)


def _read_response_head(self: Any, event: Any) -> Any:
    """Too large a head ends the request; what is not the final response is dropped."""
    if self.request and isinstance(event, events.DataReceived):
        if http1_heads.is_too_large(self.buf):
            yield commands.CloseConnection(self.conn)
            code = parts.ErrorCode.GENERIC_SERVER_ERROR
            yield _base.ReceiveHttp(parts.ResponseProtocolError(self.stream_id, http1_heads.TOO_LARGE, code))
            return
        while length := http1_heads.informational(self.buf):
            if length < 0:
                return
            self.buf.maybe_extract_at_most(length)
    yield from _read_headers(self, event)


def rename_open(server: Server, address: tuple[str, int]) -> None:
    """Give an open connection the address it was meant for (`--connect-to`): by it mitmproxy finds the connection
    again, and mitmweb shows it. The attribute is locked while the connection is open."""
    server.__dict__["address"] = address


def hang_up(master: Master, client_id: str, connection: Connection) -> None:
    """Close one connection of a client, once what was sent on it has left. No command of mitmproxy's closes one."""
    handler = master.addons.get("proxyserver").connections.get(client_id)
    transport = handler.transports.get(connection) if handler else None
    if transport and transport.writer:
        transport.writer.close()


def reset_at_close(master: Master, connection: Connection) -> None:
    """Have the client's connection end with a reset (RST), not in order (FIN), once mitmproxy closes it."""
    handler = master.addons.get("proxyserver").connections.get(connection.id)
    transport = handler.transports.get(connection) if handler else None
    if transport and transport.writer and (raw := transport.writer.get_extra_info("socket")):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))


def ending(master: Master, client_id: str, server: Server) -> Callable[[], Exception | None]:
    """What tells, once an open connection to an upstream has ended, with which error: None when in order. mitmproxy
    takes a reset (RST) for an end in order, and has forgotten the connection before it calls the `error` hook."""
    handler = master.addons.get("proxyserver").connections.get(client_id)
    transport = handler.transports.get(server) if handler else None
    tells: Callable[[], Exception | None] = transport.reader.exception if transport else lambda: None
    return tells


def end_connections(master: Master) -> Callable[[], bool]:
    """End every open connection, so that each tells its flow; returns what tells whether there are still some.
    mitmproxy's own end waits for its clients, and for as long as a stream is open."""
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
    """Add addons before all others: mitmproxy's own save and show what ours have made of a flow. `WebMaster` adds
    its own when it is made, and `AddonManager.add` adds at the end."""
    for place, addon in enumerate(addons):
        master.addons.register(addon)
        master.addons.chain.insert(place, addon)
