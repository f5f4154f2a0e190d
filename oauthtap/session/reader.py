"""Reads a session back from its lines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from oauthtap.formats.untrusted_file import parse_json, read_bytes
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording, SourceError
from oauthtap.session.paths import JSONL, VERSION

_LATEST = 1e15
NOT_SWEPT = (
    "NOT SWEPT: this session did not end cleanly, or has not ended. What was sent before it could be known for a "
    "secret may stand in it. Do not pass it on before: oauthtap verify --sweep {}"
)


def read_session(path: Path | str) -> Recording:
    """The recording in a session folder, or in a `session.jsonl`. Raises SourceError."""
    path = Path(path)
    if not path.is_dir():
        return read_jsonl(path)
    if not os.path.lexists(path / JSONL):
        raise SourceError(f"{path}: no {JSONL} in this folder, so it is no session. Try: oauthtap sessions")
    return read_jsonl(path / JSONL, follow=False)


def read_jsonl(path: Path, *, follow: bool = True) -> Recording:
    """The recording in a `session.jsonl`. A torn last line gives a note, any other a SourceError.

    `follow`: it may be a symbolic link.
    """
    lines = read_bytes(path, follow=follow).decode("utf-8", "replace").split("\n")
    header: dict[str, Any] = {}
    exchanges: list[Exchange] = []
    notes: list[str] = []
    streams: dict[int, str] = {}
    until: float | None = None
    left_out: int | None = None
    for number, line in _numbered(lines):
        try:
            value = object_in(line)
            if "oauthtap" in value:
                header = _known_version(value, path)
            elif "swept" in value and "request" not in value:
                header = {**header, "swept": value["swept"]}
            elif "stream" in value and "request" not in value:
                streams[int(value["stream"])] = str(value["body"])
            elif "left_out" in value and "request" not in value:
                left_out = int(value["left_out"])
                notes.append(_gap(exchanges, left_out))
            elif "ended" in value and "request" not in value:
                until = _seconds(value["ended"])
                header |= {"notes": value["notes"]} if "notes" in value else {}
            else:
                exchange = Exchange.model_validate(value)
                exchanges.append(exchange if left_out is None else exchange.replace(excerpt=True))
        except (ValueError, TypeError, OverflowError, RecursionError) as problem:
            if number < len(lines) or not exchanges:
                raise SourceError(f"{path}, line {number}: {_reason(problem)}. Try: remove this line") from None
            notes.append(f"{path.name}, line {number} is torn: the session ended while it was written")
    if not header:
        raise SourceError(f"{path}: the first line is no header of an oauthtap session. Try: the folder it came from")
    if until is None and "swept" not in header and header.get("secrets") != "kept":
        notes.append(NOT_SWEPT.format(path.parent if path.name == JSONL else path))
    return Recording(tuple(exchanges), header, until, tuple(notes), streams)


def _gap(before: list[Exchange], left_out: int) -> str:
    place = f"after exchange {before[-1].id} " if before else ""
    return f"{left_out} exchanges {place}are left out: the session was full, and they made room for newer ones"


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not abs(seconds) < _LATEST:
        raise ValueError(f"ended: {str(value)[:20]} is no time")
    return seconds


def _numbered(lines: list[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def object_in(line: str) -> dict[str, Any]:
    """The JSON object on a line. Raises ValueError when it is anything else."""
    value = parse_json(line)
    if not isinstance(value, dict):
        raise ValueError("a JSON object is expected")
    return value


def _known_version(header: dict[str, Any], path: Path) -> dict[str, Any]:
    if header["oauthtap"] != VERSION:
        raise SourceError(
            f"{path}: written in format {header['oauthtap']!r}; this oauthtap reads {VERSION}. Try: a newer oauthtap"
        )
    return header


def _reason(problem: Exception) -> str:
    if isinstance(problem, ValidationError):
        first = problem.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return "nested too deep" if isinstance(problem, RecursionError) else str(problem)
