"""The messages of a log: what stands around them taken off, the lines that belong together joined."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oauthtap.formats.builder import seconds
from oauthtap.formats.logs.builder import object_in

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LEFT, _RIGHT = re.compile(r"[│┃║|]\s?"), ("│", "┃", "║")
"""The sides of the box that a terminal client draws around its messages."""
_STAMP = re.compile(r"^\s*\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)\]?")
_STAMPED = re.compile(r".{0,30}\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_JSON_LINE = re.compile(r"^[\d\sTZ:.,+\[\]-]*(\{.*\})\s*$")
LISTED = re.compile(r'^\{"result":\s*\{"(?:tools|resources|prompts|protocolVersion)"')
"""MCP Inspector's command line: what was asked for came."""


def has_times(text: str) -> bool:
    """Some line of it has a time in front: it was cut out of a log."""
    return any(map(_STAMPED.match, text.splitlines()))


def messages(text: str) -> Iterator[tuple[float | None, str]]:
    """Every message with the stack or the answer below it."""
    block: list[str] = []
    at: float | None = None
    for raw in text.splitlines():
        line = _unframed(_ANSI.sub("", raw))
        stamp = _STAMP.match(line)
        if told := _of_json(line):
            line = told
        goes_on = (
            bool(block) and not stamp and not LISTED.match(line) and (line[:1] in (" ", "\t", "}", "{") or not line)
        )
        if not goes_on and block:
            yield at, "\n".join(block)
            block = []
        if stamp:
            at = seconds(stamp[1])
        if line or block:
            block.append(line)
    if block:
        yield at, "\n".join(block)


def _unframed(line: str) -> str:
    """The line without the sides of a box. A line of blanks alone takes no longer than another."""
    line = line.rstrip()
    if line.endswith(_RIGHT):
        line = line[:-1].rstrip()
    left = _LEFT.match(line)
    return line[left.end() :] if left else line


def _of_json(line: str) -> str | None:
    """The message in a line that is a JSON object, perhaps behind a time, with its stack; None for other lines."""
    found = _JSON_LINE.match(line)
    if found is None or ('"message"' not in line and '"msg"' not in line):
        return None
    value = object_in(found[1])
    if "jsonrpc" in value:
        return None  # what the MCP server answered, and no client's words about a step
    if isinstance(refusal := value.get("error"), dict):
        return f"{refusal.get('message')}" if refusal.get("status") else f"■  {refusal.get('message')}"
    fields = value.get("fields")  # Rust's `tracing`
    said = value.get("message") or value.get("msg") or (fields.get("message") if isinstance(fields, dict) else None)
    if isinstance(said, str) and isinstance(code := value.get("code"), int) and 400 <= code <= 599:
        said = f"{said}\n  code: {code}"  # as Node prints the error's member
    cause = value.get("error") or value.get("err")
    said = f"{said}: {cause}" if isinstance(said, str) and isinstance(cause, str) and cause not in said else said
    stack = value.get("stack")
    return f"{said}\n{stack}" if isinstance(stack, str) and stack else said if isinstance(said, str) else None
