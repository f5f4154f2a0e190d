"""Looks for secrets that were left behind, in exchanges and in any text. Does no I/O and quotes no secret.

Three ways, and each catches what another misses: by *place* (whatever the redactor would still
strike out of an exchange), by *shape* (what looks like a credential wherever it stands), and by
*value* (a secret found in one file is looked for in all of them, in every spelling).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote_plus

from oauthtap.redaction import credentials, places
from oauthtap.redaction.aliases import is_struck, jose_header, mentions
from oauthtap.redaction.known import Known
from oauthtap.redaction.ledger import Ledger
from oauthtap.redaction.redact import Redactor
from oauthtap.wire import Exchange, Message, Request, Response

_READABLE = re.compile(
    r"(?:signed_metadata|client_id|state|nonce|software_statement|request)\\{0,8}[\"']\s*:\s*\\{0,8}[\"']\Z"
)
"""Before a JWT that is meant to be read."""
_QUOTE = re.compile(r"&(?:#34|#39|#x22|#x27|quot|apos);")
"""JSON in a page has its quotes so."""
_BEARER = re.compile(r"\b(?:Bearer|Basic|DPoP)(?:\s|%20|\+){1,3}(?P<value>[A-Za-z0-9._~+/=-]{16,})", re.IGNORECASE)
_HEADER = re.compile(
    r"\b(?P<name>(?:proxy-)?authorization|(?:set-)?cookie|dpop|[a-z-]*(?:api-key|(?:auth|access|[cx]srf)-token))"
    r"(?:\\{0,8}[\"']?\s*:\s*\\{0,8}[\"']?|\\{0,8}[\"']\s*,\s*\\{0,8}[\"'])(?P<value>[^\"'\\\r\n]{8,})",
    re.IGNORECASE,
)
"""A header as it stands in a log, a curl command, or a list of names and values."""


@dataclass(frozen=True)
class Leak:
    """Something that should not be there, without saying it."""

    place: str
    what: str
    """Kind and length."""


@dataclass
class Search:
    """Remembers what it found, so that it can be looked for elsewhere. Feed it everything, then ask `by_value`."""

    claims: bool = False
    """Persons are looked for too: the session was made with `--redact claims`."""
    examples: Sequence[str] = ()
    """Texts that a report may quote, and whose made-up secrets are none: the pages of rules."""
    _known: Known = field(default_factory=Known)

    def in_exchange(self, exchange: Exchange) -> Iterator[Leak]:
        """By place: every part of an exchange that the redactor would still change."""
        redactor = Redactor(claims=self.claims)
        struck = redactor.strike(exchange)
        self._learn(redactor)
        if struck is not exchange:
            yield from _differences(exchange, struck)
        if exchange.error:
            for leak in self.in_text(exchange.error):
                yield Leak("error", leak.what)

    def in_value(self, name: str, value: str, *, cookie: bool = False) -> Iterator[Leak]:
        """By place: a value whose name is known, as HAR lists headers, parameters and cookies."""
        if not value or not name or is_struck(value):
            return
        header = ("cookie", f"{name}={value}") if cookie else (name, value)
        url = f"https://upstream.invalid/?{quote_plus(name)}={quote_plus(value)}"
        redactor = Redactor()
        request = Request(method="GET", url="https://upstream.invalid/" if cookie else url, headers=(header,))
        if redactor.strike(Exchange(request=request)).request != request:
            self._learn(redactor)
            yield Leak(name, f"a secret of {len(value)} characters")

    def in_text(self, text: str, *, by_place: bool = True) -> Iterator[Leak]:
        """By shape, line by line; `by_place`: also members, parameters and form fields of secret names."""
        for number, line in enumerate(text.split("\n"), 1):
            kinds = dict.fromkeys([*self._shapes(line), *(self._places(line) if by_place else ())])
            if not kinds and by_place and _QUOTE.search(line):
                line = html.unescape(line)
                kinds = dict.fromkeys([*self._shapes(line), *self._places(line)])
            yield from (Leak(f"line {number}", what) for what in kinds)

    def by_value(self, text: str) -> Iterator[Leak]:
        """Every secret found so far, as it is or encoded. Meant for a second look at every file."""
        needles = self._known.within(text)
        for number, line in enumerate(text.split("\n") if needles else (), 1):
            if self._known.strike(line, needles) != line:
                yield Leak(f"line {number}", "a secret found elsewhere in this session, as it is or encoded")

    def _learn(self, redactor: Redactor) -> None:
        for secret in redactor.secrets:
            self._known.add(secret, "‹secret 1›")

    def _shapes(self, line: str) -> Iterator[str]:
        if "ey" in line:
            for match in places.JWT.finditer(line):
                value = match["value"]
                if value and jose_header(value) and not self._is_readable(line[: match.start()], value):
                    self._known.add(value, "‹token 1›")
                    yield f"a JWT of {len(value)} characters"
        for match in _BEARER.finditer(line):
            if places.looks_random(match["value"]) and not self._is_example(match["value"]):
                self._known.add(match["value"], "‹token 1›")
                yield f"credentials of {len(match['value'])} characters"
        for match in _HEADER.finditer(line):
            ledger = Ledger(str)
            value = match["value"].strip()
            if " " not in value or "=" in value or credentials.names_a_scheme(value):
                struck = credentials.strike(match["name"].lower(), value, ledger, client_login=False)
                random = any(places.looks_random(secret) for secret in ledger.known.secrets)
                if struck not in (None, value) and random and not self._is_example(value):
                    for secret in ledger.known.secrets:
                        self._known.add(secret, "‹secret 1›")
                    yield f"the value of {match['name']}, {len(value)} characters"

    def _places(self, line: str) -> Iterator[str]:
        redactor = Redactor()
        struck = _struck(line, redactor)
        if struck != line:
            rest = self._without_examples(line)
            if rest == line or _struck(rest, Redactor()) != rest:
                self._learn(redactor)
                yield _what(line, struck)

    def _without_examples(self, line: str) -> str:
        """A line of JSON without the example texts that stand in it."""
        for text in self._examples_in_json:
            line = line.replace(text, "")
        return line

    def _is_readable(self, before: str, value: str) -> bool:
        return bool(_READABLE.search(before[-60:])) or self._is_example(value)

    def _is_example(self, value: str) -> bool:
        return any(value in text for text in self.examples)

    @cached_property
    def _examples_in_json(self) -> tuple[str, ...]:
        shown = (json.dumps(text.strip(), ensure_ascii=False)[1:-1] for text in self.examples if text.strip())
        return tuple(sorted(shown, key=len, reverse=True))  # one may be the beginning of another


def named_values(document: Any, place: str = "", *, cookie: bool = False) -> Iterator[tuple[str, str, str, bool]]:
    """Place, name and value of every `{"name": …, "value": …}` in a JSON document, and whether it is a cookie."""
    if isinstance(document, list):
        for number, inner in enumerate(document):
            yield from named_values(inner, f"{place}[{number}]", cookie=cookie)
    elif isinstance(document, dict):
        name, value = document.get("name"), document.get("value")
        if isinstance(name, str) and isinstance(value, str):
            yield place, name, value, cookie
        for key, inner in document.items():
            yield from named_values(inner, f"{place}.{key}".lstrip("."), cookie=key == "cookies")


def _struck(line: str, redactor: Redactor) -> str:
    seen = Exchange(request=Request(method="GET", url="x:"), response=Response(status=200, body=line))
    response = redactor.strike(seen).response
    return (response.body if response else None) or ""


def _differences(before: Exchange, after: Exchange) -> Iterator[Leak]:
    pairs: list[tuple[str, Message | None, Message | None]] = [
        ("request", before.request, after.request),
        ("response", before.response, after.response),
        ("shown", before.shown, after.shown),
        ("sent", before.sent, after.sent),
    ]
    for side, sent, now in (("request", before.request, after.request), ("sent", before.sent, after.sent)):
        if sent and now and sent.url != now.url:
            yield Leak(f"{side}.url", _what(sent.url, now.url))
    for name, was, is_now in pairs:
        if was is None or is_now is None:
            continue
        for line, struck in zip(was.headers, is_now.headers, strict=True):
            if line != struck:
                yield Leak(f"{name}.header.{line[0].lower()}", _what(line[1], struck[1]))
        if was.body != is_now.body:
            yield Leak(f"{name}.body", _what(was.body or "", is_now.body or ""))


def _what(before: str, after: str) -> str:
    """The kinds of the aliases that stand in the second text and not in the first."""
    old = mentions(before)
    kinds = dict.fromkeys(kind for kind, number in mentions(after) if (kind, number) not in old)
    return f"{' and '.join(kinds) or 'a secret'} in the clear"
