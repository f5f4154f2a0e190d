"""Picks a reader for a path, by what the file holds and not by its name."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from oauthtap import formats, session
from oauthtap.formats import har, notation, unreadable
from oauthtap.formats.untrusted_file import LARGEST, parse_json, read_bytes
from oauthtap.model.recording import Recording, SourceError

__all__ = ["Recording", "SourceError", "read"]

_TNETSTRING = re.compile(rb"\d{1,10}:\d{1,3}:[a-z_]")
"""How a file of flows begins: a dictionary, and in it a name."""
_REQUEST = re.compile(r"^[^\S\n]*[A-Z]{3,7} [a-z][a-z0-9+.-]*:\S+", re.MULTILINE)
_ANSWERED = re.compile(r"(?:→|->|=>|[:(|]|returns?|answers?|HTTP/[\d.]+)\s*|[1-5]\d\d\b|net::ERR_")
"""What stands behind the URL where a line tells the answer as well: no body, as the notation would have it."""
_FENCE = re.compile(r"^(`{3,}|~{3,})[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
STDIN = "-"
"""Stands for standard input where a path is expected."""


def read(path: Path | str) -> Recording:
    """The recording in a file or session folder.

    Raises SourceError when it cannot be read: the text names the path, the place in it,
    and what to try.
    """
    if str(path) == STDIN:
        return _text_of("standard input", _typed())
    path = Path(path).expanduser()
    if path.is_dir():
        return session.read_session(path)
    data = _bytes(path)
    if refused := unreadable.of_bytes(data):
        raise SourceError(f"{path}: {refused[0]}. Try: {refused[1]}")
    text = _text(data)
    if _TNETSTRING.match(data):
        return _flows(path)
    if text.lstrip()[:1] == "{" and (found := _json(path, text)):
        return found
    return _text_of(str(path), text)


def _typed() -> str:
    """Standard input to its end. On a terminal, with a word on how to end it."""
    if sys.stdin.isatty():
        print("oauthtap: paste it here, then Ctrl-D on a line of its own", file=sys.stderr)
    data = sys.stdin.buffer.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise SourceError("standard input: larger than 1 GB. Try: the sign-in alone")
    if not data.strip():
        raise SourceError("standard input: nothing came. Try: oauthtap check FILE")
    return _text(data)


def _text_of(place: str, text: str) -> Recording:
    """Exchanges in a text: in our notation where it is that throughout, else in any form that people have in hand."""
    problem = None
    if text.lstrip()[:1] == "{":
        try:
            document = parse_json(text)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict) and isinstance(document.get("log"), dict):
            return _placed(place, document)
        if document is None and '"log"' in text[:300]:
            what, then = unreadable.of_text(text)
            raise SourceError(f"{place}: {what}. Try: {then}")
    if _REQUEST.search(text):
        try:
            noted = _notation(place, text)
        except SourceError as no_notation:
            problem = no_notation
        else:
            if not any(_ANSWERED.match(exchange.request.body or "") for exchange in noted.exchanges):
                return noted
    if found := formats.load_recording(text):
        return found
    if problem is not None:
        raise problem
    what, then = unreadable.of_text(text)
    refusal = SourceError(f"{place}: {what}. Try: {then}")
    refusal.text = text
    raise refusal


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
    from oauthtap.proxy import flow_file  # mitmproxy takes a second to import: only when needed

    return flow_file.read(path)


def _json(path: Path, text: str) -> Recording | None:
    """A session of ours, by its first line; None for other JSON."""
    first = _parsed_or_none(text.lstrip().partition("\n")[0])
    return session.read_jsonl(path) if isinstance(first, dict) and "oauthtap" in first else None


def _parsed_or_none(line: str) -> Any:
    try:
        return parse_json(line)
    except (ValueError, RecursionError):
        return None


def _placed(place: str, document: Any) -> Recording:
    try:
        return har.read(document)
    except SourceError as problem:
        raise SourceError(f"{place}, {problem}. Try: export it again as HAR 1.2") from None


def _notation(place: str, text: str) -> Recording:
    """Exchanges as text, also between the fences of a Markdown file."""
    fenced = [match[2] for match in _FENCE.finditer(text) if _REQUEST.search(match[2])]
    try:
        exchanges = tuple(notation.parse("\n".join(map(textwrap.dedent, fenced)) if fenced else textwrap.dedent(text)))
    except (notation.NotationError, ValueError) as problem:
        raise SourceError(f"{place}, {problem}. Try: the notation of `oauthtap explain RULE`") from None
    named = re.search(r"^[^\S\n]*# mcp: (\S+)$", text, re.MULTILINE)
    return Recording(exchanges, {"upstream": named[1]} if named else {})
