"""A flow as an exchange, an exchange as a flow, and a flow without its secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mitmproxy.flow
from mitmproxy import connection, http

from oauthtap.model.exchange import Exchange, Pairs, Request, Response
from oauthtap.proxy import _mitmproxy_internals as internals
from oauthtap.proxy import content_coding
from oauthtap.proxy.flow_convert import lines, plain_json
from oauthtap.redaction.redactor import Redactor

EXCHANGE, SESSION = "oauthtap", "oauthtap_session"
"""Where in a flow's metadata its exchange lies, and, in the last flow of a session, the session's header."""

State = dict[str, Any]


def exchange_from(flow: http.HTTPFlow, number: int = 0) -> Exchange:
    """A flow as an exchange, under the names the flow itself has.

    In reverse mode these are the upstream's (mitmproxy puts them in); in other modes the
    Host header knows the name where the flow only has an address.
    """
    reverse = str(flow.client_conn.proxy_mode.full_spec).startswith("reverse")
    answer = flow.response
    begin, end = flow.request.timestamp_start, answer.timestamp_end if answer else None
    body, broken = _text(answer) if answer else ("", None)
    return Exchange.model_construct(
        id=number,
        request=Request.model_construct(
            method=_clean(flow.request.method),
            url=_clean(flow.request.url if reverse else flow.request.pretty_url),
            headers=_lines(flow.request),
            body=_text(flow.request)[0],
        ),
        response=Response.model_construct(status=answer.status_code, headers=_lines(answer), body=body)
        if answer
        else None,
        error=_clean(flow.error.msg) if flow.error else broken,
        started_at=begin or None,
        duration=end - begin if begin and end else None,
        connection=flow.client_conn.id,
    )


def _lines(message: http.Message) -> Pairs:
    found = lines(message)
    if all(name.isascii() and value.isascii() for name, value in found):
        return found
    return tuple((_clean(name), _clean(value)) for name, value in found)


def _text(message: http.Message) -> tuple[str | None, str | None]:
    """The decoded body, None when it was not kept or cannot be decoded; then also why."""
    if (text := plain_json(message)) is not None:
        return _clean(text), None
    if message.raw_content is None:
        return None, None
    try:
        if content_coding.is_too_large(message) or not content_coding.is_known(content_coding.coding_of(message)):
            return None, None
        message.get_content(strict=True)  # the only one that tells when a Content-Encoding is not true
        if _is_form(message):
            return (message.content or b"").decode("utf-8", "replace"), None
        return _clean(content_coding.text_of(message)), None
    except ValueError as problem:
        return None, f"the body cannot be decoded: {problem}"


def _is_form(message: http.Message) -> bool:
    """Its text is UTF-8; mitmproxy takes it for Latin-1, which tears our aliases apart."""
    return bool(message.headers.get("content-type", "").strip().lower() == "application/x-www-form-urlencoded")


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def flow_from(exchange: Exchange, stream: str | None = None) -> http.HTTPFlow:
    """A flow that shows an exchange, in upstream names. `stream`: all that came, where it is an event stream."""
    parts = exchange.request.parts
    began, ended = exchange.started_at or 0.0, exchange.ended or 0.0
    client = connection.Client(peername=("127.0.0.1", 0), sockname=("127.0.0.1", 0), timestamp_start=began)
    server = connection.Server(address=(parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)))
    flow = http.HTTPFlow(client, server)
    asked, (host, port) = exchange.request, server.address or ("", 0)
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    flow.request = http.Request(
        host, port, asked.method.encode(), parts.scheme.encode(), b"", path.encode(), b"HTTP/1.1",
        _headers(asked.headers), b"", None, began, began,
    )  # fmt: skip
    _fill(flow.request, asked.body)
    if (answer := exchange.response) is not None:
        flow.response = http.Response.make(answer.status, b"", _headers(answer.headers))
        _fill(flow.response, stream or answer.body)
        flow.response.timestamp_start, flow.response.timestamp_end = began, ended
    if exchange.error is not None:
        flow.error = mitmproxy.flow.Error(exchange.error, ended)
    flow.metadata[EXCHANGE] = exchange.as_json()
    return flow


def _fill(message: http.Message, text: str | None) -> None:
    """Set a body, in the charset that its header names; where that has no letter for an alias, the header changes."""
    if _is_form(message):
        message.content = (text or "").encode()
    elif text:
        message.text = text


def _headers(lines: Pairs) -> http.Headers:
    """Header lines beside a body that was decoded."""
    left_out = ("content-encoding", "transfer-encoding")
    return http.Headers([(name.encode(), value.encode()) for name, value in lines if name.lower() not in left_out])


# --- without secrets


def redact(flow: http.HTTPFlow, redactor: Redactor, *, response: bool = True) -> None:
    """Take the secrets out of a flow whose request has been sent, and, with `response`, its response."""
    internals.forget_original(flow)
    shown: State = {
        "request": flow.request.get_state(),
        "response": flow.response.get_state() if flow.response and response else None,
        "comment": flow.comment,
        "metadata": flow.metadata,
    }
    _put_back(flow, _redacted(shown, flow, redactor))


def is_clean(flow: http.HTTPFlow, redactor: Redactor) -> bool:
    """No secret is in a flow that is still under way."""
    shown = exchange_from(flow)
    return redactor.redact(shown) is shown and not redactor.knows_any_of(
        "\n".join(texts_of(flow.get_state(), "replace"))
    )


def redact_known(flow: http.HTTPFlow, redactor: Redactor) -> None:
    """The same for a flow that was redacted before: what was learned since may stand in it."""
    state: State = flow.get_state()
    if (swept := _without_known(state, redactor)) is not state:
        _put_back(flow, swept)


def _put_back(flow: http.HTTPFlow, state: State) -> None:
    flow.request.set_state(state["request"])
    if flow.response and state["response"]:
        flow.response.set_state(state["response"])
    flow.comment, flow.metadata = state["comment"], state["metadata"]


def _redacted(state: State, flow: http.HTTPFlow, redactor: Redactor) -> State:
    """The state of a flow, or of what of it is shown, without secrets: its messages' own, and those known by now."""
    shown = exchange_from(flow)
    struck = redactor.redact(shown)
    asked, asked_struck, answered, answered_struck = shown.request, struck.request, shown.response, struck.response
    _put(state["request"], asked.headers, asked.body, asked_struck.headers, asked_struck.body)
    if asked.url != asked_struck.url:
        path = _clean(flow.request.path)
        state["request"]["path"] = asked_struck.url[len(asked.url.removesuffix(path)) :].encode()
    if answered and answered_struck and state["response"]:
        _put(state["response"], answered.headers, answered.body, answered_struck.headers, answered_struck.body)
    return _without_known(state, redactor)


