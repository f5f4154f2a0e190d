"""The line of a message that a finding is about, and where in it the value stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from oauthtap.diagnosis.findings import Finding
from oauthtap.model import json_edit
from oauthtap.model.exchange import Exchange, Message
from oauthtap.model.json_edit import JsonSpan
from oauthtap.model.sanitize import escape_controls
from oauthtap.redaction.alias_format import ALIAS, claims
from oauthtap.render.display import LABEL, PLAIN, Display, cut
from oauthtap.render.marks import mark

_PART = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")
_NAMED = re.compile(r"`(\w+)`")
_TOKENS = {("json", "access_token"), ("header", "authorization")}
_LONGEST = 400


@dataclass(frozen=True)
class Excerpt:
    """One line out of a request or answer. Upstream text in it is made plain."""

    exchange: int
    method: str
    url: str
    line: str
    start: int
    end: int
    """What is to be underlined; nothing where they are equal: the member is missing."""


def excerpt(finding: Finding, exchanges: Sequence[Exchange], width: int) -> Excerpt | None:
    """The line at `finding.at`, at most `width` characters of it; None where it cannot be shown.

    Of a list only the item that is meant is shown, of a long header the part around it.
    """
    exchange = next((one for one in exchanges if one.id == finding.exchange), None)
    if exchange is None:
        return None
    found = _claim(finding, exchange) or _located(finding.at, exchange, finding.actual)
    if found is None or not found[0]:
        return None
    line, start, end = _narrowed(*found, finding.actual)
    if line[start : start + 1] == "‹" and end - start > width:  # a token: what is wrong is one of its claims
        return None
    line, start, end = _around(line, start, end, width)
    return Excerpt(exchange.id, exchange.request.method, exchange.request.url, line, start, end)


def _narrowed(line: str, start: int, end: int, actual: str | None) -> tuple[str, int, int]:
    """The part of the value that the finding names: without quotation marks, the claim and not the whole token."""
    value = escape_controls(actual, limit=_LONGEST) if actual else ""
    if not value or line.count(value, start, end) != 1:
        return line, start, end
    place = line.index(value, start, end)
    return line, place, place + len(value)


def _claim(finding: Finding, exchange: Exchange) -> tuple[str, int, int] | None:
    """The claim of a token that its rule names in the title, where the finding is about one."""
    side, _, place = finding.at.partition(".")
    message: Message | None = exchange.request if side == "request" else exchange.response
    kind, _, name = place.partition(".")
    if message is None or not finding.actual or (kind, name) not in _TOKENS:
        return None
    text = message.header(name) if kind == "header" else message.body
    alias = ALIAS.search((text or "").replace('\\"', '"'))
    told = (claims(alias[0]) if alias else None) or {}
    for claim in _NAMED.findall(finding.title):
        if finding.actual in str(told.get(claim, "")):
            return _marked(f'{name}: {{ … "{claim}": ', json.dumps(told[claim], ensure_ascii=False), " … }")
    return None


def _located(at: str, exchange: Exchange, actual: str | None) -> tuple[str, int, int] | None:
    side, _, place = at.partition(".")
    kind, _, name = place.partition(".")
    message: Message | None = exchange.request if side == "request" else exchange.response
    if message is None:
        return None
    if kind == "json" and message.body:
        return _json(message.body, name)
    if kind == "header":
        return _header(message, name)
    if kind in ("form", "query") and name:
        pairs = message.form if kind == "form" else exchange.request.query
        sent = [value for key, value in pairs if key == name]
        if actual in sent or len(sent) == 1:
            return _marked(f"{name}=", actual if actual in sent and actual is not None else sent[0])
        return _marked("", "&".join(f"{name}={value}" for value in sent)) if sent else None
    if kind == "status" and exchange.response is not None:
        return _marked("HTTP ", str(exchange.response.status))
    if kind == "body" and message.body and "<" not in message.body[:200]:
        return _marked("", " ".join(message.body.split())[:_LONGEST])
    return None


def _marked(before: str, value: str, after: str = "") -> tuple[str, int, int]:
    """A line of three parts, with the span of the middle one."""
    shown = escape_controls(value, limit=_LONGEST)
    head = escape_controls(before)
    return head + shown + escape_controls(after), len(head), len(head) + len(shown)


def _json(body: str, path: str) -> tuple[str, int, int] | None:
    if not json_edit.is_json(body):
        return None
    wanted = _path(path)
    spans = {span.path: span for span in json_edit.values(body)}
    found, rest = spans.get(wanted), wanted
    while found is None and rest:  # `client_name` of something that is missing: the nearest that is there
        rest = rest[:-1]
        found = spans.get(rest)
    if found is None or not wanted:
        return None
    if rest != wanted:
        return _missing(body, found, wanted[len(rest)])
    value = _text(body, found)
    names = [part for part in wanted if isinstance(part, str)]
    name = f'"{names[-1]}": ' if names else ""
    if isinstance(wanted[-1], int):
        count = sum(len(path) == len(wanted) and path[:-1] == wanted[:-1] for path in spans)
        return _marked(f"{name}[{'… ' if wanted[-1] else ''}", value, f"{' …' if wanted[-1] + 1 < count else ''}]")
    return _marked(name, value)


def _missing(body: str, around: JsonSpan, member: str | int) -> tuple[str, int, int] | None:
    """The beginning of the object that has not got the member."""
    if not isinstance(member, str):
        return None
    return escape_controls(_text(body, around), limit=_LONGEST), 0, 0


def _text(body: str, span: JsonSpan) -> str:
    """A value on one line."""
    raw = body[span.start : span.end]
    return raw if "\n" not in raw else json.dumps(json.loads(raw), ensure_ascii=False)


def _path(text: str) -> tuple[str | int, ...]:
    return tuple(int(number) if number else name for number, name in _PART.findall(text))


def _header(message: Message, name: str) -> tuple[str, int, int] | None:
    """A header line, with the value or the parameter of it that is meant."""
    header, _, part = name.partition(".")
    lines = [(key, value) for key, value in message.headers if key.lower() == header.lower()]
    if not lines:
        return None
    for key, value in lines:
        pattern = rf'(?i)(?<![\w-]){re.escape(part)}\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,&#"]*)'
        if part and (hit := re.search(pattern, value)):
            return _marked(f"{key}: {value[: hit.start(1)]}", hit[1], value[hit.end(1) :])
    key, value = lines[0]
    line = _marked(f"{key}: ", value)
    return (line[0], 0, 0) if part else line


def _around(line: str, start: int, end: int, width: int) -> tuple[str, int, int]:
    """At most `width` characters of a line, those that are meant among them."""
    if len(line) <= width:
        return line, start, end
    name = line.find(": ") + 2 if 0 < line.find(": ") < min(start, 30) else 0
    keep = max(0, min(start - (name + 2), width - name - (end - start) - 6))
    begin = start - keep
    if begin > name + 2:
        line = f"{line[:name]}… {line[begin:]}"
        start, end = start - begin + name + 2, end - begin + name + 2
    if len(line) > width:
        line = f"{line[: width - 1]}…"
    return line, min(start, width), min(end, width)


# --- on a terminal


def underlined(shown: Excerpt, found: Finding, display: Display) -> Iterator[str]:
    """The request, the line, and under what is wrong a few words that say so."""
    pad = " " * LABEL
    number = f"exchange {shown.exchange}"
    url = escape_controls(shown.url.partition("?")[0])
    head = cut(f"{shown.method} {url}", display.width - LABEL - len(number) - 2)
    yield f"{pad}{head}{display.ink('note', number.rjust(display.width - LABEL - cell_len(head)))}"
    yield f"{pad}  {shown.line}"
    if shown.start >= shown.end:
        wanted = f"; expected: {escape_controls(found.expected, limit=200)}" if found.expected else ""
        member = escape_controls(found.at.rpartition(".")[2])
        yield from _beside(" " * (LABEL + 2), "", f"missing: {member}{wanted}", display)
        return
    before = " " * (LABEL + 2 + cell_len(shown.line[: shown.start]))
    under = "─" * cell_len(shown.line[shown.start : shown.end])
    yield from _beside(before, under, mark(found), display)


def _beside(before: str, under: str, words: str, display: Display) -> Iterator[str]:
    """What is underlined, with words beside it, or below it where there is no room."""
    if len(before) + len(under) + 1 + len(words) <= display.width:
        yield f"{before}{display.ink('error', f'{under} {words}'.strip())}"
        return
    if under:
        yield f"{before}{display.ink('error', under)}"
    if len(before) + len(words) <= display.width:
        yield f"{before}{display.ink('error', words)}"
        return
    yield from (display.ink("error", line) for line in replace(display, ink=PLAIN).field("", words, most=2))
