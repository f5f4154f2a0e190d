"""Strikes secrets out of exchanges, before anything judges or stores them.

A secret is learned in its place (`secret_locations.py`, `auth_headers.py`), gets an alias
(`alias_registry.py`, `aliases.py`), and is then replaced everywhere (`matcher.py`), in this and in
every later exchange. A struck exchange is left as it is, so a recording can be judged again.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, cast
from urllib.parse import quote_plus, unquote, unquote_plus

from oauthtap.model.exchange import Exchange, Message, Pairs, Request, Response
from oauthtap.model.json_edit import unescape_json
from oauthtap.redaction import auth_headers, members, pii, prose, secret_locations, shapes
from oauthtap.redaction.alias_format import claims, is_struck, jose_header, parse_alias
from oauthtap.redaction.alias_registry import AliasRegistry
from oauthtap.redaction.decoding import View
from oauthtap.redaction.matcher import SecretMatcher, SecretPattern

__all__ = ["Redactor", "claims", "jose_header", "parse_alias"]

_FORM = re.compile(r"\s*[\w.~%$\[\]-]+=")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|\\u00|\\[nrt]|&(?:\#|quot;|apos;|amp;|lt;|equals;|colon;)")
"""An escape that hides a name or a shape; the quotes of JSON inside JSON are read as they stand."""
_OUR_ALIAS = re.compile(r"‹[^‹›]{0,20000}›")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_.-])(?!ey[A-Za-z0-9_-]*\.)[A-Za-z0-9+/_-]{24,8000}+={0,2}(?![A-Za-z0-9._-])")
_LINE_END = re.compile(r"\r?\n|(?:\\r)?\\n")
_WRAPPED = re.compile(
    rf"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{{60,76}}(?:{_LINE_END.pattern})){{1,400}}[A-Za-z0-9+/]{{1,76}}={{0,2}}"
)
"""Base64 that is broken into lines, as in a mail."""
_RUNS = 50
"""How many runs of base64 of one text are looked into."""
_DEEPEST, _LONGEST_BEHIND = 3, 200_000
"""How many times a text is decoded to look behind it, and how long it may be from the second time on."""
_SHORTEST = 12
_HARMLESS = (
    "access-control-",
    "accept",
    "content-security-policy",
    "date",
    "vary",
    "mcp-protocol-version",
    "permissions-",
)
"""Headers that hold no secret, only names of things."""
_METADATA_URL = re.compile(
    r'"(?:issuer|[a-z_]+_endpoint|jwks_uri|authorization_servers)"\s*:\s*(?:\[\s*)?"([^"]{1,500})"'
)
_CLIENT_ID = re.compile(r'"client_id"\s*:\s*"([^"]{1,500})"')
_MCP_SESSION = re.compile(r"session_?id", re.IGNORECASE)
"""In a URL this is the session of the HTTP+SSE transport, which opens nothing by itself."""
_WEB_URL = re.compile(
    r"(?P<open>\b[a-z][a-z0-9+.-]{1,20}:(?:\\?/){2}[^\s/?#\"'<>\\‹]{1,255}/)(?P<path>[\w.~%/=+:@-]{20,2000}+)"
)
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COOKIES = re.compile(r"\s*[\w.$@-]+=[^=]")
"""A list of cookies with their names; base64 ends in `=` too."""
_COOKIE_PATH = re.compile(r";\s*path=([^;\s]{12,})", re.IGNORECASE)
_IN_PATHS = ("token", "secret", "password", "key", "cookie", "refresh", "assertion")
"""Kinds of secrets that have their name before them in a path."""
_FILES = (".js", ".css", ".html", ".json", ".png", ".svg", ".map", ".woff2")
_SPLIT_DATA = re.compile(r"\r?\n(?:data|event): ?")
"""Between two lines of one event of a stream."""
_PARAMS_IN_HEADERS = re.compile(r"[?&#;]\w+=|%3[DF]", re.IGNORECASE)

Write = Callable[[str], str]
Line = tuple[str, str]
Body = tuple[bool, str, str]
"""It is of a request, its media type, its text."""
_SETTLED, _BODIES = 4000, 8
"""How many lines and how many bodies are kept in mind."""


_ESCAPED_MARK = re.compile(r"(?<!\\)\\u20(?:39|3[aA])")
"""What an alias stands between, as JSON escapes it."""


def _in_url(alias: str) -> str:
    """An alias as a value of a query or form: decoded once, it is itself again."""
    if "‹path-" in alias or "‹userinfo-" in alias:
        return alias
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
        self._ledger = AliasRegistry(self._strike_claims)
        self._known = self._ledger.known
        self._told = 0
        self._behind = 0
        """How many times what is being looked at was decoded."""
        self._public_segments: set[str] = set()
        """Parts of the paths of authorization servers."""
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
        before = (exchange.request, exchange.response, exchange.shown, exchange.sent, exchange.error)
        self._ledger.reserve_existing("\n".join(self._unsettled(before)))
        learned, self._fresh = self._ledger.learned, [exchange.error] if exchange.error else []
        request = self._request(exchange.request)
        response, shown = self._response(exchange.response), self._response(exchange.shown)
        sent = self._request(exchange.sent) if exchange.sent else None
        error = exchange.error and self._text(exchange.error, asked=False)
        if self._persons:
            request, sent = self._impersonal(request), self._impersonal(sent)
            response, shown = self._impersonal(response), self._impersonal(shown)
            error = pii.strike(error, self._person) if error else error
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
            return exchange.replace(request=request, response=response, shown=shown, sent=sent, error=error)
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
        return self.redact_known(self._url(url))

    def redact_known(self, text: str) -> str:
        """Any text without the secrets seen so far, in whatever encoding. Places are not looked at."""
        needles = self._known.within(text)
        return self._known.strike(text, needles) if needles else text

    def redact_text(self, text: str) -> str:
        """Any text without the secrets that its names and shapes give away, and without those seen so far."""
        return self.redact_known(self._text(text, asked=False))

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
        url = self._settle(request.url, request.url, self._url)
        headers, body = self._headers(request.headers, _is_client_login(request)), self._body(request)
        if (url, body) == (request.url, request.body):
            return request if headers == request.headers else request.with_headers(headers)
        return Request.model_construct(
            method=request.method, url=url, headers=headers, body=body, truncated=request.truncated,
            left_out=request.left_out, partial=request.partial,
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
        if "u2039" in text:  # an alias of an earlier recording, in JSON that writes ASCII only
            text = _ESCAPED_MARK.sub(lambda mark: "‹" if mark[0].endswith("9") else "›", text)
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
        struck = auth_headers.strike(name, value, self._ledger, client_login=client_login)
        if struck is not None:
            for path in _COOKIE_PATH.findall(struck) if name == "set-cookie" else ():
                self._path(path)  # is learned, and struck like all that is known
            return struck
        if value.startswith(("/", "http://", "https://")) and " " not in value:
            return self._url(value)
        if len(value) < _SHORTEST or name.startswith(_HARMLESS):
            return value
        if _PARAMS_IN_HEADERS.search(value):
            value = self._url(value) if " " not in value else self._parameters(value)
        return self._text(value, asked=False)

    def _in_body(self, body: str, message: Message) -> str:
        asked = type(message) is Request
        if _FORM.match(body) and message.media_type not in ("text/html", "text/event-stream"):
            return self._looked_behind(shapes.strike(self._pairs(body), self._shaped(_in_url)), asked)
        if "multipart/" in message.media_type and secret_locations.may_hold_a_name(body):
            body = secret_locations.PART.sub(lambda m: m["open"] + self._in_part(m["name"], m["value"]), body)
        self._note_public(body)
        if message.media_type == "text/csv":
            body = self._in_prose(body, prose.in_columns(body), str)
        elif message.media_type == "text/event-stream" and _SPLIT_DATA.search(body):
            self._text(_SPLIT_DATA.sub("\n", body), asked=asked)  # is learned, and struck like all that is known
        return self._text(body, asked=asked)

    def _text(self, text: str, *, asked: bool) -> str:
        """Any text: what stands behind the name of a secret, and what looks like one."""
        named = secret_locations.may_hold_a_name(text)
        if named and '"' in text:
            text = self._members(text, asked)
        if named and "<" in text:
            text = self._fields(text, asked)
        write = html.escape if text.lstrip()[:1] == "<" else _in_json if "{" in text else str
        if named:
            text = self._assignments(self._parameters(text), asked, write)
            text = self._in_prose(text, prose.named(text), write)
        text = shapes.strike(self._jwts(text, write), self._shaped(write))
        if "://" in text:
            text = _WEB_URL.sub(lambda m: m["open"] + self._segments(m["path"], write), text)
        return self._looked_behind(text, asked)

    def _segments(self, path: str, write: Write) -> str:
        """The parts of the path of a URL in a text, without those that nobody would choose; digests are no secrets."""
        pieces = path.split("/")
        for place, piece in enumerate(pieces):
            named = place > 0 and self._is_named(pieces[place - 1], unquote(piece))
            unlikely = secret_locations.is_random_segment(piece) and not _DIGEST.fullmatch(piece)
            if (named or unlikely) and not self._is_public(piece):
                self._ledger.learn("path", unquote(piece))
                pieces[place] = write(self._ledger.alias("path", piece))
        return "/".join(pieces)

    @staticmethod
    def _is_named(before: str, value: str) -> bool:
        """The part of a path that comes before is the name of a secret."""
        if secret_locations.kind_of(before) not in _IN_PATHS or not re.search(r"\d", value) or value.endswith(_FILES):
            return False
        return secret_locations.is_telling(value)

    def _is_public(self, segment: str) -> bool:
        return segment in self._public_segments or segment in self._ledger.public or is_struck(segment)

    def _looked_behind(self, text: str, asked: bool) -> str:
        """The text as it is. What it says once it is decoded is learned, and then struck like all that is known."""
        if self._behind >= _DEEPEST or (self._behind and len(text) > _LONGEST_BEHIND):
            return text
        self._behind += 1
        try:
            if _ESCAPED.search(text):
                view = View(_OUR_ALIAS.sub("", text)).text
                if view != text:
                    self._text(view, asked=asked)
            runs = [one[0] for pattern in (_WRAPPED, _BASE64) for one in islice(pattern.finditer(text), _RUNS)]
            for run in runs:
                if (hidden := _from_base64("".join(_LINE_END.split(run)))) is None:
                    continue
                struck = self.redact_known(self._text(hidden, asked=False))
                if struck != hidden and self.redact_known(run) == run:  # packed twice, or in lines: it goes as a whole
                    text = text.replace(run, self._ledger.alias("key", run))
        finally:
            self._behind -= 1
        return text

    def _shaped(self, write: Write) -> shapes.Replace:
        return lambda kind, value: write(self._ledger.alias(kind, value))

    def _note_public(self, body: str) -> None:
        """Where an authorization server lives is said in public: the parts of these paths are no secrets."""
        if '"issuer"' in body or '"authorization_servers"' in body:
            for url in _METADATA_URL.findall(body):
                self._public_segments.update(unescape_json(url).split("/"))
        if '"client_id"' in body:
            self._ledger.public.update(unescape_json(value) for value in _CLIENT_ID.findall(body))

    def _swept[M: Message](self, message: M, needles: list[SecretPattern]) -> M:
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
        """The message without personal data."""
        if message is None:
            return message
        members = {name: getattr(message, name) for name in type(message).model_fields}
        members["headers"] = tuple((name, pii.strike(value, self._person)) for name, value in message.headers)
        members["body"] = message.body and pii.strike(message.body, self._person)
        if type(message) is Request:
            members["url"] = pii.strike(message.url, self._person)
        return type(message)(**members)

    def _person(self, value: str) -> str:
        return self._ledger.short("person", value)

    # --- one text

    def _url(self, url: str) -> str:
        """A URL: parts of its path, its query and its fragment, and URLs inside these."""
        rest, hash_, fragment = url.partition("#")
        before, question, query = rest.partition("?")
        fragment = self._pairs(fragment) if "=" in fragment else fragment
        struck = self._path(before) + question + self._pairs(query) + hash_ + fragment
        return self._looked_behind(shapes.strike(struck, self._shaped(_in_url)), asked=True)

    def _path(self, before: str) -> str:
        """The part of a URL before its query. Nobody chooses a long part in which letters and digits take turns."""
        scheme, slashes, rest = before.partition("://")
        host, slash, path = rest.partition("/") if slashes else ("", "", before)
        pieces = path.split("/")
        for place, piece in enumerate(pieces):
            piece, semicolon, matrix = piece.partition(";")
            value = unquote(piece)
            if self._is_public(value):
                continue
            named = place > 0 and self._is_named(pieces[place - 1], value)
            if named or secret_locations.is_random_segment(value):
                piece = _in_url(self._ledger.alias("path", value))
            pieces[place] = piece + self._parameters(semicolon + matrix)
        origin = f"{scheme}{slashes}{host}{slash}" if slashes else ""
        return origin + "/".join(pieces)

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
            return f"{name}={self._in_place(name, 'verifier', value, _in_url, raw)}"
        if name in secret_locations.PUBLIC or _MCP_SESSION.fullmatch(name):
            self._ledger.public.add(value)
            self._look_into(value)
        elif (kind := secret_locations.kind_of(name)) is not None and self._is_meant(name, value):
            return piece[: -len(raw)] + self._in_place(name, kind, value, _in_url, raw)
        elif value.startswith("ey") and claims(value) is not None:
            return piece[: -len(raw)] + _in_url(
                self._ledger.alias("assertion" if name == "request" else "token", value)
            )
        return self._parameters(piece) if "%" in piece or "?" in piece or ";" in piece else piece

    def _is_meant(self, name: str, value: str) -> bool:
        """In a URL or a form, what has one of the names of the protocols is always a secret."""
        return secret_locations.is_of_a_protocol(name) or secret_locations.means_a_secret(name, value, asked=True)

    def _parameters(self, text: str) -> str:
        """Parameters of URLs that stand in other text, or inside parameters."""
        if "=" in text:
            # What was decoded already has its plus signs as they are.
            decode = unquote if self._behind else unquote_plus
            text = secret_locations.PARAMETER.sub(lambda m: self._parameter(m, decode(m["value"])), text)
        if "%" in text:
            text = secret_locations.NESTED.sub(lambda m: self._parameter(m, unquote(unquote(m["value"]))), text)
        return text

    def _parameter(self, match: re.Match[str], value: str) -> str:
        name = match["name"]
        kind = secret_locations.kind_of(name)
        if _MCP_SESSION.fullmatch(name):
            self._ledger.public.add(value)
        elif kind is not None and self._is_meant(name, value):
            struck = self._in_place(name, kind, value, _in_url, match["value"])
            if self._behind and value in self._ledger:
                self._ledger.learn_spelling(value, match["value"])
            return match["open"] + struck
        return match[0]

    def _members(self, text: str, asked: bool, *, claims: bool = False) -> str:
        """Members of JSON. `asked`: in a request, where a member of such a name is meant. `claims`: of a token, where
        `sid` is the name of a session and no key to it."""
        redeeming = asked and '"grant_type"' in text

        def means_a_secret(name: str, value: str) -> bool:
            return (
                (redeeming and secret_locations.is_of_a_protocol(name))
                or value in self._ledger
                or secret_locations.means_a_secret(name, value, asked=asked)
            )

        def edit(member: members.Member) -> str | None:
            name, kind = member.name, secret_locations.kind_of(member.name)
            if kind is None or (claims and kind == "session"):
                return None
            if is_struck(member.value) or not means_a_secret(name, member.value):
                return None
            if member.level > 1:
                return self._ledger.short(kind, member.value) if kind != "request" else None
            return self._in_place(name, kind, member.value, _in_json, member.raw)

        return members.edited(text, edit)

    def _assignments(self, text: str, asked: bool, write: Write) -> str:
        """What is assigned to a name in any text: a log, YAML, variables of an environment, a line of headers."""
        pieces: list[str] = []
        end = 0
        for match in secret_locations.ASSIGNMENT.finditer(text):
            name = match["name"]
            if match.end() < end or (kind := secret_locations.kind_of(name)) is None or _MCP_SESSION.fullmatch(name):
                continue
            found = secret_locations.assigned(text, match)
            if found is None:
                continue
            start, raw, sure = found
            value = unescape_json(raw) if "\\" in raw else raw
            if kind in ("authorization", "cookie"):
                struck = self._credentials(kind, name, value)
            elif secret_locations.is_telling(value) or (
                sure and secret_locations.means_a_secret(name, value, asked=asked)
            ):
                struck = None if kind == "code" and not secret_locations.looks_random(value) else value
            else:
                continue
            if struck is None or is_struck(value) or secret_locations.PLACEHOLDER.fullmatch(value):
                continue
            new = struck if kind in ("authorization", "cookie") else self._in_place(name, kind, value, write, raw)
            pieces += (text[end:start], new)
            end = start + len(raw)
        return "".join([*pieces, text[end:]]) if pieces else text

    def _in_prose(self, text: str, found: Iterable[tuple[int, int, str, str]], write: Write) -> str:
        """What has a name in a sentence or a table."""
        pieces: list[str] = []
        end = 0
        for start, stop, name, kind in sorted(found):
            value = text[start:stop]
            if start < end or value in self._ledger.public or secret_locations.PLACEHOLDER.fullmatch(value):
                continue
            kind = "key" if kind in ("authorization", "cookie") else kind
            pieces += (text[end:start], self._in_place(name, kind, value, write, value))
            end = stop
        return "".join([*pieces, text[end:]]) if pieces else text

    def _credentials(self, kind: str, name: str, value: str) -> str | None:
        """The value of a header that stands in a text; None where that is no secret."""
        header = "set-cookie" if "set" in name.lower() else kind
        words = [word for word in re.split(r"[\s;=,]+", value) if secret_locations.is_telling(word)]
        if not words:
            return None
        if kind == "cookie" and not _COOKIES.match(value):
            return self._ledger.alias("cookie", value)
        return auth_headers.strike(header, value, self._ledger, client_login=False)

    def _in_part(self, name: str, value: str) -> str:
        """The content of a part of a form."""
        kind = secret_locations.kind_of(name)
        if kind is None or is_struck(value) or not self._is_meant(name, value):
            return value
        return self._in_place(name, kind, value, str, value)

    def _strike_claims(self, text: str) -> str:
        """The JSON text of header or claims without the secrets in it."""
        if self._persons:
            text = pii.in_claims(text, self._person)
        text = self._jwts(self._parameters(self._members(text, asked=False, claims=True)), _short_in_json)
        return self.redact_known(shapes.strike(text, self._shaped(_short_in_json)))

    def _fields(self, text: str, asked: bool) -> str:
        """Fields of an HTML form and `meta` of a page; elements of XML and their attributes."""

        def strike(tag: re.Match[str]) -> str:
            named = secret_locations.TAG_NAME.search(tag[0])
            name = "password" if secret_locations.TAG_PASSWORD.search(tag[0]) else named["name"] if named else ""
            kind = secret_locations.kind_of(name) if name else None
            if kind is None:
                return tag[0]
            return secret_locations.TAG_VALUE.sub(
                lambda m: m["open"] + self._in_html(name, kind, m["value"], sure=True), tag[0]
            )

        def strike_element(match: re.Match[str]) -> str:
            kind = secret_locations.kind_of(match["name"].rpartition(":")[2])
            if kind is None:
                return match[0]
            return match[0][: -len(match["value"])] + self._in_html(match["name"], kind, match["value"], sure=False)

        if "value" in text or "content" in text or "VALUE" in text:
            text = secret_locations.TAG.sub(strike, text)
        if "</" in text:
            text = secret_locations.ELEMENT.sub(strike_element, text)
            text = secret_locations.KEY_ELEMENT.sub(strike_element, text)
            text = secret_locations.NAMED_ELEMENT.sub(strike_element, text)
        return text

    def _in_html(self, name: str, kind: str, raw: str, *, sure: bool) -> str:
        value = html.unescape(raw).strip()
        meant = (sure and secret_locations.is_of_a_protocol(name)) or secret_locations.means_a_secret(
            name, value, asked=False
        )
        if not value or not meant:
            return raw
        return self._in_place(name, kind, value, html.escape, raw)

    def _jwts(self, text: str, write: Write) -> str:
        """Whatever is shaped like a JWT is a token, wherever it stands."""

        def strike(match: re.Match[str]) -> str:
            value = match["value"]
            if value is None or value in self._ledger.public:
                self._look_into(value or match["keep"].rpartition(":")[2].strip(' "'))
                return match[0]
            if jose_header(value) is None:
                return match[0]
            return write(self._ledger.alias("token", value))

        return secret_locations.JWT.sub(strike, text) if secret_locations.may_hold_a_jwt(text) else text

    def _look_into(self, token: str) -> None:
        """A token that is meant to be read stays; what is a secret in its claims is learned, and struck."""
        if (said := claims(token)) is not None and self._behind < _DEEPEST:
            self._behind += 1
            self._text(json.dumps(said, ensure_ascii=False), asked=False)
            self._behind -= 1

    def _in_place(self, name: str, kind: str, value: str, write: Write, raw: str) -> str:
        """What to write for the value of a parameter or member of that name; `raw` when it is no secret."""
        if kind in ("authorization", "cookie"):
            struck = self._credentials(kind, name, value)
            return raw if struck is None or is_struck(value) else write(struck)
        start, secret = secret_locations.worth_striking(kind, value)
        if not secret or is_struck(value):
            return raw
        return value[:start] + write(self._ledger.alias(kind, value[start:]))


def _from_base64(run: str) -> str | None:
    """The text that a run of base64 or base64url stands for, None when it is none."""
    plain = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    if len(plain) % 4 == 1:
        return None
    try:
        text = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        return None
    return text if text.isprintable() or not re.search(r"[^\s\x20-\x7e]", text) else None


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
