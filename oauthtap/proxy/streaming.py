"""Which messages are held back to be read as a whole, and the responses that pass as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from mitmproxy import ctx, http

from oauthtap.model.sse import BoundedCapture, SseRewriter
from oauthtap.proxy.flow_convert import RequestContext
from oauthtap.rewriting import responses
from oauthtap.rewriting.origins import Origins

LARGEST_HELD = 1 << 20
"""Bytes of a message that are held back. What is larger passes as it comes."""
_DIGITS = 18
_REPAIRABLE = ("text/html", "text/plain", "application/x-www-form-urlencoded")
_LIVE_EVERY = 0.25
"""Seconds between two looks that mitmweb gets at an open stream."""


class Held:
    """In the place of a message's `stream`: held back to be read as a whole, as long as it is not too large.

    False, so that mitmproxy waits for the end. `let_go` is called once, when there is no more room for what has come,
    and has to put the real `stream` in this place; False when the message may not go on at all.
    """

    def __init__(self, let_go: Callable[[], bool]) -> None:
        self.let_go = let_go

    def __bool__(self) -> bool:
        return False

    def has_room(self, length: int) -> bool:
        """Whether so many bytes of a message may be held back."""
        return length <= LARGEST_HELD


def should_stream(flow: http.HTTPFlow, *, repairing: bool) -> bool:
    """The answer is a stream, or may be: only what could be a document is held back to be renamed.

    `repairing`: pages and forms may stand where a document should, and be patched, so they wait too.
    """
    assert flow.response is not None
    headers = flow.response.headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "text/event-stream":
        return True
    length = headers.get("content-length", "")
    if length.isdecimal():
        return len(length) > _DIGITS or int(length) > LARGEST_HELD
    if not _has_body(flow):
        return False
    document = not media_type or media_type == "application/json" or media_type.endswith("+json")
    return not (document or (repairing and media_type in _REPAIRABLE))


def start(
    flow: http.HTTPFlow,
    passage: RequestContext,
    origins: Callable[[], Origins] | None,
    on_endpoint: Callable[[], None],
    without_secrets: Callable[[bytes], bytes],
    on_head_sent: Callable[[], None],
) -> None:
    """Let the answer pass and keep a copy. `on_endpoint` is told, once, of the 2024-11-05 transport's first event.

    `origins`: the map to rename by; None where every byte passes as it came. `without_secrets`: takes the secrets
    out of what mitmweb is shown meanwhile. `on_head_sent`: told, once, that the header lines have left.
    """
    assert flow.response is not None
    response = flow.response
    passage.copy = copy = BoundedCapture()
    is_events = response.headers.get("content-type", "").lower().startswith("text/event-stream")
    packed = response.headers.get("content-encoding", "identity").lower() != "identity"
    if is_events and not packed and origins is not None:
        without_length(flow)
        passage.events = SseRewriter(
            endpoint=lambda url: origins().local(url, passage.host),
            message=lambda text: responses.body(text, "mcp", origins(), passage.host),
        )
    elif is_events and not packed:
        passage.events = SseRewriter(endpoint=str, message=str)
    if response.is_http2 and "content-length" not in response.headers:
        in_chunks(flow)
    events, shown = passage.events, _Live(flow, copy, without_secrets)

    def passing(data: bytes) -> bytes | list[bytes]:
        if data:
            if not copy.size:
                on_head_sent()
            copy.add(data)
            shown.now_and_then()
        if events is None:
            return data
        sent = events(data)
        if events.seen_endpoint and passage.step is None:
            on_endpoint()
        if origins is None:
            return data
        # No bytes are no chunk: an empty one would end the answer.
        return sent or []

    response.stream = passing


def without_length(flow: http.HTTPFlow) -> None:
    """The length of this answer may change while it passes: chunks say where it ends instead."""
    assert flow.response is not None
    if _has_body(flow) and flow.response.headers.pop("content-length", None) is not None:
        in_chunks(flow)


def in_chunks(flow: http.HTTPFlow) -> None:
    """Let an HTTP/1.1 client tell the end of the answer from a broken line.

    HTTP/2 needs no chunks, and HTTP/1.0 knows none, on neither side (RFC 9112, 6.1): there the connection ends.
    """
    assert flow.response is not None
    if flow.request.http_version == "HTTP/1.1" and flow.response.http_version != "HTTP/1.0" and _has_body(flow):
        flow.response.headers["transfer-encoding"] = "chunked"


def _has_body(flow: http.HTTPFlow) -> bool:
    assert flow.response is not None
    return flow.request.method != "HEAD" and flow.response.status_code not in (204, 304)


class _Live:
    """Lets mitmweb show an open stream, while somebody looks."""

    def __init__(self, flow: http.HTTPFlow, copy: BoundedCapture, without_secrets: Callable[[bytes], bytes]) -> None:
        self._flow, self._copy, self._without_secrets, self._last = flow, copy, without_secrets, 0.0

    def now_and_then(self) -> None:
        """Some of it came, which passes on first."""
        view: Any = getattr(ctx.master, "view", None)
        if view is not None and time.monotonic() - self._last >= _LIVE_EVERY:
            self._last = time.monotonic()
            asyncio.get_running_loop().call_soon(self._show, view)

    def _show(self, view: Any) -> None:
        if self._flow.live and self._flow.response is not None:
            self._flow.response.data.content = self._without_secrets(self._copy.bytes())
            view.update([self._flow])
