"""A flow as an exchange, and as a record of a `.mitm` file without secrets. Knows flows; opens no file.

Most of a record is the same for every flow of a connection, and most of what a flow shows
has just been struck out of the exchange it carried: neither is done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import connection, http, version

from oauthtap.mitm import content_coding
from oauthtap.mitm.messages import Fields
from oauthtap.mitm.translate import lines, plain_json
from oauthtap.redaction.redact import Redactor
from oauthtap.wire import BLOCKS, Exchange, Pairs, Request, Response

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
    return Exchange.of(
        id=number,
        request=Request.of(
            method=_clean(flow.request.method),
            url=_clean(flow.request.url if reverse else flow.request.pretty_url),
            headers=_lines(flow.request),
            body=_text(flow.request)[0],
        ),
        response=Response.of(status=answer.status_code, headers=_lines(answer), body=body) if answer else None,
        error=_clean(flow.error.msg) if flow.error else broken,
        at=begin or None,
        took=end - begin if begin and end else None,
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
        if message.headers.get("content-type", "").strip().lower() == "application/x-www-form-urlencoded":
            # Forms are UTF-8; mitmproxy takes them for Latin-1, which tears our aliases apart.
            return (message.content or b"").decode("utf-8", "replace"), None
        return _clean(content_coding.text_of(message)), None
    except ValueError as problem:
        return None, f"the body cannot be decoded: {problem}"


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def flow_from(exchange: Exchange) -> http.HTTPFlow:
    """A flow that shows an exchange that did not pass the proxy: our own look at the upstream."""
    parts = exchange.request.parts
    began, ended = exchange.at or 0.0, exchange.ended or 0.0
    client = connection.Client(peername=("127.0.0.1", 0), sockname=("127.0.0.1", 0), timestamp_start=began)
    server = connection.Server(address=(parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)))
    flow = http.HTTPFlow(client, server)
    headers = http.Headers([(name.encode(), value.encode()) for name, value in exchange.request.headers])
    flow.request = http.Request.make(
        exchange.request.method, exchange.request.url, exchange.request.body or "", headers
    )
    flow.request.timestamp_start = flow.request.timestamp_end = began
    if exchange.response is not None:
        lines = [(name.encode(), value.encode()) for name, value in exchange.response.headers]
        flow.response = http.Response.make(exchange.response.status, exchange.response.body or "", http.Headers(lines))
        flow.response.timestamp_start, flow.response.timestamp_end = began, ended
    flow.metadata[EXCHANGE] = exchange.model_dump_json(exclude_defaults=True)
    return flow


# --- without secrets


def redacted_state(flow: http.HTTPFlow, redactor: Redactor, exchange: Exchange | None = None) -> State:
    """The state of a flow without secrets, ready for `record`. The flow itself is left alone.

    `exchange`: the struck exchange to store with it, where the flow's metadata has none yet.
    """
    state: State = flow.get_state()
    _strike_in_place(state, flow, redactor, exchange)
    struck_state: State = everywhere(state, redactor.sweep_bytes, redactor.sweep)
    return struck_state


def redacted_record(
    flow: http.HTTPFlow, redactor: Redactor, exchange: Exchange | None = None, came: Exchange | None = None
) -> bytes:
    """`record(redacted_state(…))`, in less time where no secret is left outside its place, as nearly always.

    `came`: the exchange as it was before it was struck, if nothing was learned since (`Redactor.came`).
    """
    learned = redactor.learned
    state = _state(flow, redactor)
    if came is None or exchange is None or not _carried(state, flow, redactor, came, exchange):
        _strike_in_place(state, flow, redactor, exchange)
    data = record(state)
    if came is not None and redactor.learned == learned:
        # Messages, connections and the exchange are clean; the rest is ours, and short.
        said = [str(value) for name, value in state["metadata"].items() if name != EXCHANGE]
        text = "\n".join((*said, flow.comment, flow.marked, flow.error.msg if flow.error else ""))
        clean = redactor.sweep(text) == text
    else:
        clean = redactor.sweep_bytes(data) is data
    return data if clean else record(redacted_state(flow, redactor, exchange))


def _carried(state: State, flow: http.HTTPFlow, redactor: Redactor, came: Exchange, struck: Exchange) -> bool:
    """Strike a flow that shows the URL and the bodies of its exchange, letter by letter. False for any other.

    `came` is the exchange as it was before it was `struck`. Of the header lines, some may have been renamed since.
    """
    request, response = flow.request, flow.response
    if response is None or came.response is None or struck.response is None or EXCHANGE not in flow.metadata:
        return False
    asked, answered = lines(request), lines(response)
    asked_struck, answered_struck = redactor.settled(asked), redactor.settled(answered)
    if asked_struck is None or answered_struck is None or not came.request.url.endswith(_clean(request.path)):
        return False
    if came.request.body != plain_json(request) or came.response.body != plain_json(response):
        return False
    _put(state["request"], asked, came.request.body, asked_struck, struck.request.body)
    _put(state["response"], answered, came.response.body, answered_struck, struck.response.body)
    state["request"]["path"] = _path_of(flow, came.request.url, struck.request.url)
    for message in (state["request"], state["response"]):
        message["headers"] = _block(message["headers"])
    return True


def _strike_in_place(state: State, flow: http.HTTPFlow, redactor: Redactor, exchange: Exchange | None) -> None:
    # An edited flow keeps its original here, secrets and all.
    state["backup"] = None
    if state.get("websocket"):
        # Nobody has read its messages, so nobody knows what is secret in them.
        state["websocket"] = {**state["websocket"], "messages": []}
    shown = exchange_from(flow)
    struck = redactor.strike(shown)
    asked, asked_struck, answered, answered_struck = shown.request, struck.request, shown.response, struck.response
    _put(state["request"], asked.headers, asked.body, asked_struck.headers, asked_struck.body)
    state["request"]["path"] = _path_of(flow, asked.url, asked_struck.url)
    if answered and answered_struck:
        _put(state["response"], answered.headers, answered.body, answered_struck.headers, answered_struck.body)
    if exchange is not None:
        state["metadata"] = {**state["metadata"], EXCHANGE: exchange.as_json()}


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
        state["headers"] = _encoded(headers)


@lru_cache(maxsize=BLOCKS)
def _encoded(headers: Pairs) -> Fields:
    return tuple((name.encode(), value.encode()) for name, value in headers)


def _path_of(flow: http.HTTPFlow, before: str, after: str) -> bytes:
    path = flow.request.data.path
    return path if before == after else after[len(before.removesuffix(_clean(flow.request.path))) :].encode()


def everywhere(value: Any, in_bytes: Callable[[bytes], bytes], in_text: Callable[[str], str]) -> Any:
    if isinstance(value, bytes):
        return in_bytes(value)
    if isinstance(value, str):
        return in_text(value)
    if isinstance(value, dict):
        return {key: everywhere(inner, in_bytes, in_text) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(everywhere(inner, in_bytes, in_text) for inner in value)
    return value


# --- written


_SHORT = frozenset((str, bytes, int, bool, type(None)))
_PASSING = {"id", "content", "path", "comment", EXCHANGE}
"""Members that are never, or seldom, the same again."""


class _Written(bytes):
    """A value as it stands in a record."""


_WRITTEN: WeakKeyDictionary[connection.Connection, tuple[object, _Written]] = WeakKeyDictionary()


def _state(flow: http.HTTPFlow, redactor: Redactor) -> State:
    """`flow.get_state()`, for `record` only: its connections are written already where they have no secret."""
    if type(flow) is not http.HTTPFlow or flow.websocket is not None:
        state: State = flow.get_state()
        return state
    return {
        "version": version.FLOW_FORMAT_VERSION,
        "type": flow.type,
        "id": flow.id,
        "error": flow.error.get_state() if flow.error else None,
        "client_conn": _connection(flow.client_conn, redactor),
        "server_conn": _connection(flow.server_conn, redactor),
        "intercepted": flow.intercepted,
        "is_replay": flow.is_replay,
        "marked": flow.marked,
        "metadata": flow.metadata,
        "comment": flow.comment,
        "timestamp_created": flow.timestamp_created,
        "backup": None,
        "request": flow.request.get_state(),
        "response": flow.response.get_state() if flow.response else None,
        "websocket": None,
    }


def _connection(one: connection.Connection, redactor: Redactor) -> bytes | State:
    """One connection's part of the record: written once, and again only when something about it has changed."""
    now = (redactor, redactor.learned, *vars(one).values())
    known = _WRITTEN.get(one)
    if known is not None and known[0] == now:
        return known[1]
    state: State = one.get_state()
    written = _Written(record(state))
    if redactor.sweep_bytes(written) is not written:
        swept: State = everywhere(state, redactor.sweep_bytes, redactor.sweep)
        return swept
    _WRITTEN[one] = (now, written)
    return written


