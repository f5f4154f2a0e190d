"""One message as lines, each with the places a finding may name, and the findings put below the line they are about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from oauthtap.diagnosis.findings import Finding
from oauthtap.model.exchange import Message, Request, Response
from oauthtap.redaction.alias_format import ALIAS, claims, jose_header
from oauthtap.render.html.tags import Child, external_link, tag, words
from oauthtap.render.labels import MARK

_LONGEST = 30_000
_TIMES = {"exp", "iat", "nbf", "auth_time", "client_secret_expires_at", "client_id_issued_at"}
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


# --- with what is to be said about it


def sheet(lines: Sequence[Line], findings: Iterable[Finding], changed: frozenset[str] = frozenset()) -> Markup:
    """The lines, each with its findings and decoded tokens below it. `changed`: texts of lines that a patch touched."""
    about: dict[int, list[Finding]] = {}
    for finding in findings:
        about.setdefault(_line_of(finding.at, lines), []).append(finding)
    pieces: list[Child] = []
    quiet: list[str] = []
    for number, line in enumerate(lines):
        notes = [*_tokens(line.value), *(note(finding) for finding in about.get(number, ()))]
        if not notes and line.text not in changed:
            quiet.append(line.text)
            continue
        pieces += _flushed(quiet)
        kind = "patched" if line.text in changed else f"hit {_worst(about[number])}" if number in about else "line"
        pieces += [tag("pre", line.text or " ", class_=kind), *notes]
    return tag("div", *pieces, *_flushed(quiet), class_="sheet")


def _flushed(quiet: list[str]) -> list[Child]:
    """The lines nobody has anything to say about, as one text: thousands of elements would make the page slow."""
    text = "\n".join(quiet).rstrip("\n")
    quiet.clear()
    first = "\n" if text.startswith("\n") else ""  # a parser takes the first line end of a `pre` away
    return [tag("pre", first + text)] if text else []


def _line_of(at: str, lines: Sequence[Line]) -> int:
    """The line of that place, else of the nearest one around it, else the first."""
    while at:
        for number, line in enumerate(lines):
            if at in line.places:
                return number
        at = _LAST_STEP.sub("", at) if _LAST_STEP.search(at) else ""
    return 0


def _worst(findings: Sequence[Finding]) -> str:
    found = {finding.severity for finding in findings}
    return next(severity for severity in MARK if severity in found)


def note(finding: Finding) -> Markup:
    """One finding: what is wrong, what was expected, what to change, where that stands."""
    rows = [("expected", finding.expected), ("actual", finding.actual), ("follows from", finding.consequence_of)]
    return tag(
        "div",
        tag("p", tag("b", f"{MARK[finding.severity]} {finding.severity}"), " ", words(finding.message)),
        [tag("p", f"{name}: ", tag("code", value)) for name, value in rows if value is not None],
        tag("p", "The client did not meet it: fixes were at work.") if finding.cured_by else None,
        tag("p", "Change: ", words(finding.fix)) if finding.fix else None,
        tag("p", tag("code", finding.rule), " · ", tag("code", finding.at), " · ",
            external_link(finding.source_url, f"{finding.source} ({finding.level})"), class_="fine"),
        class_=f"note {finding.severity}",
    )  # fmt: skip


def _tokens(value: str) -> Iterator[Markup]:
    """The decoded header and claims of every token in a value, from its alias or, where it is public, from itself."""
    texts = [match[0] for match in ALIAS.finditer(value) if match["jwt"]] or [value]
    for text in texts:
        header = jose_header(text)
        if header is None:
            continue
        payload = claims(text)
        shown = [tag("p", "header"), tag("pre", _pretty(header))]
        if payload is not None:
            shown += [tag("p", "claims, unverified"), tag("pre", _pretty(payload))]
        yield tag("details", tag("summary", "decoded token"), *shown, class_="token")


def _pretty(members: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {_readable(name, value)}" for name, value in members.items())


def _readable(name: str, value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if name in _TIMES and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return f"{shown} ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
        except (ValueError, OverflowError, OSError):
            return shown
    return shown


def differing(before: Sequence[Line], after: Sequence[Line]) -> tuple[frozenset[str], frozenset[str]]:
    """The texts that only the first has, and those that only the second has."""
    old, new = {line.text for line in before}, {line.text for line in after}
    return frozenset(old - new), frozenset(new - old)
