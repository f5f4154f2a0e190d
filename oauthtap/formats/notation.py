"""Exchanges written by hand: what rule examples, tests and bug reports are written in.

    GET https://mcp.example.com/.well-known/oauth-protected-resource
    Accept: application/json

    200 application/json {"resource": "https://mcp.example.com/mcp"}

One line for the request, one for the answer (a status, or `-` for none, then
perhaps the words of an error), header lines below either, and a body at the end of
its first line or, indented by two blanks, on the lines below the headers. A body
that starts with `{` or `[` is JSON when no Content-Type says otherwise, one that
looks like `name=value` a form, one that starts with `<` HTML. A line `@browser`
names another actor for the exchange below it, `@+60` lets a minute pass, and `...`
stands for a body nobody has seen. Lines that start with `#` are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import get_args

from oauthtap.model.exchange import Actor, Exchange, Pairs, Request, Response

_REQUEST = re.compile(r"(?P<method>[A-Z]{3,7}) (?P<url>[a-z][a-z0-9+.-]*:\S+)(?: (?P<body>.+))?$")
_RESPONSE = re.compile(r"(?P<status>\d{3}|-)(?: (?P<type>[a-z]+/[a-z0-9.+-]+)(?=\s|$))?(?: (?P<body>.+))?$")
_HEADER = re.compile(r"(?P<name>[A-Za-z0-9-]+):\s?(?P<value>.*)$")
_FORM = re.compile(r"[\w.~%-]+=[^\s{<]*$")
UNSEEN = "..."
START = 1767225600.0
"""Exchanges without a clock begin at 2026-01-01T00:00:00Z, one second apart."""


class NotationError(ValueError):
    """A line that is neither request, answer, header nor body."""


@dataclass
class _Draft:
    line: re.Match[str]
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: list[str] = field(default_factory=list)

    def text(self) -> str | None:
        body = "\n".join(filter(None, [self.line["body"] or "", *self.body]))
        return None if body == UNSEEN else body

    def all_headers(self, media_type: str | None = None) -> Pairs:
        body = self.text() or ""
        guess = media_type or _media_type(body)
        if not guess or any(name.lower() == "content-type" for name, _ in self.headers):
            return tuple(self.headers)
        return (("Content-Type", guess), *self.headers)


def parse(text: str, start: float = START) -> Iterator[Exchange]:
    """The exchanges of a text in this notation, numbered from 1, in order.

    Raises NotationError with the number of the line that cannot be read.
    """
    clock, number, actor = start, 0, "client"
    request: _Draft | None = None
    response: _Draft | None = None

    def finished() -> Exchange:
        assert request is not None
        line = response.line if response else None
        answered = line is not None and line["status"] != "-"
        return Exchange(
            id=number,
            started_at=clock,
            duration=0.05,
            actor=actor,  # type: ignore[arg-type]  # checked where it is set
            request=Request(
                method=request.line["method"],
                url=request.line["url"],
                headers=request.all_headers(),
                body=request.text(),
            ),
            response=Response(
                status=int(line["status"]), headers=response.all_headers(line["type"]), body=response.text()
            )
            if answered and response and line
            else None,
            error=(response.text() or "no answer") if response and not answered else None,
        )

    next_actor, pause = "client", 0.0
    for place, raw in enumerate(text.splitlines(), 1):
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            word = line[1:].strip()
            if word.startswith("+"):
                pause += float(word[1:])
            elif word in get_args(Actor):
                next_actor = word
            else:
                raise NotationError(f"line {place}: unknown actor {word!r}; expected {', '.join(get_args(Actor))}")
        elif match := _REQUEST.match(line):
            if request:
                yield finished()
                clock += 1
            number += 1
            clock += pause
            actor, next_actor, pause = next_actor, "client", 0.0
            request, response = _Draft(match), None
        elif request and not response and (match := _RESPONSE.match(line)):
            response = _Draft(match)
        elif request and (match := _HEADER.match(line)):
            (response or request).headers.append((match["name"], match["value"]))
        elif request and line.startswith("  "):
            (response or request).body.append(line.strip())
        else:
            raise NotationError(f"line {place}: neither request, answer, header nor body: {line[:80]!r}")
    if request:
        yield finished()


def _media_type(body: str) -> str | None:
    if body[:1] in ("{", "["):
        return "application/json"
    if body[:1] == "<":
        return "text/html"
    if body.startswith(("event:", "data:")):
        return "text/event-stream"
    return "application/x-www-form-urlencoded" if _FORM.match(body) else None
