"""mitmproxy's own files, read and written without secrets. Knows flows; judges nothing.

A flow of ours carries the true exchange, in upstream names, in its metadata: the flow
itself shows local names. A flow recorded by a mitmproxy of somebody else is read as it is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mitmproxy import connection, http
from mitmproxy.io import FlowReader, tnetstring

from oauthtap.recording import Recording, SourceError
from oauthtap.redact import Redactor
from oauthtap.wire import Exchange, Request, Response

EXCHANGE, SESSION = "oauthtap", "oauthtap_session"
"""Where in a flow's metadata its exchange lies, and, in the last flow of a session, the session's header."""

State = dict[str, Any]


def read(path: Path) -> Recording:
    """The recording in a `.mitm` file. A torn end gives a note; raises SourceError when nothing can be read."""
    exchanges: list[Exchange] = []
    header: dict[str, Any] = {}
    notes: list[str] = []
    whole = 0
    try:
        with path.open("rb") as file:
            for flow in FlowReader(file).stream():
                whole += 1
                if isinstance(flow, http.HTTPFlow):
                    exchanges.append(_stored(flow) or exchange_from(flow, len(exchanges) + 1))
                    header = _json(flow.metadata.get(SESSION)) or header
    except OSError as problem:
        raise SourceError(f"{path}: {problem.strerror or problem}") from None
    except Exception as problem:  # whatever a broken file makes the reader of mitmproxy stumble over
        if not exchanges:
            raise SourceError(f"{path}: flow {whole + 1} cannot be read ({problem}). Is it a mitmproxy file?") from None
        notes.append(f"{path.name} breaks off after flow {whole}: {problem}")
    ended = header.pop("ended", None)
    until = float(ended) if isinstance(ended, int | float) else None
    return Recording(tuple(sorted(exchanges, key=lambda one: one.id)), header, until, tuple(notes))


def as_shown(path: Path) -> Iterator[Exchange]:
    """The flows of a readable file as mitmweb shows them, in local names: for a search that must miss nothing."""
    with path.open("rb") as file:
        flows = (flow for flow in FlowReader(file).stream() if isinstance(flow, http.HTTPFlow))
        yield from (exchange_from(flow, number) for number, flow in enumerate(flows, 1))


def _stored(flow: http.HTTPFlow) -> Exchange | None:
    value = _json(flow.metadata.get(EXCHANGE))
    try:
        return Exchange.model_validate(value) if value else None
    except ValueError:
        return None


def _json(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def exchange_from(flow: http.HTTPFlow, number: int = 0) -> Exchange:
    """A flow as an exchange, under the names the flow itself has.

    In reverse mode these are the upstream's (mitmproxy puts them in); in other modes the
    Host header knows the name where the flow only has an address.
    """
    reverse = str(flow.client_conn.proxy_mode.full_spec).startswith("reverse")
    answer = flow.response
    begin, end = flow.request.timestamp_start, answer.timestamp_end if answer else None
    body, broken = _text(answer) if answer else ("", None)
    return Exchange(
        id=number,
        request=Request(
            method=_clean(flow.request.method),
            url=_clean(flow.request.url if reverse else flow.request.pretty_url),
            headers=_lines(flow.request),
            body=_text(flow.request)[0],
        ),
        response=Response(status=answer.status_code, headers=_lines(answer), body=body) if answer else None,
        error=_clean(flow.error.msg) if flow.error else broken,
        at=begin or None,
        took=end - begin if begin and end else None,
        connection=flow.client_conn.id,
    )


def _lines(message: http.Message) -> tuple[tuple[str, str], ...]:
    return tuple((_clean(name), _clean(value)) for name, value in message.headers.items(multi=True))


def _text(message: http.Message) -> tuple[str | None, str | None]:
    """The decoded body, None when it was not kept or cannot be decoded; then also why."""
    if message.raw_content is None:
        return None, None
    try:
        message.get_content(strict=True)  # the only one that tells when a Content-Encoding is not true
        if message.headers.get("content-type", "").strip().lower() == "application/x-www-form-urlencoded":
            # Forms are UTF-8; mitmproxy takes them for Latin-1, which tears our aliases apart.
            return (message.content or b"").decode("utf-8", "replace"), None
        return _clean(message.get_text(strict=False) or ""), None
    except ValueError as problem:
        return None, f"the body cannot be decoded: {problem}"


def _clean(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


# --- writing


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


def redacted_state(flow: http.HTTPFlow, redactor: Redactor, exchange: Exchange | None = None) -> State:
    """The state of a flow without secrets, ready for `record`. The flow itself is left alone.

    `exchange`: the struck exchange to store with it, where the flow's metadata has none yet.
    """
    state = _struck_in_place(flow, redactor, exchange)
    struck_state: State = _everywhere(state, redactor.sweep_bytes, redactor.sweep)
    return struck_state


def redacted_record(flow: http.HTTPFlow, redactor: Redactor, exchange: Exchange | None = None) -> bytes:
    """`record(redacted_state(…))`, in less time where no secret is left outside its place, as nearly always."""
    state = _struck_in_place(flow, redactor, exchange)
    data = record(state)
    if redactor.sweep_bytes(data) is data:
        return data
    return record(_everywhere(state, redactor.sweep_bytes, redactor.sweep))


def _struck_in_place(flow: http.HTTPFlow, redactor: Redactor, exchange: Exchange | None) -> State:
    state: State = flow.get_state()
    # An edited flow keeps its original here, secrets and all.
    state["backup"] = None
    shown = exchange_from(flow)
    struck = redactor.strike(shown)
    _put(state["request"], shown.request, struck.request)
    state["request"]["path"] = _path_of(flow, shown.request.url, struck.request.url)
    if shown.response and struck.response:
        _put(state["response"], shown.response, struck.response)
    if exchange is not None:
        state["metadata"] = {**state["metadata"], EXCHANGE: exchange.model_dump_json(exclude_defaults=True)}
    return state


def _put(state: State, before: Request | Response, after: Request | Response) -> None:
    headers = list(after.headers)
    if after.body is not None and after.body != before.body:
        state["content"] = after.body.encode()
        headers = [line for line in headers if line[0].lower() not in ("content-encoding", "transfer-encoding")]
        length = str(len(state["content"]))
        headers = [(name, length if name.lower() == "content-length" else value) for name, value in headers]
    elif after.body is None and state["content"]:
        # Compressed in a way we cannot open: no search would find a secret in it.
        state["content"] = None
    if (before.headers, before.body) != (after.headers, after.body):
        state["headers"] = tuple((name.encode(), value.encode()) for name, value in headers)


def _path_of(flow: http.HTTPFlow, before: str, after: str) -> bytes:
    path = flow.request.data.path
    return path if before == after else after[len(before.removesuffix(_clean(flow.request.path))) :].encode()


def _everywhere(value: Any, in_bytes: Callable[[bytes], bytes], in_text: Callable[[str], str]) -> Any:
    if isinstance(value, bytes):
        return in_bytes(value)
    if isinstance(value, str):
        return in_text(value)
    if isinstance(value, dict):
        return {key: _everywhere(inner, in_bytes, in_text) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_everywhere(inner, in_bytes, in_text) for inner in value)
    return value


def record(state: State) -> bytes:
    """A flow's state as one record of a `.mitm` file: files are records, one after the other."""
    return tnetstring.dumps(state)


def finished(data: bytes, redactor: Redactor, header: dict[str, Any]) -> bytes:
    """The content of a `.mitm` file swept once more, with the session's header in its last flow."""
    states = list(_states(data))
    for place, state in enumerate(states, 1):
        if place == len(states):
            state["metadata"] = {**state["metadata"], SESSION: json.dumps(header)}
        states[place - 1] = _everywhere(state, redactor.sweep_bytes, redactor.sweep)
    return b"".join(map(record, states))


def _states(data: bytes) -> Iterator[State]:
    file = io.BytesIO(data)
    while file.tell() < len(data):
        state = tnetstring.load(file)
        if isinstance(state, dict):
            yield state
