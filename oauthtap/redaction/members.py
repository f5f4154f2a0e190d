"""Members of JSON by their names, in any text: broken off, in lists and objects, numbers, and inside strings of JSON.

Nothing but a value is changed; what is around it stays as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from oauthtap.model.json_edit import unescape_json
from oauthtap.redaction import secret_names, secret_values

_MEMBER = re.compile(
    r'(?P<bar>\\{0,15}+)"(?P<name>[^"\\\r\n]{1,80}+|(?:[^"\\\r\n]|\\u[0-9a-fA-F]{4}){1,80}+)(?P=bar)"\s*+:\s*+'
)
"""The name of a member. In a JSON text that is itself a string of one, backslashes stand before each quote."""
_NAMED = re.compile(
    r'(?P<bar>\\{0,15}+)"(?i:name|key|field|header|param|parameter|variable|label|id|k|path|property|attribute|title)'
    r'(?P=bar)"\s*:\s*(?P=bar)"(?P<name>[^"\\]{1,80}+)(?P=bar)"'
)
_VALUES = "value|values|val|v|data|content|secret|default|(?:current|new)(?:_?value)?|old|raw|text|example"
_VALUE = re.compile(rf'(?P<bar>\\{{0,15}}+)"(?i:{_VALUES})(?P=bar)"\s*:\s*')
"""A name and a value as two members of one object, as HAR and many tools have them."""
_UNQUOTED = re.compile(r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{0,79}+)\s?[:=]\s?(?=[\[{]\s*(?P<bar>\\{0,15}+)\")")
"""An object or a list behind a name, in a text that is no JSON."""
_BRACE = re.compile(r"[{}]")
_AROUND = 600
"""Within how many characters of the name its value stands."""
_NUMBER = re.compile(r"-?\d[\d.]{2,30}(?![\w.])")
_SIGN = re.compile(r'\\{0,15}+"|[\[\]{}]')
_IS_NAME = re.compile(r"\s*:")
_SCHEMA = ("string", "object", "number", "integer", "boolean", "array", "null")
_LARGEST = 20_000
"""How much of a list or object behind the name of a secret is looked at."""
_TELLS_NOTHING = {
    *("id", "clientid", "kid", "iss", "aud", "sub", "scope", "name", "username", "user", "email", "created", "updated"),
    *("timestamp", "date", "path", "domain", "host", "state", "nonce", "jti", "mode", "role", "region", "account"),
}
"""Members of an object behind the name of a secret that are none."""


@dataclass(frozen=True)
class Member:
    """A value, and the name that it stands behind."""

    name: str
    value: str
    """What the string or number says."""
    raw: str
    """The same as it is written."""
    level: int
    """1, or more inside strings of JSON."""


Edit = Callable[[Member], str | None]
"""What to write in place of the value; None to leave it."""


def edited(text: str, edit: Edit) -> str:
    """The text with the values changed that have the name of a secret."""
    pieces: list[str] = []
    end = 0
    for start, stop, new in sorted(_edits(text, edit)):
        if start >= end:
            pieces += (text[end:start], new)
            end = stop
    return "".join([*pieces, text[end:]]) if pieces else text


def _edits(text: str, edit: Edit) -> Iterator[tuple[int, int, str]]:
    end = 0
    for match in _MEMBER.finditer(text):
        name = match["name"] if "\\" not in match["name"] else unescape_json(match["name"])
        if match.end() > end and (kind := secret_names.kind_of(name)) is not None:
            for found in _behind(text, match.end(), len(match["bar"]), name, kind, edit):
                end = found[1]
                yield found
            end = max(end, _open_end(text, match.end()))
    if _VALUE.search(text):
        for match in _NAMED.finditer(text):
            if (kind := secret_names.kind_of(match["name"])) is not None:
                for at, bars in _beside(text, match):
                    yield from _behind(text, at, bars, match["name"], kind, edit)
    end = 0
    for match in _UNQUOTED.finditer(text):
        if match.end() > end and (kind := secret_names.kind_of(match["name"])) is not None:
            yield from _behind(text, match.end(), len(match["bar"]), match["name"], kind, edit)
            end = _open_end(text, match.end())


def _open_end(text: str, at: int) -> int:
    """Up to where a list or object was looked at that nothing closes; 0 for any other value."""
    if text[at : at + 1] in ("{", "[") and text.find("}", at, at + _LARGEST) < 0:
        return at + _LARGEST
    return 0


def _beside(text: str, named: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Where the values begin that stand in the same object as this name, and the backslashes before their quotes."""
    begins = max(text.rfind(sign, max(0, named.start() - _AROUND), named.start()) for sign in "{}")
    depth, stop = 0, min(len(text), named.end() + _AROUND)
    for brace in _BRACE.finditer(text, named.end(), stop):
        depth += 1 if brace[0] == "{" else -1
        if depth < 0:
            stop = brace.start()
            break
    for start, end in ((named.end(), stop), (max(begins, 0), named.start())):
        same = (match for match in _VALUE.finditer(text, start, end) if match["bar"] == named["bar"])
        yield from ((match.end(), len(match["bar"])) for match in islice(same, 3))


