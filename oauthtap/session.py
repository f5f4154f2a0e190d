"""The session folder: written as the session happens, read again later. Knows files, and no proxy.

    session.jsonl   the header, one exchange a line, and at last when it ended
    flows.mitm      the same as flows, for mitmweb (records made by `mitm/flowfile.py`)
    session.har     written when the session ends
    report.json     and further reports, handed in when the session ends

Folders are 0700 and files 0600. A kill loses at most the exchange under way: every line
is handed to the system before the next exchange is looked at.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_state_dir
from pydantic import ValidationError

from oauthtap import har
from oauthtap.recording import Recording, SourceError
from oauthtap.wire import Exchange

VERSION = 1
JSONL, FLOWS, HAR = "session.jsonl", "flows.mitm", "session.har"


class SessionError(Exception):
    """The session cannot be written. The text says why and what to type."""


def home() -> Path:
    """Where sessions lie when the user does not say where."""
    return Path(user_state_dir("oauthtap")) / "sessions"


def default_folder(upstream: str, now: float | None = None) -> Path:
    """A folder that is not there yet: `YYYY-MM-DD-HHMMSS-host` (local time) below `home()`."""
    stamp = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(now))
    host = re.sub(r"[^a-z0-9.-]", "", (urlsplit(upstream).hostname or "unknown").lower())[:60]
    folder = home() / f"{stamp}-{host}"
    number = 2
    while folder.exists():
        folder = home() / f"{stamp}-{host}-{number}"
        number += 1
    return folder


class SessionWriter:
    """Writes one session. Every method raises SessionError when the disk refuses.

    `header`: `upstream`, `client`, `revision`, `versions`; `started` is added when missing.
    `sweep`: takes the secrets known by now out of any text; used once more over everything
    when the session ends, because a secret may have been learned after it was written.
    `sweep_flows`: the same for the content of `flows.mitm`, given the finished header.
    """

    def __init__(
        self,
        folder: Path | str,
        header: Mapping[str, Any],
        *,
        sweep: Callable[[str], str] = str,
        sweep_flows: Callable[[bytes, dict[str, Any]], bytes] | None = None,
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.header: dict[str, Any] = {"oauthtap": VERSION, "started": time.time(), **header}
        self._sweep = sweep
        self._sweep_flows = sweep_flows
        self._closed = False
        with _explained(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (self.folder / JSONL).exists():
                raise SessionError(
                    f"{self.folder} already holds a session. Try: --session {self.folder}-2, or remove the folder"
                )
            self.folder.chmod(0o700)
            self._lines = _private(self.folder / JSONL)
            self._flows = _private(self.folder / FLOWS)
            os.write(self._lines, (_line(self.header) + "\n").encode())

    def add(self, exchange: Exchange) -> None:
        """Write one exchange, its secrets struck out already."""
        self._append(self._lines, (_line(_plain(exchange)) + "\n").encode())

    def add_flow(self, record: bytes) -> None:
        """Write one flow, as `flowfile.record` makes it."""
        self._append(self._flows, record)

    def close(
        self,
        reports: Mapping[str, str] | None = None,
        *,
        ended: float | None = None,
        comments: Mapping[int, str] | None = None,
    ) -> None:
        """End the session: sweep once more, write the HAR and the reports.

        `reports`: file name to text. `ended`: seconds since 1970 up to which nothing else
        came; the same that the report was made with. `comments`: for the HAR, by exchange id.
        """
        if self._closed:
            return
        self._closed = True
        self.header["ended"] = time.time() if ended is None else ended
        self._append(self._lines, (_line({"ended": self.header["ended"]}) + "\n").encode())
        os.close(self._lines)
        os.close(self._flows)
        with _explained(self.folder):
            lines = (self.folder / JSONL).read_text("utf-8")
            swept = "\n".join(self._sweep(line) for line in lines.split("\n"))
            if swept != lines:
                replace(self.folder / JSONL, swept.encode())
            if self._sweep_flows:
                replace(self.folder / FLOWS, self._sweep_flows((self.folder / FLOWS).read_bytes(), self.header))
            recording = read_jsonl(self.folder / JSONL)
            replace(self.folder / HAR, self._sweep(har.write(recording, comments or {})).encode())
            for name, text in (reports or {}).items():
                replace(self.folder / name, self._sweep(text).encode())

    def _append(self, file: int, data: bytes) -> None:
        with _explained(self.folder):
            while data:
                data = data[os.write(file, data) :]


class _explained:  # noqa: N801  (reads as a sentence: with _explained(folder))
    """What the system refuses, in words that end in what to type."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, problem: object, _trace: object) -> None:
        if isinstance(problem, OSError):
            reason = problem.strerror or str(problem)
            raise SessionError(
                f"cannot write the session to {self.folder}: {reason}. Try: --session DIR, with a folder of yours"
            ) from None


