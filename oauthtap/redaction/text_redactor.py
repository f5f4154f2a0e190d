"""Strikes the secrets out of one text: a URL, a header, a body, or any other.

A secret is learned by its place (`secret_names.py`, `secret_locations.py`, `auth_headers.py`, `members.py`,
`markup.py`, `prose.py`) or by its looks (`shapes.py`), and its alias is written there. What is known already is
struck by `matcher.py`, not here.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote, unquote_plus

from oauthtap.model.exchange import Message, Request
from oauthtap.model.json_edit import unescape_json
from oauthtap.redaction import (
    auth_headers,
    markup,
    members,
    pii,
    prose,
    secret_locations,
    secret_names,
    secret_values,
    shapes,
)
from oauthtap.redaction.alias_format import claims, in_json, in_url, is_struck, jose_header, short_in_json
from oauthtap.redaction.alias_registry import AliasRegistry
from oauthtap.redaction.decoding import View, base64_runs

FORM = re.compile(r"\s*[\w.~%$\[\]-]+=")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[nrt]|&(?:\#|quot;|apos;|amp;|lt;|equals;|colon;)")
"""An escape that hides a name or a shape; the quotes of JSON inside JSON are read as they stand."""
_BETWEEN_PAIRS = re.compile(r"(&|\r?\n)")
"""Of a query or a form; those of `text/plain` have a line each (HTML, 4.10.21.8)."""
_OUR_ALIAS = re.compile(r"‹[^‹›]{0,20000}›")
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


class TextRedactor:
    """Finds and strikes what stands in the place of a secret, or looks like one.

    `claims`: also strike what the claims of tokens say about a person (e-mail, name, sub).
    """

    def __init__(self, *, claims: bool) -> None:
        self._persons = claims
        self.registry = AliasRegistry(self._strike_claims)
        self._behind = 0
        """How many times what is being looked at was decoded."""
        self._public_segments: set[str] = set()
        """Parts of the paths of authorization servers."""

    def redact_known(self, text: str) -> str:
        """The text without the secrets seen so far, in whatever encoding. Places are not looked at."""
        known = self.registry.known
        needles = known.within(text)
        return known.strike(text, needles) if needles else text

    def person(self, value: str) -> str:
        """The alias of personal data."""
        return self.registry.short("person", value)

    def header(self, name: str, value: str, client_login: bool) -> str:
        """The value of a header; `name` in lower case. `client_login`: in Basic stands a client id."""
        if name == "mcp-session-id":
            self.registry.public.add(value)
            return value
        struck = auth_headers.strike(name, value, self.registry, client_login=client_login)
        if struck is not None:
            for path in _COOKIE_PATH.findall(struck) if name == "set-cookie" else ():
                self.path(path)  # is learned, and struck like all that is known
            return struck
        if value.startswith(("/", "http://", "https://")) and " " not in value:
            return self.url(value)
        if len(value) < _SHORTEST or (name.startswith(_HARMLESS) and not re.search(r"=|: ", value)):
            return value
        if name == "sec-websocket-protocol":
            value = auth_headers.strike_protocols(value, self.registry)
        if _PARAMS_IN_HEADERS.search(value):
            value = self.url(value) if " " not in value else self._parameters(value)
        return self.text(value, asked=False)

    def body(self, body: str, message: Message) -> str:
        """A body, read as the media type of its message says."""
        asked = type(message) is Request
        if FORM.match(body) and message.media_type not in ("text/html", "text/event-stream"):
            return self._looked_behind(shapes.strike(self._pairs(body), self._shaped(in_url)), asked)
        if "multipart/" in message.media_type and secret_locations.may_hold_a_name(body):
            body = secret_locations.PART.sub(lambda m: m["open"] + self._in_part(m["name"], m["value"]), body)
        self._note_public(body)
        if message.media_type == "text/event-stream" and _SPLIT_DATA.search(body):
            self.text(_SPLIT_DATA.sub("\n", body), asked=asked)  # is learned, and struck like all that is known
        return self.text(body, asked=asked)

    def text(self, text: str, *, asked: bool) -> str:
        """Any text: what stands behind the name of a secret, and what looks like one."""
        named = secret_locations.may_hold_a_name(text)
        if named and '"' in text:
            text = self._members(text, asked)
        if named and "<" in text:
            text = markup.edited(text, self._in_html)
        write = html.escape if text.lstrip()[:1] == "<" else in_json if "{" in text else str
        if named:
            text = self._assignments(self._parameters(text), asked, write)
            text = self._in_prose(text, prose.named(text), write)
            if "\n" in text:
                text = self._in_prose(text, prose.in_columns(text), write)
        if named or not text.isascii():  # in ASCII, what another language calls a password has one of the hints, too
            text = self._in_prose(text, prose.foreign(text), write)
        text = shapes.strike(self._jwts(text, write), self._shaped(write))
        if "://" in text:
            text = _WEB_URL.sub(lambda m: m["open"] + self._segments(m["path"], write), text)
        return self._looked_behind(text, asked)

    def _segments(self, path: str, write: Write) -> str:
        """The parts of the path of a URL in a text, without those that nobody would choose; digests are no secrets."""
        pieces = path.split("/")
        for place, piece in enumerate(pieces):
            named = place > 0 and self._is_named(pieces[place - 1], unquote(piece))
            unlikely = secret_values.is_random_segment(piece) and not _DIGEST.fullmatch(piece)
            if (named or unlikely) and not self._is_public(piece):
                self.registry.learn("path", unquote(piece))
                pieces[place] = write(self.registry.alias("path", piece))
        return "/".join(pieces)

    @staticmethod
    def _is_named(before: str, value: str) -> bool:
        """The part of a path that comes before is the name of a secret."""
        if secret_names.kind_of(before) not in _IN_PATHS or not re.search(r"\d", value) or value.endswith(_FILES):
            return False
        return secret_values.is_telling(value)

    def _is_public(self, segment: str) -> bool:
        return segment in self._public_segments or segment in self.registry.public or is_struck(segment)

    def _looked_behind(self, text: str, asked: bool) -> str:
        """The text as it is. What it says once it is decoded is learned, and then struck like all that is known."""
        if self._behind >= _DEEPEST or (self._behind and len(text) > _LONGEST_BEHIND):
            return text
        self._behind += 1
        try:
            if any(sign in text for sign in "%\\&") and _ESCAPED.search(text):
                view = View(_OUR_ALIAS.sub("", text)).text
                if view != text:
                    self.text(view, asked=asked)
            for run, hidden in list(base64_runs(text)):
                struck = self.redact_known(self.text(hidden, asked=False))
                if struck != hidden and self.redact_known(run) == run:  # packed twice, or in lines: it goes as a whole
                    text = text.replace(run, self.registry.alias("key", run))
        finally:
            self._behind -= 1
        return text

    def _shaped(self, write: Write) -> shapes.Replace:
        return lambda kind, value: write(self.registry.alias(kind, value))

    def _note_public(self, body: str) -> None:
        """Where an authorization server lives is said in public: the parts of these paths are no secrets."""
        if '"issuer"' in body or '"authorization_servers"' in body:
            for url in _METADATA_URL.findall(body):
                self._public_segments.update(unescape_json(url).split("/"))
        if '"client_id"' in body:
            self.registry.public.update(unescape_json(value) for value in _CLIENT_ID.findall(body))

    def url(self, url: str) -> str:
        """A URL: parts of its path, its query and its fragment, and URLs inside these."""
        rest, hash_, fragment = url.partition("#")
        before, question, query = rest.partition("?")
        fragment = self._pairs(fragment) if "=" in fragment else self.path(fragment)
        struck = self.path(before) + question + self._pairs(query) + hash_ + fragment
        return self._looked_behind(shapes.strike(struck, self._shaped(in_url)), asked=True)

    def path(self, before: str) -> str:
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
            if named or secret_values.is_random_segment(value):
                piece = in_url(self.registry.alias("path", value))
            pieces[place] = piece + self._parameters(semicolon + matrix)
        origin = f"{scheme}{slashes}{host}{slash}" if slashes else ""
        return origin + "/".join(pieces)

    def _pairs(self, text: str) -> str:
        pieces = _BETWEEN_PAIRS.split(text)
        # With `plain` the challenge is the verifier itself (RFC 7636, 4.2).
        plain = "code_challenge_method=plain" in pieces
        return "".join(piece if place % 2 else self._pair(piece, plain) for place, piece in enumerate(pieces))

    def _pair(self, piece: str, plain: bool) -> str:
        name, equals, raw = piece.partition("=" if "=" in piece else ":")
        if not equals or not raw:
            return piece
        name, value = unquote_plus(name), unquote_plus(raw)
        if plain and name == "code_challenge":
            return f"{name}={self._in_place(name, 'verifier', value, in_url, raw)}"
        if name in secret_names.PUBLIC or _MCP_SESSION.fullmatch(name):
            self.registry.public.add(value)
            self._look_into(value)
        elif (kind := secret_names.kind_of(name)) is not None and self._is_meant(name, value):
            return piece[: -len(raw)] + self._in_place(name, kind, value, in_url, raw)
        elif value.startswith("ey") and claims(value) is not None:
            return piece[: -len(raw)] + in_url(
                self.registry.alias("assertion" if name == "request" else "token", value)
            )
        return self._parameters(piece) if "%" in piece or "?" in piece or ";" in piece else piece

    def _is_meant(self, name: str, value: str) -> bool:
        """In a URL or a form, what has one of the names of the protocols is always a secret."""
        return secret_names.is_of_a_protocol(name) or secret_values.means_a_secret(name, value, asked=True)

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
        kind = secret_names.kind_of(name)
        if _MCP_SESSION.fullmatch(name):
            self.registry.public.add(value)
        elif kind is not None and self._is_meant(name, value):
            struck = self._in_place(name, kind, value, in_url, match["value"])
            if self._behind and value in self.registry:
                self.registry.learn_spelling(value, match["value"])
            return match["open"] + struck
        return match[0]

    def _members(self, text: str, asked: bool, *, claims: bool = False) -> str:
        """Members of JSON. `asked`: in a request, where a member of such a name is meant. `claims`: of a token, where
        `sid` is the name of a session and no key to it."""
        redeeming = asked and '"grant_type"' in text

        def means_a_secret(name: str, value: str) -> bool:
            return (
                (redeeming and secret_names.is_of_a_protocol(name))
                or value in self.registry
                or secret_values.means_a_secret(name, value, asked=asked)
            )

        def edit(member: members.Member) -> str | None:
            name, kind = member.name, secret_names.kind_of(member.name)
            if kind is None or (claims and kind == "session"):
                return None
            if is_struck(member.value) or secret_values.PLACEHOLDER.fullmatch(member.value):
                return None
            if not means_a_secret(name, member.value):
                return None
            if member.level > 1:
                return self.registry.short(kind, member.value) if kind != "request" else None
            return self._in_place(name, kind, member.value, in_json, member.raw)

        return members.edited(text, edit)

    def _assignments(self, text: str, asked: bool, write: Write) -> str:
        """What is assigned to a name in any text: a log, YAML, variables of an environment, a line of headers."""
        pieces: list[str] = []
        end = 0
        for match in secret_locations.ASSIGNMENT.finditer(text):
            name = match["name"]
            if match.end() < end or (kind := secret_names.kind_of(name)) is None or _MCP_SESSION.fullmatch(name):
                continue
            found = secret_locations.assigned(text, match)
            if found is None:
                continue
            start, raw, sure = found
            value = unescape_json(raw) if "\\" in raw else raw
            if kind in ("authorization", "cookie"):
                struck = self._credentials(kind, name, value)
            elif secret_values.is_telling(value) or (sure and secret_values.means_a_secret(name, value, asked=asked)):
                struck = None if kind == "code" and not secret_values.looks_random(value) else value
            else:
                continue
            if struck is None or is_struck(value) or secret_values.PLACEHOLDER.fullmatch(value):
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
            if start < end or value in self.registry.public or secret_values.PLACEHOLDER.fullmatch(value):
                continue
            kind = "key" if kind in ("authorization", "cookie") else kind
            pieces += (text[end:start], self._in_place(name, kind, value, write, value))
            end = stop
        return "".join([*pieces, text[end:]]) if pieces else text

    def _credentials(self, kind: str, name: str, value: str) -> str | None:
        """The value of a header that stands in a text; None where that is no secret."""
        header = "set-cookie" if "set" in name.lower() else kind
        words = [word for word in re.split(r"[\s;=,]+", value) if secret_values.is_telling(word.rstrip(".!?"))]
        if not words:
            return None
        if kind == "cookie" and not _COOKIES.match(value):
            return self.registry.alias("cookie", value)
        return auth_headers.strike(header, value, self.registry, client_login=False)

    def _in_part(self, name: str, value: str) -> str:
        """The content of a part of a form."""
        kind = secret_names.kind_of(name)
        if kind is None or is_struck(value) or not self._is_meant(name, value):
            return value
        return self._in_place(name, kind, value, str, value)

    def _strike_claims(self, text: str) -> str:
        """The JSON text of header or claims without the secrets in it."""
        if self._persons:
            text = pii.in_claims(text, self.person)
        text = self._jwts(self._parameters(self._members(text, asked=False, claims=True)), short_in_json)
        return self.redact_known(shapes.strike(text, self._shaped(short_in_json)))

    def _in_html(self, name: str, kind: str, raw: str, sure: bool) -> str:
        value = html.unescape(raw).strip()
        meant = (sure and secret_names.is_of_a_protocol(name)) or secret_values.means_a_secret(name, value, asked=False)
        if not value or not meant:
            return raw
        return self._in_place(name, kind, value, html.escape, raw)

    def _jwts(self, text: str, write: Write) -> str:
        """Whatever is shaped like a JWT is a token, wherever it stands."""

        def strike(match: re.Match[str]) -> str:
            value = match["value"]
            if value is None or value in self.registry.public:
                self._look_into(value or match["keep"].rpartition(":")[2].strip(' "'))
                return match[0]
            if jose_header(value) is None:
                return match[0]
            return write(self.registry.alias("token", value))

        return secret_locations.JWT.sub(strike, text) if secret_locations.may_hold_a_jwt(text) else text

    def _look_into(self, token: str) -> None:
        """A token that is meant to be read stays; what is a secret in its claims is learned, and struck."""
        if (said := claims(token)) is not None and self._behind < _DEEPEST:
            self._behind += 1
            self.text(json.dumps(said, ensure_ascii=False), asked=False)
            self._behind -= 1

    def _in_place(self, name: str, kind: str, value: str, write: Write, raw: str) -> str:
        """What to write for the value of a parameter or member of that name; `raw` when it is no secret."""
        if kind in ("authorization", "cookie"):
            struck = self._credentials(kind, name, value)
            return raw if struck is None or is_struck(value) else write(struck)
        start, secret = secret_values.worth_striking(kind, value)
        if not secret or is_struck(value):
            return raw
        return value[:start] + write(self.registry.alias(kind, value[start:]))
