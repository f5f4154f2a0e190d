"""`oauthtap verify SESSION`: look once more for secrets in every file of a session, and say what was looked for."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oauthtap import rules, sources
from oauthtap.cli.errors import Usage
from oauthtap.plain import plain
from oauthtap.redaction.leaks import Leak, Search, named_values
from oauthtap.session import FLOWS, HAR, JSONL
from oauthtap.sources import SourceError
from oauthtap.wire import Exchange

_LOOKED = """\
Looked for
  by place   what stands where the protocol puts a secret: Authorization and cookies, tokens, codes, verifiers,
             client secrets, assertions, passwords, keys, in headers, URLs, forms, JSON and HTML fields
  by shape   JWTs, `Bearer …`, headers with long random values, `code=…` and its like, in any text
  by value   every secret found in one file, in all of them: as it is, URL-encoded, base64, escaped for JSON or HTML
Not secrets: `state`, `nonce`, `jti`, client ids and MCP session ids. They open nothing by themselves, and what is
             wrong with one (an encoding that broke it) shows in its characters alone.
Not found this way: a secret that stands alone in a text, without a name, and looks like a word."""
_SHOWN = 20


@dataclass(frozen=True)
class Looked:
    """One file, and what was found in it."""

    path: Path
    size: int
    exchanges: int
    leaks: tuple[Leak, ...]


def verify(arguments: Namespace) -> int:
    """Print what was read, looked for and found. Gives 1 when a secret was found, 0 when none was."""
    top = Path(arguments.session).expanduser()
    header = header_of(top)
    looked = look(top, claims=header.get("redact") == "claims")
    for one in looked:
        words = f"{len(one.leaks)} leaks" if one.leaks else "clean"
        inside = f"{one.exchanges} exchanges, " if one.exchanges else ""
        print(f"{plain(_name(one.path, top)):<16}  {words:<9}  {inside}{one.size} bytes")
        for leak in one.leaks[:_SHOWN]:
            print(f"    {plain(_name(one.path, top))}: {plain(leak.place)}: {plain(leak.what)}")
        if len(one.leaks) > _SHOWN:
            print(f"    and {len(one.leaks) - _SHOWN} more in this file")
    print(f"\n{_LOOKED}\n")
    leaks, size = sum(len(one.leaks) for one in looked), sum(one.size for one in looked)
    print(f"{leaks or 'No'} secret{'' if leaks == 1 else 's'} in {len(looked)} files, {size} bytes read.")
    if header.get("secrets") == "kept":
        print("This session was recorded with --keep-secrets: they are there because somebody asked for them.")
        print("Do not pass it on. Try: oauthtap check FOLDER --format html, which shows none of them.")
        return 1
    if leaks:
        print("Do not pass this session on. Try: record it again with a newer oauthtap, and report what leaked where.")
    return int(leaks > 0)


def header_of(top: Path) -> dict[str, Any]:
    """How a session was recorded; empty for a file, and where that cannot be read."""
    try:
        with (top / JSONL).open("rb") as file:
            header = json.loads(file.readline(1_000_000))
    except (OSError, ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def look(top: Path, *, claims: bool = False) -> list[Looked]:
    """Every file below a folder, or one file, looked through twice. Raises Usage when something cannot be read.

    `claims`: look for persons too, where the recording was to have none.
    """
    files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
    if top.is_dir() and not files:
        raise Usage(f"{top}: an empty folder. Try: oauthtap sessions")
    search = Search(claims, rules.pages())
    first = [(path, _bytes(path), *_first_look(path, search)) for path in files]
    return [
        Looked(path, len(data), count, tuple(_all(leaks, search.by_value(_text(data)))))
        for path, data, count, leaks in first
    ]


def _first_look(path: Path, search: Search) -> tuple[int, list[Leak]]:
    """How many exchanges a file holds, and what is found by place and by shape."""
    exchanges = [] if not _is_recording(path) else _exchanges(path)
    leaks = [
        Leak(f"exchange {exchange.id}, {leak.place}", leak.what)
        for exchange in exchanges
        for leak in search.in_exchange(exchange)
    ]
    if _is_flows(path):  # its records have no lines
        bodies = (message.body for one in exchanges for message in (one.request, one.response) if message)
        leaks += [Leak(f"a body, {leak.place}", leak.what) for body in bodies for leak in search.in_text(body or "")]
    text = _text(_bytes(path))
    for place, name, value, cookie in named_values(_json(text)):
        leaks += [Leak(place or leak.place, leak.what) for leak in search.in_value(name, value, cookie=cookie)]
    leaks += search.in_text(text, by_place=not _is_flows(path))
    return len(exchanges), leaks


def _is_recording(path: Path) -> bool:
    return path.name in (JSONL, FLOWS, HAR) or path.suffix in (".har", ".mitm")


def _is_flows(path: Path) -> bool:
    return path.name == FLOWS or path.suffix == ".mitm"


def _exchanges(path: Path) -> list[Exchange]:
    try:
        found = list(sources.read(path).exchanges)
    except SourceError as problem:
        if not _bytes(path).strip():  # nothing arrived before the session ended
            return []
        raise Usage(f"cannot vouch for what cannot be read: {problem}") from None
    if _is_flows(path):
        from oauthtap.mitm import flowfile  # mitmproxy takes a second to import: only when needed

        found += flowfile.as_shown(path)
    return found


def _all(found: list[Leak], by_value: Iterator[Leak]) -> Iterator[Leak]:
    """A line that was found by place or shape is not said again for its value."""
    known = {leak.place for leak in found}
    yield from dict.fromkeys(found)
    yield from (leak for leak in by_value if leak.place not in known)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Usage(f"{path}: no such file or folder. Try: oauthtap sessions") from None
    except OSError as problem:
        raise Usage(f"{path}: {problem.strerror or problem}") from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _name(path: Path, top: Path) -> str:
    return str(path.relative_to(top)) if path != top else path.name