def _private(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def replace(path: Path, data: bytes) -> None:
    """Put a file in place of another in one step, readable by the user alone."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        out.write(data)
    draft.replace(path)


def _plain(exchange: Exchange) -> dict[str, Any]:
    return exchange.model_dump(exclude_defaults=True)


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- reading


def read_session(path: Path | str) -> Recording:
    """The recording in a session folder, or in a `session.jsonl`. Raises SourceError."""
    path = Path(path)
    if path.is_dir():
        if not (path / JSONL).exists():
            raise SourceError(f"{path}: no {JSONL} in this folder, so it is no session. Try: oauthtap sessions")
        path /= JSONL
    return read_jsonl(path)


def read_jsonl(path: Path) -> Recording:
    """The recording in a `session.jsonl`. A torn last line gives a note, any other a SourceError."""
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except OSError as problem:
        raise SourceError(f"{path}: {problem.strerror or problem}") from None
    header: dict[str, Any] = {}
    exchanges: list[Exchange] = []
    notes: list[str] = []
    until: float | None = None
    for number, line in _numbered(lines):
        try:
            value = _object(line)
            if "oauthtap" in value:
                header = _known_version(value, path)
            elif "ended" in value and "request" not in value:
                until = float(value["ended"])
            else:
                exchanges.append(Exchange.model_validate(value))
        except (ValueError, TypeError, RecursionError) as problem:
            if number < len(lines) or not exchanges:
                raise SourceError(f"{path}, line {number}: {_reason(problem)}. Try: remove this line") from None
            notes.append(f"{path.name}, line {number} is torn: the session ended while it was written")
    if not header:
        raise SourceError(f"{path}: the first line is no header of an oauthtap session")
    return Recording(tuple(exchanges), header, until, tuple(notes))


def _numbered(lines: list[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _object(line: str) -> dict[str, Any]:
    value = json.loads(line)
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


# --- listing


@dataclass(frozen=True)
class Listed:
    """One recorded session, as a line of the list."""

    folder: Path
    started: float | None
    upstream: str | None
    connected: bool | None
    """None: the session has no report, so it was cut off."""
    cause: str | None
    """The rule id of the cause; None without one."""


def sessions(below: Path | None = None) -> list[Listed]:
    """Every session below a folder (`home()` when None), newest first. Broken ones are left out."""
    root = home() if below is None else below
    found = []
    for lines in root.glob(f"*/{JSONL}") if root.is_dir() else ():
        try:
            with lines.open("rb") as file:
                header = _object(file.readline(1_000_000).decode())
        except (OSError, ValueError, RecursionError):
            continue
        found.append(_listed(lines.parent, header))
    return sorted(found, key=lambda one: (one.started or 0.0, one.folder.name), reverse=True)


def _listed(folder: Path, header: dict[str, Any]) -> Listed:
    try:
        report = _object((folder / "report.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        report = {}
    cause, started, upstream = report.get("cause"), header.get("started"), header.get("upstream")
    return Listed(
        folder=folder,
        started=started if isinstance(started, int | float) else None,
        upstream=upstream if isinstance(upstream, str) else None,
        connected=bool(report["connected"]) if "connected" in report else None,
        cause=str(cause["rule"]) if isinstance(cause, dict) and "rule" in cause else None,
    )