def _without_known(state: State, redactor: Redactor) -> State:
    """The state without the secrets known by now; the same object when it has none."""
    if not redactor.knows_any_of("\n".join(texts_of(state, "surrogateescape"))):
        return state
    swept: State = everywhere(state, redactor.redact_known_bytes, redactor.redact_known)
    return swept


def texts_of(value: Any, errors: str) -> Iterator[str]:
    """Every text in a state; bytes as text, decoded with `errors`."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", errors)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts_of(inner, errors)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_of(inner, errors)


def _put(state: State, came: Pairs, body: str | None, headers: Pairs, struck: str | None) -> None:
    """Header lines and body as they are struck, where they are not what came."""
    if struck is not None and struck != body:
        state["content"] = struck.encode()
        length = str(len(state["content"]))
        headers = tuple(
            (name, length if name.lower() == "content-length" else value)
            for name, value in headers
            if name.lower() not in ("content-encoding", "transfer-encoding")
        )
    elif struck is None and state["content"]:
        # Compressed in a way we cannot open: no search would find a secret in it.
        state["content"] = None
    if (came, body) != (headers, struck):
        state["headers"] = tuple((name.encode(), value.encode()) for name, value in headers)


def everywhere(value: Any, in_bytes: Callable[[bytes], bytes], in_text: Callable[[str], str]) -> Any:
    """A state with each text and each piece of bytes replaced by what the functions make of it."""
    if isinstance(value, bytes):
        return in_bytes(value)
    if isinstance(value, str):
        return in_text(value)
    if isinstance(value, dict):
        return {key: everywhere(inner, in_bytes, in_text) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(everywhere(inner, in_bytes, in_text) for inner in value)
    return value
