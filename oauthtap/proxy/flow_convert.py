"""Flows to exchanges and back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mitmproxy import http
from mitmproxy.net.http.status_codes import RESPONSES

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.faults.injector import AppliedFault
from oauthtap.model.exchange import Actor, Exchange, Pairs, Request, Response
from oauthtap.model.sse import BoundedCapture, SseRewriter
from oauthtap.proxy import content_coding
from oauthtap.rewriting.callback_relay import RedirectUriMap

_TEXTUAL = ("text/", "application/json", "application/x-www-form-urlencoded", "application/xml", "application/jwt")
_MARKS = (b"\x00\x00\xfe\xff", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
"""Byte order marks: they say more than any header."""
_JSON = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
_HALF = re.compile("[\ud800-\udfff]")


@dataclass
class RequestContext:
    """What we know of one request on its way through us."""

    upstream: str
    """The upstream origin it is for; empty at our own callback."""
    host: str
    """The name by which the client knows us: `localhost`, `127.0.0.1` or `[::1]`."""
    client_request: Request | None = None
    """The request as the client meant it, in upstream names."""
    sent: str = ""
    """The URL as it was sent, our redirect URI in it."""
    changed: Request | None = None
    """`meant` as a fix changed it; None where none did."""
    changed_by: tuple[str, ...] = ()
    swap: RedirectUriMap = field(default_factory=dict)
    """Our redirect URIs that stand in it, to the client's own."""
    made: bool = False
    """The answer is ours: nothing was asked of an upstream."""
    guessed: bool = False
    """An authorization request to an endpoint that no document named."""
    answered: Pairs | None = None
    """The header lines of the answer as the upstream sent them."""
    copy: BoundedCapture | None = None
    """What passed of an answer that is not held back."""
    events: SseRewriter | None = None
    step: AnalyzedExchange | None = None
    """What the exchange turned out to be, once it was judged."""
    redeemed: Request | None = None
    """A stored grant's token request, which goes on in the place of the client's."""
    fault: AppliedFault | None = None
    """The fault that was injected here (`--inject`)."""


def request_from_flow(flow: http.HTTPFlow, local: str) -> Request:
    """The request as it came to us. `local`: our origin that it came to."""
    return Request.model_construct(
        method=flow.request.method,
        # `OPTIONS *` is about the server, and its URI has no path (RFC 9112, 3.2.4).
        url=local if flow.request.path == "*" else local + flow.request.path,
        headers=lines(flow.request),
        body=_decoded(flow.request) or "",
    )


def response_from_flow(flow: http.HTTPFlow, headers: Pairs) -> Response:
    """The answer as the upstream sent it, with these header lines; `flow` has a whole one."""
    assert flow.response is not None
    return Response.model_construct(status=flow.response.status_code, headers=headers, body=_decoded(flow.response))


def streamed(flow: http.HTTPFlow, headers: Pairs, copy: BoundedCapture, *, ended: bool) -> Response:
    """The answer that passed without being held back, as far as it was copied."""
    assert flow.response is not None
    response = Response(status=flow.response.status_code, headers=headers)
    data: bytes | None = copy.bytes()
    if content_coding.coding_of(flow.response) != "identity":
        packed = http.Response.make(200)
        packed.headers, packed.raw_content = flow.response.headers, copy.bytes()
        readable = copy.whole and ended and not content_coding.is_too_large(packed) and not unreadable(packed)
        data = packed.get_content() if readable else None
    text = None if data is None or _is_binary(response.media_type) else data.decode("utf-8", "replace")
    return response.model_copy(update={"body": text, "truncated": not (copy.whole and ended)})


def exchange(
    flow: http.HTTPFlow, meant: Request, response: Response | None, *, took: float | None, error: str | None = None
) -> Exchange:
    """The exchange to be judged; every text in it is proper Unicode."""
    begun = flow.request.timestamp_start
    return Exchange(
        request=_clean(meant),
        response=_clean(response) if response else None,
        error=error,
        started_at=begun,
        duration=took,
        actor=actor_of(meant),
        connection=flow.client_conn.id,
    )


def with_body(response: Response, body: str | None) -> Response:
    """The same answer with another body."""
    if body == response.body:
        return response
    return Response(status=response.status, headers=response.headers, body=body, truncated=response.truncated)


def actor_of(request: Request) -> Actor:
    """A browser says so: it navigates, or it wants to see a page."""
    mode, accepts = request.header("sec-fetch-mode"), request.header("accept") or ""
    navigates = mode == "navigate" if mode else "text/html" in accepts
    return "browser" if navigates and request.method in ("GET", "POST") else "client"


