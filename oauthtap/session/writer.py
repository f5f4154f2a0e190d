"""Writes a session folder as the session happens."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from oauthtap.formats import har
from oauthtap.model.recording import Recording
from oauthtap.session.paths import (
    FLOWS,
    HAR,
    JSONL,
    MARK,
    STATE,
    VERSION,
    SessionError,
    disk_errors,
    open_private,
    reopen_private,
    replace,
)
from oauthtap.session.reader import read_jsonl

LARGEST, FIRST, NEWEST = 16 << 20, 8 << 20, 4 << 20
"""Bytes of `session.jsonl`: at most, and of these what is kept when it is full, from its beginning and from its end."""
_MARKED = (
    "This session was recorded with `oauthtap --keep-secrets`: the tokens, codes and passwords in it are real.\n"
    "Do not pass it on. A copy without them: oauthtap check FOLDER --format html > report.html\n"
)


class SessionWriter:
    """Writes one session. Every method raises SessionError when the disk refuses, and where there is no more room.

    `header`: `upstream`, `client`, `revision`, `versions`; `started` is added when missing.
    `sweep`: takes the secrets known by now out of any text; used once more over everything
    when the session ends, because a secret may have been learned after it was written.
    `news`: gives what takes out the secrets learned since it was asked last, or None. They are
    taken out of what was written already before anything more is: a kill leaves none behind.
    `make_flows`: the content of `flows.mitm` for the finished recording; there is no such file without it.
    """

    def __init__(
        self,
        folder: Path | str,
        header: Mapping[str, Any],
        *,
        sweep: Callable[[str], str] = str,
        make_flows: Callable[[Recording], bytes] | None = None,
        news: Callable[[], Callable[[str], str] | None] = lambda: None,
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.header: dict[str, Any] = {"oauthtap": VERSION, "started": time.time(), **header}
        self._sweep = sweep
        self._make_flows = make_flows
        self._news = news
        self._closed = False
        self.left_out = 0
        """How many exchanges had to make room for newer ones."""
        with disk_errors(self.folder):
            self._made = not self.folder.exists()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(os.path.lexists(self.folder / name) for name in (JSONL, FLOWS)):
                raise SessionError(
                    f"{self.folder} already holds a session. Try: --session {self.folder}-2, or remove the folder"
                )
            self.folder.chmod(0o700)
            self._lines = open_private(self.folder / JSONL)
            os.write(self._lines, (line(self.header) + "\n").encode())
            if self.header.get("secrets") == "kept":
                replace(self.folder / MARK, _MARKED.encode())

    def add(self, *exchanges: str) -> None:
        """Write exchanges (`Exchange.as_json`), their secrets struck out already."""
        self._sweep_written()
        self._append("".join(f"{self._sweep(text)}\n" for text in exchanges).encode())

    def add_stream(self, exchange: int, body: str) -> None:
        """Write all that came down the event stream of an exchange that was written with its beginning alone."""
        self._sweep_written()
        self._append((self._sweep(line({"stream": exchange, "body": body})) + "\n").encode())

    def close(
        self,
        reports: Mapping[str, str] | None = None,
        *,
        ended: float | None = None,
        comments: Mapping[int, str] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """End the session: sweep once more, write the HAR and the reports.

        `reports`: file name to text. `ended`: seconds since 1970 up to which nothing else
        came; the same that the report was made with. `comments`: for the HAR, by exchange id.
        `notes`: what was said of the way it was recorded.
        """
        if self._closed:
            return
        self._closed = True
        self.header["ended"] = time.time() if ended is None else ended
        said = {"notes": list(notes)} if notes else {}
        self.header |= said
        self._append((line({"ended": self.header["ended"], **said}) + "\n").encode())
        os.close(self._lines)
        with disk_errors(self.folder):
            lines = (self.folder / JSONL).read_text("utf-8")
            swept = "\n".join(self._sweep(text) for text in lines.split("\n"))
            if swept != lines:
                replace(self.folder / JSONL, swept.encode())
            recording = read_jsonl(self.folder / JSONL)
            if self._make_flows:
                replace(self.folder / FLOWS, self._make_flows(recording))
            replace(self.folder / HAR, self._sweep(har.write(recording, comments or {})).encode())
            for name, text in (reports or {}).items():
                replace(self.folder / name, self._sweep(text).encode())

    def discard(self) -> None:
        """Take away what was made so far: nothing happened. Whatever else lies in the folder stays."""
        if self._closed:
            return
        self._closed = True
        os.close(self._lines)
        with disk_errors(self.folder):
            for name in (JSONL, MARK, STATE):
                (self.folder / name).unlink(missing_ok=True)
            if self._made:
                self.folder.rmdir()

    def _sweep_written(self) -> None:
        """Take the secrets that are new out of what was written before they were known."""
        strike = self._news()
        if strike is None:
            return
        with disk_errors(self.folder):
            lines = (self.folder / JSONL).read_text("utf-8")
            if (swept := "\n".join(map(strike, lines.split("\n")))) != lines:
                self._rewrite(swept.encode())

    def _append(self, data: bytes) -> None:
        """Write it. Raises SessionError where it is larger than what is left when there is room again."""
        with disk_errors(self.folder):
            if os.fstat(self._lines).st_size + len(data) > LARGEST:
                self._make_room(LARGEST - len(data))
            while data:
                data = data[os.write(self._lines, data) :]

    def _make_room(self, most: int) -> None:
        """Leave out what lies between the first bytes and the newest. Raises SessionError when more than `most` stays.

        How it began and how it ended is what is asked later; what lies between is mostly the same again.
        """
        with (self.folder / JSONL).open("rb") as lines:
            size = lines.seek(0, os.SEEK_END)
            end, begin = _next_line(lines, FIRST), _next_line(lines, size - NEWEST)
            lines.seek(end)
            number = sum(text.startswith(b'{"id"') for text in _lines_until(lines, begin))
            gap = (line({"left_out": self.left_out + number}) + "\n").encode()
            if not number or end + len(gap) + size - begin > most:
                raise SessionError(
                    f"{self.folder} holds {LARGEST >> 20} MB, and an exchange is larger than the room there can be: "
                    "it is judged, and not written down"
                )
            lines.seek(0)
            self._rewrite(chain(_lines_until(lines, end), [gap], _lines_from(lines, begin)))
        self.left_out += number

    def _rewrite(self, data: bytes | Iterator[bytes]) -> None:
        """Put other lines in place of all that were written, and go on behind them."""
        replace(self.folder / JSONL, data)
        before, self._lines = self._lines, reopen_private(self.folder / JSONL)
        os.close(before)


def _next_line(lines: BinaryIO, place: int) -> int:
    """Where the first line begins that begins behind a place."""
    lines.seek(place)
    lines.readline()
    return lines.tell()


def _lines_until(lines: BinaryIO, end: int) -> Iterator[bytes]:
    place = lines.tell()
    while place < end and (text := lines.readline()):
        place += len(text)
        yield text


def _lines_from(lines: BinaryIO, begin: int) -> Iterator[bytes]:
    lines.seek(begin)
    yield from lines


def line(value: Mapping[str, Any]) -> str:
    """A line of `session.jsonl` that is not an exchange."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
