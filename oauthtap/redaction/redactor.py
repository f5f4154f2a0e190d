"""Strikes secrets out of exchanges, before anything judges or stores them.

A secret is learned in its place (`text_redactor.py`), gets an alias
(`alias_registry.py`, `alias_format.py`), and is then replaced everywhere (`matcher.py`), in this and in
every later exchange. A struck exchange is left as it is, so a recording can be judged again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from oauthtap.model.exchange import Exchange, Message, Pairs, Request, Response
from oauthtap.redaction import pii
from oauthtap.redaction.alias_format import in_header_name, in_url
from oauthtap.redaction.matcher import SecretMatcher, SecretPattern
from oauthtap.redaction.text_redactor import FORM, TextRedactor, Write

Line = tuple[str, str]
Body = tuple[bool, str, str]
"""It is of a request, its media type, its text."""
_SETTLED, _BODIES = 4000, 8
"""How many lines and how many bodies are kept in mind."""


_ESCAPED_MARK = re.compile(r"(?<!\\)\\u20(?:39|3[aA])")
"""What an alias stands between, as JSON escapes it."""


class Redactor:
    """Remembers every secret of one session, and strikes them out.

    `claims`: also strike what the claims of tokens say about a person (e-mail, name, sub).
    """

    def __init__(self, *, claims: bool = False) -> None:
        self._persons = claims
        self._texts = TextRedactor(claims=claims)
        self._ledger = self._texts.registry
        self._known = self._ledger.known
        self._told = 0
        self._settled: dict[Pairs | Line | str, Any] = {}
        """Header lines, blocks of them, and URLs that were looked at since something was learned, as they are
        struck; and no secret known stands anywhere in them."""
        self._bodies: dict[Body, str] = {}
        """The same for the newest bodies."""
        self._settled_at = 0
        self._fresh: list[str] = []
        """What of the exchange in hand is not settled."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that is searched for everywhere, in the clear. Only for proving that none is left."""
        return tuple(self._known.secrets)

    def redact(self, exchange: Exchange) -> Exchange:
        """The exchange without its secrets; the same object when it has none."""
        before = (
            exchange.request,
            exchange.response,
            exchange.delivered_response,
            exchange.forwarded_request,
            exchange.error,
        )
        self._ledger.reserve_existing("\n".join(self._unsettled(before)))
        learned, self._fresh = self._ledger.learned, [exchange.error] if exchange.error else []
        request = self._request(exchange.request)
        response, shown = self._response(exchange.response), self._response(exchange.delivered_response)
        sent = self._request(exchange.forwarded_request) if exchange.forwarded_request else None
        error = exchange.error and self._texts.text(exchange.error, asked=False)
        if self._persons:
            request, sent = self._impersonal(request), self._impersonal(sent)
            response, shown = self._impersonal(response), self._impersonal(shown)
            error = pii.strike(error, self._texts.person) if error else error
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
        messages = (request, response, shown, sent)
        if error != exchange.error or any(new is not old for new, old in zip(messages, before, strict=False)):
            return exchange.replace(
                request=request, response=response, delivered_response=shown, forwarded_request=sent, error=error
            )
        return exchange

    def news(self) -> Write | None:
        """Sweeps texts of the secrets learned since this was asked last; None when there are none."""
        fresh = list(self._known.secrets.items())[self._told :]
        self._told += len(fresh)
        if not fresh:
            return None
        known = SecretMatcher()
        for secret, alias in fresh:
            known.add(secret, alias)
        return lambda text: known.strike(text, needles) if (needles := known.within(text)) else text

    @property
    def learned(self) -> int:
        """How much was learned so far."""
        return self._ledger.learned

    def strike_url(self, url: str) -> str:
        """A URL by itself, as it looks in struck exchanges: one the user typed may hold an API key."""
        return self.redact_known(self._texts.url(url))

    def redact_known(self, text: str) -> str:
        """Any text without the secrets seen so far, in whatever encoding. Places are not looked at."""
        return self._texts.redact_known(text)

    def redact_text(self, text: str) -> str:
        """Any text without the secrets that its names and shapes give away, and without those seen so far."""
        return self.redact_known(self._texts.text(text, asked=False))

    def knows_any_of(self, text: str) -> bool:
        """A secret seen so far may stand in the text, in whatever encoding."""
        return bool(self._known.within(text))

    def redact_known_bytes(self, data: bytes) -> bytes:
        """The same for bytes that hold text."""
        text = data.decode("utf-8", "surrogateescape")
        swept = self.redact_known(text)
        return data if swept == text else swept.encode("utf-8", "surrogateescape")

    # --- one message

    def _request(self, request: Request) -> Request:
        url = self._settle(request.url, request.url, self._texts.url)
        headers, body = self._headers(request.headers, _is_client_login(request)), self._body(request)
        if (url, body) == (request.url, request.body):
            return request if headers == request.headers else request.with_headers(headers)
        return Request.model_construct(
            method=request.method, url=url, headers=headers, body=body, truncated=request.truncated,
            unrecorded_headers=request.unrecorded_headers, absent_headers=request.absent_headers,
            partial=request.partial,
        )  # fmt: skip

    def _response(self, response: Response | None) -> Response | None:
        if response is None:
            return None
        headers, body = self._headers(response.headers, False), self._body(response)
        if body == response.body:
            return response if headers == response.headers else response.with_headers(headers)
        return Response.model_construct(
            status=response.status, headers=headers, body=body, truncated=response.truncated, partial=response.partial
        )

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
        struck = self._texts.header(name.lower(), value, client_login)
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
        if "u2039" in text:  # an alias of an earlier recording, in JSON that writes ASCII only
            text = _ESCAPED_MARK.sub(lambda mark: "‹" if mark[0].endswith("9") else "›", text)
        key = (type(message) is Request, message.media_type, text)
        learned = self._ledger.learned
        if self._settled_at == learned and key in self._bodies:
            return self._bodies[key]
        struck = self._texts.body(text, message)
        if self._settled_at == learned == self._ledger.learned and not self._known.within(struck):
            self._bodies[key] = struck
            if len(self._bodies) > _BODIES:
                del self._bodies[next(iter(self._bodies))]
        else:
            self._fresh.append(struck)
        return struck

    def _swept[M: Message](self, message: M, needles: list[SecretPattern]) -> M:
        """The message without these secrets, wherever they stand, and without the beginning of one at a cut."""
        members = {name: getattr(message, name) for name in type(message).model_fields}
        members["headers"] = tuple(
            (
                self._known.strike(name, needles, in_header_name),
                self._known.strike(value, needles, in_url if _is_url(value) else str),
            )
            for name, value in message.headers
        )
        body = message.body
        if body:
            body = self._known.strike(body, needles, in_url if FORM.match(body) else str)
            if message.truncated and (rest := self._known.cut_off(body)):
                body = body.removesuffix(rest) + "…"
        if isinstance(message, Request):
            members["url"] = self._known.strike(message.url, needles, in_url)
        struck = type(message)(**{**members, "body": body})
        return message if struck == message else struck

    def _impersonal[M: (Request, Request | None, Response | None)](self, message: M) -> M:
        """The message without personal data."""
        if message is None:
            return message
        members = {name: getattr(message, name) for name in type(message).model_fields}
        members["headers"] = tuple((name, pii.strike(value, self._texts.person)) for name, value in message.headers)
        members["body"] = message.body and pii.strike(message.body, self._texts.person)
        if type(message) is Request:
            members["url"] = pii.strike(message.url, self._texts.person)
        return type(message)(**members)


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