def put_request(flow: http.HTTPFlow, before: Request, after: Request, upstream: str) -> None:
    """Make the flow's request what `after` says, touching only what differs from `before`."""
    if flow.request.path != "*":
        flow.request.data.path = after.url[len(upstream) :].encode("utf-8", "surrogateescape")
    if after.headers != before.headers:
        flow.request.headers = _headers(after.headers)
    if after.body != before.body:
        flow.request.text = after.body


def put_headers(message: http.Message, pairs: Pairs) -> None:
    """Give the message these header lines."""
    message.headers = _headers(pairs)


def request_identity_encoding(request: http.Request) -> None:
    """Let the server send its answer as it is, and not compressed."""
    request.headers["accept-encoding"] = "identity"


def put_response(flow: http.HTTPFlow, before: Response, after: Response) -> None:
    """Make the flow's answer what `after` says, touching only what differs from `before`."""
    assert flow.response is not None
    if after.status != before.status:
        flow.response.status_code = after.status
        flow.response.reason = RESPONSES.get(after.status, "")
    if after.headers != before.headers:
        flow.response.headers = _headers(after.headers)
    if after.body != before.body:
        flow.response.text = after.body


def made(answer: Response) -> http.Response:
    """An answer of ours."""
    return http.Response.make(answer.status, (answer.body or "").encode(), _headers(answer.headers))


def lines(message: http.Message) -> Pairs:
    """The header lines in order. What is no UTF-8 in them survives the way back."""
    return tuple(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in message.headers.fields
    )


def header(message: http.Message, name: str) -> str | None:
    """All lines of that name joined with commas, None when there is none."""
    return message.headers.get(name)


def _headers(pairs: Pairs) -> http.Headers:
    return http.Headers(
        [(name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape")) for name, value in pairs]
    )


def _decoded(message: http.Message) -> str | None:
    """The body as text; None when it was not kept, is no text, or cannot be decompressed."""
    if (text := plain_json(message)) is not None:
        return text
    if not message.raw_content:
        return None if message.raw_content is None else ""
    if _is_binary(message.headers.get("content-type", "").partition(";")[0].strip().lower()):
        return None
    return None if content_coding.is_too_large(message) or unreadable(message) else content_coding.text_of(message)


def plain_json(message: http.Message) -> str | None:
    """The body of the most common kind of message, as `get_text` reads it too: JSON in UTF-8, not packed.

    None for every other.
    """
    data = message.data.content
    if not data or data.startswith(_MARKS) or not _are_of_plain_json(message.headers.fields):
        return None
    return data.decode("utf-8", "surrogateescape")


def _are_of_plain_json(fields: tuple[tuple[bytes, bytes], ...]) -> bool:
    kind = b""
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-encoding" or (lower == b"content-type" and kind):
            return False
        if lower == b"content-type":
            kind = value
    return kind in _JSON


def unreadable(message: http.Message) -> str | None:
    """Why a body cannot be unpacked as its headers say, None when it can be, or is too large to try."""
    coding = content_coding.coding_of(message)
    if coding != "identity" and message.raw_content and not content_coding.is_known(coding):
        return f"the body cannot be decoded: there is no content coding {coding[:40]!r}"
    if content_coding.is_too_large(message):
        return None
    try:
        message.get_content(strict=True)  # the only one that tells when a Content-Encoding is not true
    except ValueError as problem:
        return f"the body cannot be decoded: {problem}"
    return None


def _is_binary(media_type: str) -> bool:
    known = not media_type or media_type.startswith(_TEXTUAL) or media_type.endswith(("+json", "+xml", "javascript"))
    return not known and media_type.startswith(("image/", "audio/", "video/", "font/", "application/"))


def _clean[M: (Request, Response)](message: M) -> M:
    """No half characters: what could not be decoded is shown as such."""
    whole = type(message) is not Request or (_is_whole(message.url) and message.method.isascii())
    if whole and _is_whole(message.body or "") and _are_whole(message.headers):
        return message
    members = {name: getattr(message, name) for name in type(message).model_fields}
    members["headers"] = tuple((_proper(name), _proper(value)) for name, value in message.headers)
    members["body"] = None if message.body is None else _proper(message.body)
    if isinstance(message, Request):
        members["url"], members["method"] = _proper(message.url), _proper(message.method)
    return type(message)(**members)


def _is_whole(text: str) -> bool:
    return text.isascii() or _HALF.search(text) is None


def _are_whole(headers: Pairs) -> bool:
    return all(_is_whole(value) for _, value in headers)


def _proper(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
