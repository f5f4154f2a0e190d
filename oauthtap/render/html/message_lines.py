"""A message as lines of text, each with the places that a finding may name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from oauthtap.model.exchange import Message, Request, Response

_LONGEST = 30_000
_LAST_STEP = re.compile(r"(?:\.[^.\[]*|\[\d+\])$")


@dataclass(frozen=True)
class Line:
    """One line of a message as it is shown."""

    text: str
    places: tuple[str, ...] = ()
    value: str = ""
    """The value in the line, unescaped: aliases of tokens are read in it."""


def request_lines(request: Request) -> list[Line]:
    """Start line, query parameters, headers and body of a request."""
    start = Line(f"{request.method} {request.bare_url}", ("request", "request.url", "request.method", "request.query"))
    query = [Line(f"    {name} = {value}", (f"request.query.{name}",), value) for name, value in request.query]
    return [start, *query, *_headers(request, "request"), *_body(request, "request")]


def response_lines(response: Response) -> list[Line]:
    """Status, headers and body of an answer."""
    start = Line(str(response.status), ("response", "response.status"))
    return [start, *_headers(response, "response"), *_body(response, "response")]


def _headers(message: Message, side: str) -> Iterator[Line]:
    for name, value in message.headers:
        yield Line(f"{name}: {value}", (f"{side}.header.{name.lower()}",), value)
    yield Line("", (f"{side}.header",))


def _body(message: Message, side: str) -> Iterator[Line]:
    whole = (f"{side}.body", f"{side}.json", f"{side}.form", f"{side}.event")
    if message.body is None:
        yield Line("(the body was not recorded)", whole)
    elif not message.body:
        yield Line("(no body)", whole)
    elif message.json_value is not None and not isinstance(message.json_value, str | int | float):
        yield from _json(message.json_value, f"{side}.json", "", "", whole)
    elif message.form and message.media_type in ("", "application/x-www-form-urlencoded"):
        yield from (Line(f"{name} = {value}", (f"{side}.form.{name}",), value) for name, value in message.form)
        yield Line("", whole)
    else:
        yield from _text(message.body, whole)
    if message.truncated:
        yield Line("(only a part of the body was kept)")


def _text(body: str, whole: tuple[str, ...]) -> Iterator[Line]:
    shown = body if len(body) <= _LONGEST else f"{body[:_LONGEST]}\n… {len(body) - _LONGEST} more characters"
    first, *rest = shown.split("\n")
    yield Line(first, whole, first)
    yield from (Line(line, (), line) for line in rest)


def _json(value: Any, place: str, before: str, after: str, closing: tuple[str, ...] = ()) -> Iterator[Line]:
    """A JSON value over several lines. A member that is missing is looked for where its parent closes.

    `before`: indent and name; `after`: the comma, if any.
    """
    if not isinstance(value, dict | list) or not value:
        text = value if isinstance(value, str) else ""
        yield Line(f"{before}{json.dumps(value, ensure_ascii=False)}{after}", (place, *closing), text)
        return
    indent = " " * (len(before) - len(before.lstrip(" ")))
    named = isinstance(value, dict)
    yield Line(f"{before}{'{' if named else '['}")
    rows = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for number, (key, inner) in enumerate(rows, 1):
        title = f"{json.dumps(key, ensure_ascii=False)}: " if named else ""
        comma = "," if number < len(rows) else ""
        yield from _json(inner, f"{place}.{key}" if named else f"{place}[{key}]", f"{indent}  {title}", comma)
    yield Line(f"{indent}{'}' if named else ']'}{after}", (place, *closing))


def line_of(at: str, lines: Sequence[Line]) -> int:
    """The number of the line of that place, else of the nearest one around it, else 0."""
    while at:
        for number, line in enumerate(lines):
            if at in line.places:
                return number
        at = _LAST_STEP.sub("", at) if _LAST_STEP.search(at) else ""
    return 0


def differing(before: Sequence[Line], after: Sequence[Line]) -> tuple[frozenset[str], frozenset[str]]:
    """The texts that only the first has, and those that only the second has."""
    old, new = {line.text for line in before}, {line.text for line in after}
    return frozenset(old - new), frozenset(new - old)