def record(state: State) -> bytes:
    """A flow's state as one record of a `.mitm` file: files are records, one after the other.

    Byte for byte what `mitmproxy.io.tnetstring` makes of it.
    """
    return _written(state)


def whole_record(flow: http.HTTPFlow, exchange: Exchange) -> bytes:
    """A flow as it is, secrets and all, with its exchange: for `--keep-secrets`."""
    state: State = flow.get_state()
    state["metadata"] = {**state["metadata"], EXCHANGE: exchange.model_dump_json(exclude_defaults=True)}
    return record(state)


def _written(value: Any) -> bytes:
    return _WAYS[type(value)](value) if type(value) in _WAYS else _derived(value)


def _of_dict(value: State) -> bytes:
    inside = b"".join(
        [
            _member(name, inner) if type(inner) in _SHORT and name not in _PASSING else _key(name) + _written(inner)
            for name, inner in reversed(value.items())
        ]
    )
    return b"%d:%b}" % (len(inside), inside)


@lru_cache(maxsize=1024, typed=True)
def _member(name: str, value: Any) -> bytes:
    """What comes again in record after record: most members of a message are the same as before."""
    return _key(name) + _written(value)


def _of_bytes(value: bytes) -> bytes:
    return b"%d:%b," % (len(value), value)


def _of_str(value: str) -> bytes:
    data = value.encode()
    return b"%d:%b;" % (len(data), data)


def _of_lines(value: Iterable[Any]) -> bytes:
    inside = b"".join([_written(inner) for inner in value])
    return b"%d:%b]" % (len(inside), inside)


@lru_cache(maxsize=BLOCKS)
def _block(lines: Fields) -> _Written:
    return _Written(_of_lines(lines))


def _of_number(value: float) -> bytes:
    data = repr(value).encode()
    return b"%d:%b%b" % (len(data), data, b"^" if isinstance(value, float) else b"#")


_WAYS: dict[type, Callable[[Any], bytes]] = {
    _Written: bytes,
    dict: _of_dict,
    bytes: _of_bytes,
    str: _of_str,
    list: _of_lines,
    tuple: _of_lines,
    int: _of_number,
    float: _of_number,
    bool: {True: b"4:true!", False: b"5:false!"}.__getitem__,
    type(None): lambda value: b"0:~",
}


def _derived(value: Any) -> bytes:
    """Of a class of its own, such as an enumeration of texts."""
    return next(way for kind, way in _WAYS.items() if isinstance(value, kind))(value)


@cache
def _key(name: str) -> bytes:
    return _written(name)
