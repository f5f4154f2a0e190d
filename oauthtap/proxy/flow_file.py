"""mitmproxy's own files, read and written.

A flow of ours carries its exchange in its metadata. A flow recorded by a mitmproxy of somebody else is read as it is.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mitmproxy import http
from mitmproxy.io import FlowReader, tnetstring

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.formats.untrusted_file import parse_json, read_bytes
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording, SourceError
from oauthtap.proxy.flow_annotations import put_words
from oauthtap.proxy.flow_state import EXCHANGE, SESSION, State, exchange_from, flow_from, texts_of


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
    """The flows of a file as mitmweb shows them: for a search that must miss nothing."""
    with contextlib.suppress(Exception):  # a torn end gives what was before it
        reader = FlowReader(io.BytesIO(read_bytes(path)))
        flows = (flow for flow in reader.stream() if isinstance(flow, http.HTTPFlow))
        yield from (exchange_from(flow, number) for number, flow in enumerate(flows, 1))


def texts(data: bytes) -> Iterator[str]:
    """Every text in the content of a `.mitm` file, up to where it is torn."""
    for state in _states(data):
        yield from texts_of(state, "replace")


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


def write(recording: Recording, steps: Iterable[AnalyzedExchange] = (), sweep: Callable[[str], str] = str) -> bytes:
    """A recording as the content of a `.mitm` file, in upstream names, its header in the last flow.

    `steps`: what is written onto the flows for mitmweb. `sweep`: takes the secrets known by now out of it.
    """
    told = {step.exchange.id: step for step in steps}
    ended = {"ended": recording.until} if recording.until is not None else {}
    last = recording.exchanges[-1] if recording.exchanges else None
    records = []
    for exchange in recording.exchanges:
        flow = flow_from(exchange, recording.streams.get(exchange.id))
        if (step := told.get(exchange.id)) is not None:
            put_words(flow, step)
            flow.comment = sweep(flow.comment)
            flow.metadata |= {name: sweep(text) for name, text in flow.metadata.items() if name != EXCHANGE}
        if exchange is last:
            flow.metadata[SESSION] = json.dumps({**recording.header, **ended})
        records.append(tnetstring.dumps(flow.get_state()))
    return b"".join(records)


def _states(data: bytes) -> Iterator[State]:
    file = io.BytesIO(data)
    while file.tell() < len(data):
        try:
            state = tnetstring.load(file)
        except (ValueError, IndexError, TypeError):  # torn: what is left is no record
            return
        if isinstance(state, dict):
            yield state
