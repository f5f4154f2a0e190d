"""Changes strings inside a JSON text and leaves every other byte of it alone.

Parsing and writing again would tidy up what a server wrote (blanks, escapes, double
members), and then the client would read another document than without us.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Path = tuple[str | int, ...]
"""Where a value stands: `("authorization_servers", 0)`."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.S)
_DEEPEST = 200


@dataclass(frozen=True)
class JsonSpan:
    """One value in the text, and the span of the text it takes up."""

    path: Path
    start: int
    end: int
    text: str | None
    """What the string says; None for every other kind of value."""
    member_start: int
    """Where the member's name begins; the same as `start` for an item of a list."""


def edit_strings(
    text: str,
    to: Callable[[Path, str], str],
    *,
    drop: Callable[[Path], bool] = lambda path: False,
) -> str:
    """The text with `to(path, string)` in place of every string, and without the members that `drop` names.

    A text that is no JSON comes back as it is.
    """
    if not is_json(text):
        return text
    edits: list[tuple[int, int, str]] = []
    for value in values(text):
        if edits and value.start < edits[-1][1]:  # inside a member that goes
            continue
        if drop(value.path):
            edits.append((*_with_comma(text, value), ""))
        elif value.text is not None and (new := to(value.path, value.text)) != value.text:
            edits.append((value.start, value.end, _as_written(new, text[value.start : value.end])))
    for start, end, new in reversed(edits):
        text = text[:start] + new + text[end:]
    return text


def is_json(text: str) -> bool:
    """The text is JSON, and not so deep that reading it would be a danger."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def values(text: str) -> Iterator[JsonSpan]:
    """Every value in a text that is JSON, outermost first, in the order of their beginnings."""
    tokens = [(match.start(), match.end()) for match in _TOKEN.finditer(text)]
    yield from _Walk(text, tokens).value((), 0)


class _Walk:
    """Goes through the tokens once. Holds the place; the text is known to be JSON."""

    def __init__(self, text: str, tokens: list[tuple[int, int]]) -> None:
        self.text, self.tokens, self.at = text, tokens, 0

    def value(self, path: Path, member_start: int) -> Iterator[JsonSpan]:
        start, end = self.tokens[self.at]
        opening = self.text[start]
        if opening == '"':
            self.at += 1
            yield JsonSpan(path, start, end, json.loads(self.text[start:end], strict=False), member_start)
        elif opening in "{[" and len(path) < _DEEPEST:
            yield JsonSpan(path, start, self._end_of(self.at), None, member_start)
            yield from self._inside(path, opening == "{")
        else:
            yield JsonSpan(path, start, self._end_of(self.at), None, member_start)
            self.at = self._after(self.at)

    def _inside(self, path: Path, members: bool) -> Iterator[JsonSpan]:
        self.at += 1
        index = 0
        while self._token() not in ("}", "]"):
            begin = self.tokens[self.at][0]
            name: str | int = index
            if members:
                name = json.loads(self._token(), strict=False)
                self.at += 2
            yield from self.value((*path, name), begin)
            index += 1
            if self._token() == ",":
                self.at += 1
        self.at += 1

    def _token(self) -> str:
        start, end = self.tokens[self.at]
        return self.text[start:end]

    def _after(self, at: int) -> int:
        """The first token behind the value that begins with token `at`."""
        depth = 0
        while True:
            opening = self.text[self.tokens[at][0]]
            depth += (opening in "{[") - (opening in "}]")
            at += 1
            if depth == 0:
                return at

    def _end_of(self, at: int) -> int:
        return self.tokens[self._after(at) - 1][1]


def _with_comma(text: str, value: JsonSpan) -> tuple[int, int]:
    """The span of a member with the comma behind it, or else the one before it."""
    after = re.match(r"\s*,\s*", text[value.end :])
    if after:
        return value.member_start, value.end + after.end()
    before = re.search(r",?\s*$", text[: value.member_start])
    return before.start() if before else value.member_start, value.end


def _as_written(new: str, before: str) -> str:
    """A string in the manner of the one it replaces: with `\\/` where that had it."""
    written = json.dumps(new, ensure_ascii=before.isascii())
    return written.replace("/", "\\/") if "\\/" in before else written


def unescape_json(raw: str) -> str:
    """The text that the inside of a JSON string stands for; as it is where the escapes are broken."""
    try:
        value = json.loads(f'"{raw}"', strict=False)
    except ValueError:
        return raw
    return value if isinstance(value, str) else raw
