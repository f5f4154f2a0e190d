"""Picks a reader for a path, by what the file holds and not by its name. Knows no format itself."""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from oauthtap import har, logs, notation, session
from oauthtap.recording import Recording, SourceError
from oauthtap.untrusted_file import parse_json, read_bytes

__all__ = ["Recording", "SourceError", "read"]

_TNETSTRING = re.compile(rb"\d{1,10}:")
_REQUEST = re.compile(r"^\s*[A-Z]{3,7} [a-z][a-z0-9+.-]*:\S+", re.MULTILINE)
_FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
_KNOWN = "a session folder, session.jsonl, .mitm, .har, a log of Claude Code or mcp-remote, or exchanges as text"


def read(path: Path | str) -> Recording:
    """The recording in a file or session folder.

    Raises SourceError when it cannot be read: the text names the path, the place in it,
    and what to try.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return session.read_session(path)
    data = _bytes(path)
    if _TNETSTRING.match(data):
        return _flows(path)
    text = _text(data)
    if logs.recognizes(text):
        return _read_logs(path, text)
    if text.lstrip()[:1] in ("{", "["):
        return _json(path, text)
    if _REQUEST.search(text):
        return _notation(path, text)
    raise SourceError(f"{path}: nothing oauthtap knows. Try: {_KNOWN}")


def _bytes(path: Path) -> bytes:
    data = read_bytes(path)
    if not data.strip():
        raise SourceError(f"{path}: the file is empty. Try: record once more")
    return data


def _text(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _flows(path: Path) -> Recording:
    from oauthtap.mitm import flowfile  # mitmproxy takes a second to import: only when needed

    recording = flowfile.read(path)
    lines = path.with_name(session.JSONL)
    if recording.header or not lines.exists():
        return recording
    # A session that was killed has no header in its flows yet; the one beside it is theirs.
    beside = session.read_jsonl(lines)
    return replace(recording, header=beside.header, until=beside.until)


def _json(path: Path, text: str) -> Recording:
    first = _parsed_or_none(text.lstrip().partition("\n")[0])
    if isinstance(first, dict) and "oauthtap" in first:
        return session.read_jsonl(path)
    if isinstance(first, dict) and logs.recognizes_line(first):
        return _read_logs(path, text)
    try:
        document = parse_json(text)
    except json.JSONDecodeError as problem:
        cut = "the file breaks off" if problem.pos >= len(text.rstrip()) - 1 else problem.msg
        raise SourceError(
            f"{path}, line {problem.lineno}, column {problem.colno}: no JSON from here on ({cut}). Try: export it again"
        ) from None
    except RecursionError:
        raise SourceError(f"{path}: JSON nested too deep. Try: {_KNOWN}") from None
    if isinstance(document, dict) and "log" in document:
        return _placed(path, document)
    raise SourceError(f"{path}: JSON, but neither a HAR nor a session. Try: {_KNOWN}")


def _parsed_or_none(line: str) -> Any:
    try:
        return parse_json(line)
    except (ValueError, RecursionError):
        return None


def _placed(path: Path, document: Any) -> Recording:
    try:
        return har.read(document)
    except SourceError as problem:
        raise SourceError(f"{path}, {problem}. Try: export it again as HAR 1.2") from None


def _read_logs(path: Path, text: str) -> Recording:
    recording = logs.read(text)
    if not recording.exchanges:
        raise SourceError(f"{path}: a log, but no request in it that oauthtap can tell. Try: record with oauthtap")
    return recording


def _notation(path: Path, text: str) -> Recording:
    """Exchanges as text, also between the fences of a Markdown file."""
    fenced = [match[2] for match in _FENCE.finditer(text) if _REQUEST.search(match[2])]
    try:
        exchanges = tuple(notation.parse("\n".join(map(textwrap.dedent, fenced)) if fenced else textwrap.dedent(text)))
    except (notation.NotationError, ValueError) as problem:
        raise SourceError(f"{path}, {problem}. Try: the notation of `oauthtap explain RULE`") from None
    named = re.search(r"^\s*# mcp: (\S+)$", text, re.MULTILINE)
    return Recording(exchanges, {"upstream": named[1]} if named else {})
