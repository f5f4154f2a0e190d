"""Secrets named in a sentence, a table, a list of options: a name, then a few words or signs, then the value.

Between the two stands no `=` or `:` that would say that they belong together, so the value has to look like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from oauthtap.redaction import secret_locations

_HINT = (
    r"(?i:token|secret|passwd|password|passphrase|passcode|pwd|key|cookie|credential|jwt|otp|session|assertion|signature"
    r"|code|pass|identified by|csrf|hmac)"
)
_WORDS = (
    r"(?:is|was|were|be|set|to|has|provided|given|supplied|received|sent|used|value|values|equals|string|some|with|the|"
    r"your|new|old|current|data|literal|default|got|rejected|refused|mismatch|expected|found|actual|but|wrong|invalid|unknown|"
    r"b|u|r)\b"
)
_GAP = (
    r"(?:<[A-Za-z][^<>]{0,120}?\b(?:value|content|data-[\w-]{1,30})\s*=\s*[\"']?"
    r"|</?(?![^\s<>]*\d[^\s<>]*\d)[A-Za-z][^<>]{0,120}>|\\+(?:[nrt\"'`/]|u[0-9a-fA-F]{4})"
    r"|&(?:quot|apos|lt|gt|amp|nbsp|#\d{2,3});|string\(\d+\)|&\w{1,20}(?=\s)|![A-Za-z]{1,20}(?=\s)"
    rf"|(?i:{_WORDS})"
    r"|(?:[\s\"'`*:=|,()\[\]>{}–—→“”«»‘’-]|<(?!/?[A-Za-z])|<(?=[^\s<>]*\d[^\s<>]*\d))++){1,10}+"
)
_NAMED = re.compile(
    rf"{_HINT}(?P<rest>[A-Za-z_]{{0,12}}+)(?P<gap>{_GAP})(?P<value>[A-Za-z0-9][^\s\"'`<>()\[\]{{}}|,;\\‹›]{{9,800}}+)"
)
_REVERSED = re.compile(
    r"\bvalue:[ \t]*[\"']?(?P<value>[^\s\"'\\‹›]{8,4000}+)[\"']?(?:\s|\\n){1,40}+"
    r"(?:name|key):[ \t]*[\"']?(?P<name>[\w.-]{1,80})"
)
"""In YAML, where the value stands first."""
_NAME_BEGINS = re.compile(r"[\w.$@-]{0,60}\Z")
_CODE_OF = re.compile(
    r"(?:authori[sz]ation|auth|oauth|device|user|access|verification|recovery|backup|one-time|invite|security)[ _-]?\Z",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # names a tenant, a session, a request
    r"|\d{4}-\d\d-\d\d.*|[\d.:/TZ+-]+|[\w.+-]+@[\w.-]+|[a-z][a-z0-9+.-]*://.*|[A-Za-z]+-?\d{1,4}"
    r"|(?:RS|ES|PS|HS|SHA-?)\d{3}\b.*|v?\d+(?:\.\d+)+.*|[\w-]+(?:\.[\w-]+)*\.(?:com|net|org|io|dev|ai|test|example|local)\b.*",
    re.IGNORECASE,
)


def named(text: str) -> Iterator[tuple[int, int, str, str]]:
    """Start and end of every value that a name stands before, the name, and the kind of its alias; in no order."""
    for other in _REVERSED.finditer(text):
        if (kind := secret_locations.kind_of(other["name"])) is not None and is_disordered(other["value"]):
            yield other.start("value"), other.end("value"), other["name"], kind
    at = 0
    while (match := _NAMED.search(text, at)) is not None:
        value = match["value"].rstrip(".:!?*")
        begins = _NAME_BEGINS.search(text, max(0, match.start() - 60), match.start())
        name = (begins[0] if begins else "") + text[match.start() : match.end("rest")]
        kind = _kind(name.strip(".-"), text, match.start() - len(begins[0] if begins else ""))
        at = match.end("rest")
        if kind is not None and is_disordered(value):
            at = match.start("value") + len(value)
            yield match.start("value"), at, name, kind


def _kind(name: str, text: str, begins: int) -> str | None:
    if name.lower() == "identified by":
        return "password"
    kind = secret_locations.kind_of(name)
    if kind == "code" and name.lower() in ("code", "codes") and not _CODE_OF.search(text, max(0, begins - 16), begins):
        return None
    return kind


def is_disordered(value: str) -> bool:
    """Letters and digits in no order: no word, number, date, UUID, address or name of an algorithm."""
    if len(value) < 10 or _NO_SECRET.fullmatch(value):
        return False
    turns = len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", value))
    digits = len(re.findall(r"\d", value))
    return digits >= 2 and turns >= (1 if len(value) >= 14 else 2)


def in_columns(text: str) -> Iterator[tuple[int, int, str, str]]:
    """The same for a table of comma-separated values, whose first line has the names."""
    first, _, _ = text.partition("\n")
    sign = max(",;\t", key=first.count)
    names = [cell.strip('" \r') for cell in first.split(sign)]
    kinds = [(name, secret_locations.kind_of(name)) for name in names]
    if not any(kind for _, kind in kinds):
        return
    at = len(first) + 1
    for line in text[at:].split("\n"):
        start = at
        for (name, kind), cell in zip(kinds, line.split(sign), strict=False):
            value = cell.strip('" \r')
            if kind is not None and secret_locations.is_telling(value):
                begins = start + cell.index(value)
                yield begins, begins + len(value), name, kind
            start += len(cell) + 1
        at += len(line) + 1
