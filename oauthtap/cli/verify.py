"""`oauthtap verify SESSION`: look once more for secrets in every file of a session, and say what was looked for."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oauthtap import rules, session
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.newest import newest_session
from oauthtap.cli.options.summary import session_word
from oauthtap.formats import loader
from oauthtap.formats.loader import SourceError
from oauthtap.formats.untrusted_file import read_bytes
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.redaction.leak_scanner import Leak, LeakScanner
from oauthtap.redaction.redactor import Redactor
from oauthtap.session import FLOWS, HAR, JSONL, STATE, SessionError

_LOOKED = """\
Looked for, by other means than those that struck secrets out
  by name      what stands behind the name of a secret (token, secret, password, key, cookie, session and the like,
               with any prefix or suffix) in headers, URLs, forms, JSON, HTML, XML and any text
  by shape     tokens of well-known services, private keys, JWTs, `Bearer ...`, passwords in URLs
  by disorder  long strings that nobody would write, wherever they stand
  by value     every secret found in one file, in all of them: as it is, URL-encoded, base64, escaped for JSON or HTML
Not secrets: `state`, `nonce`, `jti`, digests, client ids and MCP session ids. They open nothing by themselves, and what
             is wrong with one (an encoding that broke it) shows in its characters alone.
Not detected: word-like secrets without a key name next to them."""
_SHOWN = 20
INCOMPLETE = 3
"""The exit code where no secret was found, but a file is torn or was never swept."""


@dataclass(frozen=True)
class ScannedFile:
    """One file, and what was found in it."""

    path: Path
    size: int
    exchanges: int
    leaks: tuple[Leak, ...]
    torn: str = ""
    """Why not all of it could be read."""


def verify(arguments: Namespace) -> int:
    """Print what was read, looked for and found. Gives 1 when a secret was found, 0 when none was, 3 when none was but
    a file is torn or the session was never swept."""
    top = Path(arguments.session or newest_session()).expanduser()
    several = top.is_dir() and any(top.glob(f"*/{JSONL}"))  # of `oauthtap solve`: a session for each try
    if top.is_dir() and not several and not any((top / name).exists() for name in (JSONL, FLOWS, HAR)):
        raise UsageError(f"{escape_controls(str(top))}: a folder, but no session in it. Try: oauthtap sessions")
    if getattr(arguments, "sweep", False):
        _sweep(top)
    header = header_of(top)
    looked = scan_files(top, claims=header.get("redact") == "claims")
    if getattr(arguments, "format", "console") == "json":
        return _as_json(looked, top, kept=header.get("secrets") == "kept")
    for one in looked:
        words = f"{len(one.leaks)} leaks" if one.leaks else "torn" if one.torn else "clean"
        inside = f"{one.exchanges} exchanges, " if one.exchanges else ""
        print(f"{escape_controls(_name(one.path, top)):<16}  {words:<9}  {inside}{one.size} bytes")
        for leak in one.leaks[:_SHOWN]:
            print(
                f"    {escape_controls(_name(one.path, top))}: "
                f"{escape_controls(leak.place)}: {escape_controls(leak.what)}"
            )
        if len(one.leaks) > _SHOWN:
            print(f"    and {len(one.leaks) - _SHOWN} more in this file")
        if one.torn:
            print(f"    {escape_controls(one.torn)}. Try: oauthtap verify --sweep, which leaves the torn part out")
    print(f"\n{_LOOKED}\n")
    leaks, size = sum(len(one.leaks) for one in looked), sum(one.size for one in looked)
    print(f"{leaks or 'No'} secret{'' if leaks == 1 else 's'} in {len(looked)} files, {size} bytes read.")
    if header.get("secrets") == "kept":
        print("This session was recorded with --keep-secrets: they are there because somebody asked for them.")
        print("Do not pass it on. Try: oauthtap check FOLDER --format html, which shows none of them.")
        return 1
    unswept = _not_swept(top)
    if unswept:
        print(unswept)
    if leaks:
        again = "" if getattr(arguments, "sweep", False) else "oauthtap verify --sweep, or "
        print(f"Do not pass this session on. Try: {again}record it again, and report what leaked where.")
        return 1
    return INCOMPLETE if unswept or any(one.torn for one in looked) else 0


def _as_json(looked: Sequence[ScannedFile], top: Path, *, kept: bool) -> int:
    """Print the same for scripts, `exit` in it, and give that."""
    files = [
        {
            "file": _name(one.path, top), "size": one.size, "exchanges": one.exchanges, "torn": one.torn or None,
            "leaks": [{"place": leak.place, "what": leak.what} for leak in one.leaks],
        }
        for one in looked
    ]  # fmt: skip
    leaks, swept = sum(len(one.leaks) for one in looked), not _not_swept(top)
    code = 1 if leaks or kept else INCOMPLETE if not swept or any(one.torn for one in looked) else 0
    told = {"leaks": leaks, "swept": swept, "secrets_kept": kept, "files": files, "exit": code}
    print(json.dumps(told, ensure_ascii=False, indent=1))
    return code


def header_of(top: Path) -> dict[str, Any]:
    """How a session was recorded; empty for a file, and where that cannot be read."""
    try:
        with (top / JSONL).open("rb") as file:
            header = json.loads(file.readline(1_000_000))
    except (OSError, ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def _not_swept(top: Path) -> str:
    """What to say of a session that did not end cleanly; empty for any other."""
    lines = top / JSONL if top.is_dir() else top
    if lines.name != JSONL or not lines.exists():
        return ""
    try:
        recording = session.read_jsonl(lines)
    except SourceError:
        return ""
    return next((note for note in recording.notes if note.startswith("NOT SWEPT")), "")


def _sweep(top: Path) -> None:
    """Strike secrets out of every file of a session. Raises Usage where that cannot be done."""
    from oauthtap.proxy import flow_file  # mitmproxy takes a second to import: only when needed

    header = header_of(top)
    if not top.is_dir() or not header:
        raise UsageError(f"{top}: --sweep needs the folder of a session. Try: oauthtap sessions")
    if header.get("secrets") == "kept":
        raise UsageError(f"{top}: recorded with --keep-secrets. Try: oauthtap check {session_word(top)} --format html")
    redactor = Redactor(claims=header.get("redact") == "claims")
    try:
        if (top / FLOWS).exists():
            for exchange in flow_file.as_shown(top / FLOWS):
                redactor.redact(exchange)
        session.sweep_session(top, redactor.redact, redactor.redact_known, flow_file.write)
    except (SourceError, SessionError) as problem:
        raise UsageError(f"cannot sweep: {problem}") from None


def scan_files(top: Path, *, claims: bool = False) -> list[ScannedFile]:
    """Every file below a folder, or one file, looked through twice. Raises Usage when something cannot be read.

    `claims`: look for persons too, where the recording was to have none.
    """
    files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
    if top.is_dir() and not files:
        raise UsageError(f"{top}: an empty folder. Try: oauthtap sessions")
    search = LeakScanner(claims, "\n".join(rules.pages()))
    read = {path: (_bytes(path), *_exchanges(path)) for path in files}
    for _, exchanges, _ in read.values():
        search.note_public(exchanges)
    first = [
        (path, data, len(exchanges), torn, _first_look(path, data, exchanges, search))
        for path, (data, exchanges, torn) in read.items()
    ]
    return [
        ScannedFile(path, len(data), count, tuple(_all(leaks, search.by_value(_text(data)))), torn)
        for path, data, count, torn, leaks in first
    ]


def _first_look(path: Path, data: bytes, exchanges: list[Exchange], search: LeakScanner) -> list[Leak]:
    """What is found in a file by name, by shape and by disorder."""
    leaks = [
        Leak(f"exchange {exchange.id}, {leak.place}", leak.what)
        for exchange in exchanges
        for leak in search.in_exchange(exchange)
    ]
    text = _text(data)
    if _is_flows(path):
        from oauthtap.proxy import flow_file  # mitmproxy takes a second to import: only when needed

        kinds = (leak.what for value in flow_file.texts(data) for leak in search.in_text(value, by_place=False))
        return leaks + [Leak("a flow", what) for what in kinds]
    document = _json(text)
    if path.name == STATE and isinstance(document, dict):  # `session` is the name of this folder there
        document = {name: value for name, value in document.items() if name != "session"}
    if document is not None:
        return leaks + list(search.in_document(document))
    if path.name == JSONL or path.suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            document = _json(line)
            found = search.in_document(document) if document is not None else search.in_text(line)
            leaks += [Leak(f"line {number}", leak.what) for leak in found]
        return leaks
    return leaks + list(search.in_text(text))


def _is_recording(path: Path) -> bool:
    return path.name in (JSONL, FLOWS, HAR) or path.suffix in (".har", ".mitm")


def _is_flows(path: Path) -> bool:
    return path.name == FLOWS or path.suffix == ".mitm"


def _exchanges(path: Path) -> tuple[list[Exchange], str]:
    """The exchanges of a file, and why not all of it could be read."""
    if not _is_recording(path):
        return [], ""
    try:
        recording = loader.read(path)
    except SourceError as problem:
        if not _bytes(path).strip():  # nothing arrived before the session ended
            return [], ""
        if _is_flows(path):
            return [], f"no flow of it can be read: {problem}"
        raise UsageError(f"cannot vouch for what cannot be read: {problem}") from None
    found = list(recording.exchanges)
    if _is_flows(path):
        from oauthtap.proxy import flow_file  # mitmproxy takes a second to import: only when needed

        found += flow_file.as_shown(path)
    return found, next((note for note in recording.notes if "torn" in note or "breaks off" in note), "")


def _all(found: list[Leak], by_value: Iterator[Leak]) -> Iterator[Leak]:
    """A line that was found by name or shape is not said again for its value."""
    known = {leak.place for leak in found}
    yield from dict.fromkeys(found)
    yield from (leak for leak in by_value if leak.place not in known)


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except SourceError as problem:
        raise UsageError(str(problem)) from None


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _name(path: Path, top: Path) -> str:
    return str(path.relative_to(top)) if path != top else path.name
