"""A text as whoever decodes it reads it, and where each part of that stands in the text as it was written.

A secret may be written with any of its characters escaped, letters too: `%70assword`, `&#112;`, `\\u0070`;
and a whole text may be packed in base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from html.entities import html5
from itertools import islice

_ESCAPE = re.compile(
    r"(?P<octets>(?:%(?:25){0,3}[0-9A-Fa-f]{2})+)"
    r"|(?P<unit>\\{1,8}u(?P<hex>[0-9A-Fa-f]{4})(?:\\{1,8}u(?P<low>[dD][c-fC-F][0-9A-Fa-f]{2}))?)"
    r"|&(?:amp;){0,3}(?:\#(?:0{0,6}(?P<decimal>\d{1,7})|[xX]0{0,6}(?P<hexadecimal>[0-9A-Fa-f]{1,6}))|(?P<entity>[A-Za-z]{2,8}));"
    r"|\\{1,8}(?P<bare>[\"'/])|\\{1,8}(?P<blank>[nrt])"
)
_OCTET = re.compile(r"%(?:25){0,3}([0-9A-Fa-f]{2})")
_OF_PLAIN = re.compile(
    r"%(?:25){0,3}(?:2[dDeE]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff])"
    r"|\\{1,8}u00(?:2[dDeE]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff])"
    r"|&(?:amp;){0,3}\#(?:0{0,6}(?:4[56]|4[89]|5[0-7]|6[5-9]|[78]\d|9[05789]|1[01]\d|12[012])"
    r"|[xX]0{0,6}(?:2[dDeE]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]));"
)
"""The escape of a character that needs none."""
_DEEPEST = 3
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_.-])(?!ey[A-Za-z0-9_-]*\.)[A-Za-z0-9+/_-]{24,8000}+={0,2}(?![A-Za-z0-9._-])")
_LINE_END = re.compile(r"\r?\n|(?:\\r)?\\n")
_WRAPPED = re.compile(
    rf"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{{60,76}}(?:{_LINE_END.pattern})){{1,400}}[A-Za-z0-9+/]{{1,76}}={{0,2}}"
)
"""Base64 that is broken into lines, as in a mail."""
_RUNS, _SHORTEST_RUN = 50, 24
"""How many runs of base64 of one text are looked into, and of how many characters one is at least."""


@lru_cache(maxsize=2)
def words_of(text: str) -> list[str]:
    """What stands between blanks in a text, in lower case. Kept, because a text is looked at several times in a row."""
    return text.lower().split()


def escapes_plain_characters(text: str) -> bool:
    """A letter, a digit, `-`, `.` or `_` is written as an escape."""
    return ("%" in text or "\\u" in text or "&" in text) and _OF_PLAIN.search(text) is not None


class View:
    """A text decoded, of all escapes of URLs, JSON and HTML, up to three ways deep."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps: list[_Step] = []
        for _ in range(_DEEPEST):
            step = _Step(self.text)
            if not step.starts:
                break
            self._steps.append(step)
            self.text = step.text

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of `text` stands in the text as it was written."""
        for step in reversed(self._steps):
            start, end = step.span(start, end)
        return start, end


class _Step:
    """One decoding."""

    def __init__(self, text: str) -> None:
        pieces: list[str] = []
        self.starts: list[int] = []
        """Where each decoded escape stands in the decoded text, and where it stood before."""
        self.spans: list[tuple[int, int, int]] = []
        at = end = 0
        for match in _ESCAPE.finditer(text):
            for start, stop, decoded in _decoded(match):
                pieces += (text[end:start], decoded)
                at += start - end
                self.starts.append(at)
                self.spans.append((start, stop, len(decoded)))
                at += len(decoded)
                end = stop
        pieces.append(text[end:])
        self.text = "".join(pieces)

    def span(self, start: int, end: int) -> tuple[int, int]:
        return self._before(start), self._before(end - 1, after=True)

    def _before(self, at: int, *, after: bool = False) -> int:
        """Where the character at this place began, or ended, before it was decoded."""
        number = bisect_right(self.starts, at) - 1
        if number < 0:
            return at + after
        start, stop, length = self.spans[number]
        beyond = at - self.starts[number] - length
        if beyond >= 0:
            return stop + beyond + after
        return stop if after else start


def _decoded(match: re.Match[str]) -> list[tuple[int, int, str]]:
    """Start, end and meaning of every character in one match."""
    if match["octets"]:
        return _of_octets(match)
    if match["hex"]:
        unit = match["hex"] + (match["low"] or "")
        text = bytes.fromhex(unit).decode("utf-16-be", "replace")
    elif match["bare"]:
        text = match["bare"]
    elif match["blank"]:
        text = "\n"
    elif match["entity"]:
        text = html5.get(match["entity"] + ";", "")
    else:
        code = int(match["decimal"]) if match["decimal"] else int(match["hexadecimal"], 16)
        text = chr(code) if code < 0x110000 else ""
    return [(match.start(), match.end(), text)] if text else []


def _of_octets(match: re.Match[str]) -> list[tuple[int, int, str]]:
    found = []
    octets = [(one.start(), one.end(), int(one[1], 16)) for one in _OCTET.finditer(match[0])]
    at = 0
    while at < len(octets):
        first = octets[at][2]
        length = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        part = octets[at : at + length]
        text = bytes(octet for _, _, octet in part).decode("utf-8", "replace")
        found.append((match.start() + part[0][0], match.start() + part[-1][1], text))
        at += length
    return found


def base64_runs(text: str) -> Iterator[tuple[str, str]]:
    """Each run of base64 in a text, as it is written, and the text that it stands for."""
    longest = max(map(len, words_of(text)), default=0)
    for pattern in (_WRAPPED, _BASE64) if longest >= _SHORTEST_RUN else ():
        for run in islice(pattern.finditer(text), _RUNS):
            if (hidden := _from_base64("".join(_LINE_END.split(run[0])))) is not None:
                yield run[0], hidden


def _from_base64(run: str) -> str | None:
    """The text that a run of base64 or base64url stands for, None when it is none."""
    plain = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    if len(plain) % 4 == 1:
        return None
    try:
        text = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        return None
    return text if text.isprintable() or not re.search(r"[^\s\x20-\x7e]", text) else None
