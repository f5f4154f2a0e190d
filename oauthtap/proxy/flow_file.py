"""mitmproxy's own files, read and finished.

A flow of ours carries the true exchange, in upstream names, in its metadata: the flow
itself shows local names. A flow recorded by a mitmproxy of somebody else is read as it is.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mitmproxy import http
from mitmproxy.io import FlowReader, tnetstring

from oauthtap.formats.untrusted_file import parse_json, read_bytes
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording, SourceError
from oauthtap.proxy.flow_state import (
    EXCHANGE,
    SESSION,
    State,
    everywhere,
    exchange_from,
    flow_from,
    record,
    redacted_record,
    redacted_state,
    whole_record,
)
from oauthtap.redaction.redactor import Redactor

__all__ = [
    "EXCHANGE",
    "SESSION",
    "exchange_from",
    "flow_from",
    "record",
    "redacted_record",
    "redacted_state",
    "whole_record",
]


def read(path: Path) -> Recording:
    """The recording in a `.mitm` file. A torn end gives a note; raises SourceError when nothing can be read."""
    exchanges: list[Exchange] = []
    header: dict[str, Any] = {}
    notes: list[str] = []
    whole = 0
    file = io.BytesIO(read_bytes(path))
    try:
        for flow in FlowReader(file).stream():
            whole += 1
            if isinstance(flow, http.HTTPFlow):
                exchanges.append(_stored(flow) or exchange_from(flow, len(exchanges) + 1))
                header = _json(flow.metadata.get(SESSION)) or header
    except Exception as problem:  # whatever a broken file makes the reader of mitmproxy stumble over
        if not exchanges:
            raise SourceError(
                f"{path}: flow {whole + 1} cannot be read ({problem}). Try: save the flows again"
            ) from None
        notes.append(f"{path.name} breaks off after flow {whole}: {problem}")
    ended = header.pop("ended", None)
    until = float(ended) if isinstance(ended, int | float) and abs(ended) < 1e15 else None
    return Recording(tuple(sorted(exchanges, key=lambda one: one.id)), header, until, tuple(notes))


def as_shown(path: Path) -> Iterator[Exchange]:
    """The flows of a file as mitmweb shows them, in local names: for a search that must miss nothing."""
    with contextlib.suppress(Exception):  # a torn end gives what was before it
        reader = FlowReader(io.BytesIO(read_bytes(path)))
        flows = (flow for flow in reader.stream() if isinstance(flow, http.HTTPFlow))
        yield from (exchange_from(flow, number) for number, flow in enumerate(flows, 1))


def streams(path: Path) -> dict[int, str]:
    """What came down each event stream of a session's flows, by the number of its exchange, in local names.

    A stream of the 2024-11-05 transport is judged at its first event; what came later stands in its flow alone.
    """
    found: dict[int, str] = {}
    with contextlib.suppress(Exception):  # a torn end gives what was before it
        for flow in FlowReader(io.BytesIO(read_bytes(path, follow=False))).stream():
            exchange = _stored(flow) if isinstance(flow, http.HTTPFlow) and flow.response else None
            if exchange and exchange.response and exchange.response.media_type == "text/event-stream":
                shown = exchange_from(flow).response  # type: ignore[arg-type]
                found[exchange.id] = (shown and shown.body) or ""
    return found


def texts(data: bytes) -> Iterator[str]:
    """Every text in the content of a `.mitm` file, up to where it is torn."""
    found: list[str] = []

    def text(value: str) -> str:
        found.append(value)
        return value

    def octets(value: bytes) -> bytes:
        found.append(value.decode("utf-8", "replace"))
        return value

    for state in _states(data):
        everywhere(state, octets, text)
    yield from found


def _stored(flow: http.HTTPFlow) -> Exchange | None:
    value = _json(flow.metadata.get(EXCHANGE))
    try:
        return Exchange.model_validate(value) if value else None
    except ValueError:
        return None


def _json(text: Any) -> dict[str, Any]:
    try:
        value = parse_json(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def finished(data: bytes, redactor: Redactor | None, header: dict[str, Any]) -> bytes:
    """The content of a `.mitm` file swept once more (where there is a redactor), with the header in its last flow."""
    states = list(_states(data))
    for place, state in enumerate(states, 1):
        if header and place == len(states):
            state["metadata"] = {**state["metadata"], SESSION: json.dumps(header)}
        if redactor is not None:
            states[place - 1] = everywhere(state, redactor.redact_known_bytes, redactor.redact_known)
    return b"".join(map(record, states))


def _states(data: bytes) -> Iterator[State]:
    file = io.BytesIO(data)
    while file.tell() < len(data):
        try:
            state = tnetstring.load(file)
        except (ValueError, IndexError, TypeError):  # torn: what is left is no record
            return
        if isinstance(state, dict):
            yield state