def _behind(text: str, at: int, bars: int, name: str, kind: str, edit: Edit) -> Iterator[tuple[int, int, str]]:
    """The edits of one value, whatever it is."""
    level = (bars + 1).bit_length()
    quote = "\\" * bars + '"'
    if text.startswith(quote, at):
        start = at + len(quote)
        stop = _end_of_string(text, start, bars)
        if (new := edit(_member(name, text[start:stop], level))) is not None:
            yield start, stop, new
    elif text[at : at + 1] in ("[", "{"):
        for start, stop, key in _strings(text, at, bars):
            member = _member(name if key is None else key, text[start:stop], level)
            if key is not None and not _may_be(key, member.value):
                continue
            if key is None or secret_names.kind_of(key) is not None:
                new = edit(member)
            else:
                new = (
                    edit(Member(name, member.value, member.raw, level))
                    if secret_values.is_telling(member.value)
                    else None
                )
            if new is not None:
                yield start, stop, new
    elif (number := _NUMBER.match(text, at)) and _is_secret_number(name, kind, number[0]):
        new = edit(Member(name, number[0], number[0], level))
        if new is not None and new != number[0]:
            yield at, number.end(), f"{quote}{new}{quote}"


def _member(name: str, raw: str, level: int) -> Member:
    value = raw
    for _ in range(level):
        value = unescape_json(value) if "\\" in value else value
    return Member(name, value, raw, level)


def _may_be(key: str, value: str) -> bool:
    """Behind a name that says something else, a value is what that name says."""
    plain = re.sub(r"[^a-z]", "", key.lower())
    return plain not in _TELLS_NOTHING and not secret_names.is_about(key)


def _is_secret_number(name: str, kind: str, number: str) -> bool:
    digits = len(number.lstrip("-"))
    if name.lower().endswith("s") or number.startswith("-") or kind in ("code", "session", "signature"):
        return kind == "password" and digits >= 4 and not number.startswith("-")
    return digits >= (4 if kind == "password" else 6)


def _end_of_string(text: str, start: int, bars: int) -> int:
    """Where a string ends: at a quote with no more backslashes before it than there are before its name's."""
    at = start
    while True:
        quote = text.find('"', at)
        if quote < 0:
            return len(text.rstrip("\\"))
        slashes = 0
        while slashes <= quote - start - 1 and text[quote - slashes - 1] == "\\":
            slashes += 1
        if bars == 0 and slashes % 2 == 0:
            return quote
        if bars and slashes <= bars:
            return quote - slashes
        at = quote + 1


def _strings(text: str, at: int, bars: int) -> Iterator[tuple[int, int, str | None]]:
    """Every string in a list or object, with the name of its member; none of a schema, whose strings are words."""
    found: list[tuple[int, int, str | None]] = []
    depth, key, limit = 0, None, at + _LARGEST
    keys: list[str | None] = []
    while (sign := _SIGN.search(text, at, limit)) is not None:
        at = sign.end()
        if sign[0] in ("[", "{"):
            depth += 1
            keys.append(key)
            key = None if sign[0] == "{" else key
        elif sign[0] in ("]", "}"):
            depth -= 1
            key = None
            if keys:
                keys.pop()
            if depth <= 0:
                break
        else:
            stop = _end_of_string(text, at, bars)
            after = stop + bars + 1
            if (colon := _IS_NAME.match(text, after)) is not None:
                key = text[at:stop]
                if depth == 1 and secret_values.is_random_name(key):
                    found.append((at, stop, None))
                at = colon.end()
            else:
                if key in ("type", "$ref") and text[at:stop] in _SCHEMA:
                    return
                found.append((at, stop, key))
                at = after
    yield from found
