"""Strikes secrets out of exchanges, before anything judges or stores them. Does no I/O.

A secret is learned in its place (`places.py`, `credentials.py`), gets an alias
(`ledger.py`, `aliases.py`), and is then replaced everywhere (`known.py`), in this and in
every later exchange. A struck exchange is left as it is, so a recording can be judged again.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast
from urllib.parse import quote_plus, unquote, unquote_plus

from oauthtap.jsontext import unescaped
from oauthtap.redaction import credentials, persons, places
from oauthtap.redaction.aliases import alias_facts, claims, is_struck, jose_header
from oauthtap.redaction.known import Needle
from oauthtap.redaction.ledger import Ledger
from oauthtap.wire import Exchange, Message, Pairs, Request, Response

__all__ = ["Redactor", "alias_facts", "claims", "jose_header"]

_FORM = re.compile(r"\s*[\w.~%$\[\]-]+=")
_PARAMS_IN_HEADERS = re.compile(r"[?&#;]\w+=|%3[DF]", re.IGNORECASE)

Write = Callable[[str], str]
Line = tuple[str, str]
Body = tuple[bool, str, str]
"""It is of a request, its media type, its text."""
_SETTLED, _BODIES = 4000, 8
"""How many lines and how many bodies are kept in mind."""


def _in_url(alias: str) -> str:
    """An alias as a value of a query or form: decoded once, it is itself again."""
    return quote_plus(alias, safe=":,{}=").replace("%E2%80%B9", "‹").replace("%E2%80%BA", "›")


def _in_name(alias: str) -> str:
    """An alias in the name of a header, where none of its signs may stand."""
    return alias[1:-1].replace(" ", "-")


def _in_json(alias: str) -> str:
    return json.dumps(alias, ensure_ascii=False)[1:-1]


def _short_in_json(alias: str) -> str:
    return _in_json(alias.partition(" {")[0].removesuffix("›") + "›")


class Redactor:
    """Remembers every secret of one session, and strikes them out.

    `claims`: also strike what the claims of tokens say about a person (e-mail, name, sub).
    """

    def __init__(self, *, claims: bool = False) -> None:
        self._persons = claims
        self._ledger = Ledger(self._strike_claims)
        self._known = self._ledger.known
        self._settled: dict[Pairs | Line | str, Any] = {}
        """Header lines, blocks of them, and URLs that were looked at since something was learned, as they are
        struck; and no secret known stands anywhere in them."""
        self._bodies: dict[Body, str] = {}
        """The same for the newest bodies."""
        self._settled_at = 0
        self._fresh: list[str] = []
        """What of the exchange in hand is not settled."""
        self._came: Exchange | None = None
        self._last: Exchange | None = None
        self._last_at = 0

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that is searched for everywhere, in the clear. Only for proving that none is left."""
        return tuple(self._known.secrets)

    def strike(self, exchange: Exchange) -> Exchange:
        """The exchange without its secrets; the same object when it has none."""
        before = (exchange.request, exchange.response, exchange.shown, exchange.sent, exchange.error)
        self._ledger.go_on_after("\n".join(self._unsettled(before)))
        learned, self._fresh = self._ledger.learned, [exchange.error] if exchange.error else []
        request = self._request(exchange.request)
        response, shown = self._response(exchange.response), self._response(exchange.shown)
        sent = self._request(exchange.sent) if exchange.sent else None
        error = exchange.error
        if self._persons:
            request, sent = self._impersonal(request), self._impersonal(sent)
            response, shown = self._impersonal(response), self._impersonal(shown)
            error = persons.strike(error, self._person) if error else error
        # What was learned just now may stand in what has been settled before.
        news = self._ledger.learned != learned
        text = _all_text((request, response, shown, sent, error)) if news else "\n".join(self._fresh)
        needles = self._known.within(text)
        if needles or any(message and message.truncated for message in (request, response, shown)):
            request = self._swept(request, needles)
            response = self._swept(response, needles) if response else None
            shown = self._swept(shown, needles) if shown else None
            sent = self._swept(sent, needles) if sent else None
            error = self._known.strike(error, needles) if error else error
        self._came = self._last = exchange
        messages = (request, response, shown, sent)
        if error != exchange.error or any(new is not old for new, old in zip(messages, before, strict=False)):
            self._last = exchange.with_(request=request, response=response, shown=shown, sent=sent, error=error)
        self._last_at = self._ledger.learned
        return self._last

    @property
    def learned(self) -> int:
        """How much was learned so far."""
        return self._ledger.learned

    def came(self, exchange: Exchange) -> Exchange | None:
        """What this exchange was before it was struck, where it was the last one, and nothing was learned since: no
        secret known now can stand in it. None for any other."""
        return self._came if exchange is self._last and self._last_at == self._ledger.learned else None

    def settled(self, headers: Pairs) -> Pairs | None:
        """These header lines as they are struck, where that was found out since something was learned; else None."""
        return self._settled.get(headers) if self._settled_at == self._ledger.learned else None

    def strike_url(self, url: str) -> str:
        """A URL by itself, as it looks in struck exchanges: one the user typed may hold an API key."""
        return self.sweep(self._url(url))

    def sweep(self, text: str) -> str:
        """Any text without the secrets seen so far, in whatever encoding. Places are not looked at."""
        needles = self._known.within(text)
        return self._known.strike(text, needles) if needles else text

    def sweep_bytes(self, data: bytes) -> bytes:
        """The same for bytes that hold text."""
        text = data.decode("utf-8", "surrogateescape")
        swept = self.sweep(text)
        return data if swept == text else swept.encode("utf-8", "surrogateescape")

    # --- one message

    def _request(self, request: Request) -> Request:
        url = self._settle(request.url, request.url, self._url)
        headers, body = self._headers(request.headers, _is_client_login(request)), self._body(request)
        if (url, body) == (request.url, request.body):
            return request if headers == request.headers else request.with_headers(headers)
        return Request.of(method=request.method, url=url, headers=headers, body=body, truncated=request.truncated,
            left_out=request.left_out, partial=request.partial)  # fmt: skip

    def _response(self, response: Response | None) -> Response | None:
        if response is None:
            return None
        headers, body = self._headers(response.headers, False), self._body(response)
        if body == response.body:
            return response if headers == response.headers else response.with_headers(headers)
        return Response.of(status=response.status, headers=headers, body=body, truncated=response.truncated,
                           partial=response.partial)  # fmt: skip

    # --- what need not be looked at again

    def _unsettled(self, parts: Iterable[Request | Response | str | None]) -> Iterator[str]:
        """Every text of an exchange that is not settled."""
        self._forget()
        for part in parts:
            if isinstance(part, str):
                yield part
            elif part is not None:
                if part.headers not in self._settled:
                    yield from (line[1] for line in part.headers if line not in self._settled)
                yield part.body or ""
                if type(part) is Request and part.url not in self._settled:
                    yield part.url

    def _forget(self) -> None:
        """Something was learned, or much was settled: look at everything anew."""
        if self._settled_at != self._ledger.learned or len(self._settled) > _SETTLED:
            self._settled_at = self._ledger.learned
            self._settled.clear()
            self._bodies.clear()

    def _settle(self, key: Line | str, text: str, strike: Write) -> str:
        """A text as it is struck, looked at only once for as long as nothing is learned."""
        if self._settled_at == (learned := self._ledger.learned) and (known := self._settled.get(key)) is not None:
            return str(known)
        struck = strike(text)
        if self._settled_at == learned == self._ledger.learned and not self._known.within(struck):
            self._settled[key] = struck
        else:
            self._fresh.append(struck)
        return struck

    def _headers(self, headers: Pairs, client_login: bool) -> Pairs:
        """`client_login`: what stands in Authorization is read in another way, and so never settled."""
        settled = self._settled if self._settled_at == self._ledger.learned and not client_login else {}
        if (known := settled.get(headers)) is not None:
            return cast(Pairs, known)
        struck = tuple(settled.get(line) or self._line(line, client_login) for line in headers)
        if all(line in settled for line in headers):
            settled[headers] = struck
        return struck

    def _line(self, line: Line, client_login: bool) -> Line:
        name, value = line
        learned = self._ledger.learned
        struck = self._header(name.lower(), value, client_login)
        struck_line = line if struck == value else (name, struck)
        settles = self._settled_at == learned == self._ledger.learned and not client_login
        text = f"{name}\n{struck}"
        if settles and not self._known.within(text):
            self._settled[line] = struck_line
        else:
            self._fresh.append(text)
        return struck_line

    def _body(self, message: Message) -> str | None:
        text = message.body
        if not text:
            return text
        key = (type(message) is Request, message.media_type, text)
        learned = self._ledger.learned
        if self._settled_at == learned and key in self._bodies:
            return self._bodies[key]
        struck = self._in_body(text, message)
        if self._settled_at == learned == self._ledger.learned and not self._known.within(struck):
            self._bodies[key] = struck
            if len(self._bodies) > _BODIES:
                del self._bodies[next(iter(self._bodies))]
        else:
            self._fresh.append(struck)
        return struck

    def _header(self, name: str, value: str, client_login: bool) -> str:
        if name == "mcp-session-id":
            self._ledger.public.add(value)
            return value
        struck = credentials.strike(name, value, self._ledger, client_login=client_login)
        if struck is not None:
            return struck
        if _PARAMS_IN_HEADERS.search(value):
            return self._url(value) if " " not in value else self._parameters(value)
        return self._jwts(value, str) if "ey" in value else value

    def _in_body(self, body: str, message: Message) -> str:
        if _FORM.match(body) and message.media_type not in ("text/html", "text/event-stream"):
            return self._pairs(body)
        named = places.may_hold_a_name(body)
        if named and "{" in body:
            body = self._members(body, type(message) is Request)
        if named and "<" in body:
            body = self._fields(body)
        if named and "multipart/" in message.media_type:
            body = places.PART.sub(lambda m: m["open"] + self._in_place(m["name"], m["value"], str, m["value"]), body)
        write = html.escape if body.lstrip()[:1] == "<" else _in_json if "{" in body else str
        return self._jwts(self._parameters(body) if named else body, write)

    def _swept[M: Message](self, message: M, needles: list[Needle]) -> M:
        """The message without these secrets, wherever they stand, and without the beginning of one at a cut."""
        members = {name: getattr(message, name) for name in type(message).model_fields}
        members["headers"] = tuple(
            (
                self._known.strike(name, needles, _in_name),
                self._known.strike(value, needles, _in_url if _is_url(value) else str),
            )
            for name, value in message.headers
        )
        body = message.body
        if body:
            body = self._known.strike(body, needles, _in_url if _FORM.match(body) else str)
            if message.truncated and (rest := self._known.cut_off(body)):
                body = body.removesuffix(rest) + "…"
        if isinstance(message, Request):
            members["url"] = self._known.strike(message.url, needles, _in_url)
        struck = type(message)(**{**members, "body": body})
        return message if struck == message else struck

    def _impersonal[M: (Request, Request | None, Response | None)](self, message: M) -> M:
        """The message without what tells who somebody is."""
        if message is None:
            return message
        members = {name: getattr(message, name) for name in type(message).model_fields}
        members["headers"] = tuple((name, persons.strike(value, self._person)) for name, value in message.headers)
        members["body"] = message.body and persons.strike(message.body, self._person)
        if type(message) is Request:
            members["url"] = persons.strike(message.url, self._person)
        return type(message)(**members)

    def _person(self, value: str) -> str:
        return self._ledger.short("person", value)

    # --- one text

    def _url(self, url: str) -> str:
        """A URL: its query and its fragment, and URLs inside these."""
        rest, hash_, fragment = url.partition("#")
        before, question, query = rest.partition("?")
        fragment = self._pairs(fragment) if "=" in fragment else fragment
        return before + question + self._pairs(query) + hash_ + fragment

    def _pairs(self, text: str) -> str:
        pieces = text.split("&")
        # With `plain` the challenge is the verifier itself (RFC 7636, 4.2).
        plain = "code_challenge_method=plain" in pieces
        return "&".join(self._pair(piece, plain) for piece in pieces)

    def _pair(self, piece: str, plain: bool) -> str:
        name, equals, raw = piece.partition("=")
        if not equals or not raw:
            return piece
        name, value = unquote_plus(name), unquote_plus(raw)
        if plain and name == "code_challenge":
            return f"{name}={self._in_place('code_verifier', value, _in_url, raw)}"
        if name in places.PUBLIC:
            self._ledger.public.add(value)
        elif places.kind_of(name) is not None:
            return piece[: -len(raw)] + self._in_place(name, value, _in_url, raw)
        elif value.startswith("ey") and claims(value) is not None:
            return piece[: -len(raw)] + _in_url(
                self._ledger.alias("assertion" if name == "request" else "token", value)
            )
        return self._parameters(piece) if "%" in piece or "?" in piece else piece

    def _parameters(self, text: str) -> str:
        """Parameters of URLs that stand in other text, or inside parameters."""
        if "=" in text:
            text = places.PARAMETER.sub(
                lambda m: m["open"] + self._in_place(m["name"], unquote_plus(m["value"]), _in_url, m["value"]), text
            )
        if "%" in text:
            text = places.NESTED.sub(
                lambda m: m["open"] + self._in_place(m["name"], unquote(unquote(m["value"])), _in_url, m["value"]), text
            )
        return text

    def _members(self, text: str, asked: bool) -> str:
        """Members of JSON. `asked`: in a request, where a member of such a name is meant."""
        redeeming = asked and '"grant_type"' in text

        def means_a_secret(name: str, value: str) -> bool:
            if name.lower() not in places.WEAK or redeeming or value in self._ledger:
                return True
            return places.looks_random(value) or (asked and name.lower() != "code" and " " not in value)

        def strike(match: re.Match[str]) -> str:
            name, value = match["name"], unescaped(match["value"])
            if not means_a_secret(name, value):
                return match[0]
            return match["open"] + self._in_place(name, value, _in_json, match["value"]) + match["close"]

        def strike_wrapped(match: re.Match[str]) -> str:
            name, value = match["name"], match["value"]
            if is_struck(value) or not means_a_secret(name, value):
                return match[0]
            return match["open"] + self._ledger.short(places.kind_of(name) or "token", value)

        text = places.MEMBER.sub(strike, text)
        return places.WRAPPED.sub(strike_wrapped, text) if '\\"' in text else text

    def _strike_claims(self, text: str) -> str:
        """The JSON text of header or claims without the secrets in it."""
        if self._persons:
            text = persons.in_claims(text, self._person)
        text = self._jwts(self._parameters(self._members(text, asked=False)), _short_in_json)
        return self.sweep(text)

    def _fields(self, text: str) -> str:
        """Hidden fields of an HTML form."""

        def strike(tag: re.Match[str]) -> str:
            name = places.INPUT_NAME.search(tag[0])
            if name is None:
                return tag[0]
            return places.INPUT_VALUE.sub(
                lambda m: m["open"] + self._in_place(name["name"], html.unescape(m["value"]), html.escape, m["value"]),
                tag[0],
            )

        return places.INPUT.sub(strike, text)

    def _jwts(self, text: str, write: Write) -> str:
        """Whatever is shaped like a JWT is a token, wherever it stands."""

        def strike(match: re.Match[str]) -> str:
            value = match["value"]
            if value is None or value in self._ledger.public or jose_header(value) is None:
                return match[0]
            return write(self._ledger.alias("token", value))

        return places.JWT.sub(strike, text) if places.may_hold_a_jwt(text) else text

    def _in_place(self, name: str, value: str, write: Write, raw: str) -> str:
        """What to write for the value of a parameter or member of that name; `raw` when it is no secret."""
        kind = places.kind_of(name) or "token"
        start, secret = places.worth_striking(kind, value)
        if not secret or is_struck(value):
            return raw
        return value[:start] + write(self._ledger.alias(kind, value[start:]))


def _is_url(value: str) -> bool:
    return "/" in value and " " not in value


def _is_client_login(request: Request) -> bool:
    """A client identifies itself to an authorization server: then the user of Basic is its id."""
    return any(word in (request.body or "") for word in ("grant_type", "token=", "redirect_uri", "client_id"))


def _all_text(parts: Iterable[Request | Response | str | None]) -> str:
    """Everything of an exchange that may hold a secret, as one text."""
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif part is not None:
            pieces += [f"{name}\n{value}" for name, value in part.headers]  # an upstream may choose any name
            pieces.append(part.body or "")
            if type(part) is Request:
                pieces.append(part.url)
    return "\n".join(pieces)
