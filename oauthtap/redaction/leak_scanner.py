"""Looks for secrets that were left behind, in exchanges and in any text.

Shares nothing with what struck them out: names, shapes (`leak_shapes.toml`) and the measure of disorder are its own,
so that a hole in the one is none in the other. Four ways: by *name*, by *shape*, by *disorder* (entropy), and by
*value*: a secret found in one file is looked for in all of them.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from oauthtap.model.exchange import Exchange, Message, Request

_ALIAS = re.compile(
    r"(?:‹|\\u2039|%E2%80%B9|&lsaquo;)(?P<inside>.*?)(?:›|\\u203a|%E2%80%BA|&rsaquo;)", re.DOTALL | re.I
)
_STRUCK = re.compile(
    r"‹|\\u2039|%E2%80%B9|\A\(?(?:[a-z]+(?:-[a-z]+)?[ +]\d{1,6}(?:[ +{][^()]*)?|path-\d{1,6})\)?\Z", re.IGNORECASE
)
_SECRET = re.compile(
    r"token|secret|passw|passphrase|passcode|passwd|pwd|apikey|accesskey|privatekey|secretkey|credential|cookie|jwt|bearer"
    r"|authorization\Z|assertion|saml|csrf|xsrf|xauth|session|mnemonic|devicecode|usercode|authcode|authreqid"
    r"|(?:verifier|signature|hmac|otp|dpop)\Z|\A(?:code|sig|sid|pin|key|pass|auth|ticket|requesturi|pw)\Z|.(?:keys?|sigs?|sid|pin)\Z"
)
_PASSWORD = re.compile(r"passw|passphrase|passcode|pwd|\A(?:pin|pass|pw|otp)\Z")
_WORDLESS = {"signature", "hmac", "key", "sig", "auth", "code", "session", "sid", "cookie", "ticket", "verifier"}
_NO_SECRET = re.compile(
    r"(?:type|types|endpoint|(?<!request)uris?|urls?|supported|methods?|alg|algs|algorithms?|values|names?|count|limit|expires|expiry"
    r"|expiresin|expiresat|at|ttl|lifetime|length|required|enabled|status|format|policy|use|used|usage|description|errors?"
    r"|challenge|challengemethod|field|label|title|version|scopes?|servers?|details|issuer|state|domain|kind|help|issued"
    r"|parameter|progresstoken|pagetoken|nexttoken|publickey|websocketkey|idempotencykey|mcpsessionid|challengemethods"
    r"|hash|responsecode|statuscode|errorcode)\Z"
    r"|\A(?:invalid|missing|expired|unsupported|insufficient|has|is|max|min|num|total|requires?|supports?|public|wrong|bad)"
    r"(?=.*(?:token|secret|pass|key|session|cookie|code))|\A(?:keys|jwks|maxtokens|tokens?used)\Z"
)
_PUBLIC = re.compile(
    r"(?:state|nonce|clientid|jti|kid|hash|codechallenge|etag|x5t|x5ts256|x5c|sessionid|cursor|requestid|traceid|ray|digest|"
    r"integrity|checksum|sha256|s256|uuid|guid|traceparent|tracestate|cfid|uid|sub|sid|softwarestatement|signedmetadata|jkt|"
    r"revision|version|commit|boundary|userid|tenant|tid|oid|softwareid|ephemeralid|jwk|thumbprint|rid|dmz|aio|uti)\Z"
    r"|\A(?:n|e|x|y|id|rh|connection|cfray|hosthdr|report|reportto|nel|location|userinfoid|oauthtapv1)\Z"
)
"""Names of values that open nothing: what stands there is no secret for being in disorder."""
_WORDS = re.compile(
    r"[A-Za-z]+(?:[ _.:/+-][A-Za-z]+)*[.!?]?|[A-Z]+(?:_[A-Z0-9]+)+|[A-Z]{2,10}[_-]?\d{1,6}|[\d.:,/TZ+-]+"
)
_USER_CODE = re.compile(r"[A-Z0-9]{3,}(?:-[A-Z0-9]{3,})*")
"""As RFC 8628 §6.1 has them, for people to type: letters alone, or digits alone."""
_PLACEHOLDER = re.compile(
    r"undefined|none|nil|\$\{?\w+\}?|\{+[^{}]*\}+|<[^<>]*>|%\w+%|\[object \w+\]|\*{3,}|x{3,}|\.{3,}|…"
    r"|made[-+ ]up.*|your[-_ ].*",
    re.IGNORECASE,
)
_EVERYDAY = {
    *("required", "optional", "invalid", "missing", "expired", "revoked", "incorrect", "wrong", "unknown", "string"),
    *("text", "hidden", "password", "secret", "token", "bearer", "basic", "default", "enabled", "disabled", "generic"),
    *("number", "object", "array", "boolean", "empty", "unset", "redacted", "masked", "plain", "post", "changed"),
}
_ASSIGNED = re.compile(
    r"(?<![\w%])(?P<name>[A-Za-z_][\w.-]{0,60}+(?:\[\w*\])?)"
    r"(?P<sep>\\*[\"']?[ \t]{0,3}(?:=>|:=|[:=]|,(?=[ \t]?\\*[\"']))[ \t]{0,3})"
    r"(?=(?:\\*[\"'`])?(?P<value>(?:[^\s\"'`\\,;&<>(){}\[\]|]|\\/|\\u00..){1,300}+))"
)
_SCHEME = re.compile(
    r"\b(?:Bearer|Basic|DPoP|Token|Hawk|SSWS)(?:\s|%20|\+){1,3}(?P<value>[A-Za-z0-9._~+/-]{8,}+=*)", re.I
)
_HEADER = re.compile(
    r"\b(?P<name>(?:proxy-)?authorization|(?:set-)?cookie)\\*[\"']?\s{0,3}[:=,]\s{0,3}\\*[\"']?(?P<value>[^\"'\\\r\n<>]{4,})",
    re.I,
)
_TAG = re.compile(
    r"<[^<>]*\b(?:name|key|id|property)\s*=\s*[\"']?(?P<name>[\w.:\[\]-]+)[^<>]*"
    r"\b(?:value|content)\s*=\s*[\"']?(?P<value>[^\"'<>\s]+)"
    r"|<[^<>]*\b(?:value|content)\s*=\s*[\"']?(?P<value2>[^\"'<>\s]+)[\"']?[^<>]*"
    r"\b(?:name|key|id|property)\s*=\s*[\"']?(?P<name2>[\w.:\[\]-]+)"
    r"|<(?P<element>[A-Za-z_][\w:.-]*)(?:\s[^<>]*)?>\s*(?:<!\[CDATA\[)?(?P<text>[^<>\[\]]{4,500})(?=\]\]>|</)"
)
_PART = re.compile(
    r'name="?(?P<name>[^"\r\n;]+)"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n(?P<value>.+?)(?=\r?\n--|\Z)', re.DOTALL
)
_JWT = re.compile(
    r"(?<![\w.-])ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+)?"
)
_RUN = re.compile(r"(?<![A-Za-z0-9+/_~=-])[A-Za-z0-9+/_~-]{16,200}+={0,2}")
_NAME_BEFORE = re.compile(r"([\w./-]{1,60})\\*[\"']?\s{0,3}[:=]\s{0,3}\\*[\"']?\Z")
_TOKEN = re.compile(r"‹›|[\w.+/~@$!%^#-]+(?:={0,2}(?![\w%=]))?(?P<colon>\\*[\"']?\s?:(?!//))?")
_VALUE_FIRST = re.compile(r"\bvalue:\s*[\"']?([\w+/=!.-]{10,300}+)[\"']?(?:\s|\\n)+(?:name|key):\s*[\"']?([\w.-]+)")
_HOLD_IT = ("value", "values", "text", "data", "content", "default", "current", "example", "new", "old", "raw")
"""Members that hold what another one names."""
_SAYS_NOTHING = {
    "value",
    "values",
    "val",
    "v",
    "text",
    "string",
    "data",
    "content",
    "uri",
    "type",
    "current",
    "default",
}
"""Members between the name of a secret and its value."""
_NEAR, _BETWEEN = 120, 7
"""How many characters and how many words may stand between a name and its value."""
_ORDINARY = re.compile(
    r"[A-Za-z][A-Za-z_.-]*/v?\d+(?:[.\d]+\w*)?|\d{4}-\d\d-\d\d.*|[A-Za-z]+[-_ ]?\d{1,3}(?:[-_.][A-Za-z]+)*"
    r"|(?:[\w-]+\.)+[a-z]{2,8}(?:[/:].*)?"
    r"|(?:RS|ES|PS|HS|SHA)-?\d{3}.*|\w+@[\w.-]+|/.*|.*://.*|[\d.:,/TZ+%-]+|(?:[A-Za-z]+[/_.-])*[A-Za-z]+\d?|.*%‹›.*"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_PERSON = {
    *("email", "sub", "name", "given_name", "family_name", "preferred_username", "upn", "unique_name", "nickname"),
    *("username", "user_name", "oid", "login_hint", "phone_number", "birthdate"),
}
_READABLE = re.compile(
    r"(?:signed_metadata|client_id|state|nonce|software_statement|request)\\{0,8}[\"']\s*:\s*\\{0,8}[\"']\Z|"
    r"[?&;](?:client_id|state|nonce|request)=\Z"
)


@dataclass(frozen=True)
class Leak:
    """Something that should not be there, without saying it."""

    place: str
    what: str
    """Kind and length."""


@dataclass
class LeakScanner:
    """Remembers what it found, so that it can be looked for elsewhere. Feed it everything, then ask `by_value`."""

    claims: bool = False
    """Persons are looked for too: the session was made with `--redact claims`."""
    examples: str = ""
    """Text that may be quoted and holds made-up secrets: the pages of the rules."""
    _found: set[str] = field(default_factory=set)
    _public: set[str] = field(default_factory=set)

    def note_public(self, exchanges: Iterable[Exchange]) -> None:
        """Remember what stands in these exchanges under the names of what opens nothing: states, ids, digests."""
        for exchange in exchanges:
            for name, value in _values(exchange):
                if _PUBLIC.search(_plain(name)):
                    self._public.add(value)

    def in_exchange(self, exchange: Exchange) -> Iterator[Leak]:
        """Every part of an exchange, by name, shape and disorder."""
        for place, message in (
            ("request", exchange.request),
            ("response", exchange.response),
            ("shown", exchange.delivered_response),
            ("sent", exchange.forwarded_request),
        ):
            if message is not None:
                yield from self._in_message(place, message)
        if exchange.error:
            yield from (Leak("error", what) for what in self._all_in(exchange.error))

    def in_document(self, document: Any, place: str = "", name: str = "") -> Iterator[Leak]:
        """Every value of a JSON document."""
        if isinstance(document, dict):
            yield from self._in_pair(document, place)
            for key, inner in document.items():
                held = _SECRET.search(_plain(name)) and not _NO_SECRET.search(_plain(name)) and _is_a_code(key)
                found = [self._what(name, key)] if held else [*self._shapes(key)]
                yield from (Leak(place or name, what) for what in dict.fromkeys(found))
                yield from self.in_document(inner, f"{place}.{key}".lstrip("."), _closer(name, str(key)))
        elif isinstance(document, list):
            for first, second in pairwise(document) if len(document) <= 4 else ():
                if isinstance(first, str) and isinstance(second, str) and len(first) <= 100:
                    yield from (Leak(place, what) for what in self._named(first, second))
            for number, inner in enumerate(document):
                yield from self.in_document(inner, f"{place}[{number}]", name)
        elif isinstance(document, str):
            found = [*self._named(name, document), *self._all_in(document, name)]
            found += self._in_url(document) if "://" in document and " " not in document else ()
            yield from (Leak(place or name, what) for what in dict.fromkeys(found))
        elif isinstance(document, int) and not isinstance(document, bool) and len(str(document)) >= 4:
            plain = _plain(name)
            if _PASSWORD.search(plain) and not _NO_SECRET.search(plain):
                yield Leak(place or name, self._what(name, str(document)))

    def _in_pair(self, document: dict[str, Any], place: str) -> Iterator[Leak]:
        """An object that has a name in one member and its value in another."""
        members = {key.lower(): value for key, value in document.items()}
        for key in ("name", "key", "label", "field", "header", "path", "id", "variable", "parameter", "property"):
            if not isinstance(named := members.get(key), str) or len(named) > 100:
                continue
            where = place.rsplit(".", 1)[-1].partition("[")[0]
            known = "cookie" if where == "cookies" else named
            for other in (
                "value",
                "values",
                "text",
                "data",
                "content",
                "default",
                "current",
                "example",
                "new",
                "old",
                "raw",
            ):
                values = members.get(other)
                for value in values if isinstance(values, list) else [values]:
                    if isinstance(value, str):
                        yield from (Leak(place or named, what) for what in self._named(known, value))

    def in_text(self, text: str, *, by_place: bool = True) -> Iterator[Leak]:
        """Line by line. `by_place` is False for bytes that hold text: then by shape alone."""
        for number, line in enumerate(text.split("\n"), 1):
            found = self._all_in(line) if by_place else self._shapes(line)
            yield from (Leak(f"line {number}", what) for what in dict.fromkeys(found))

    def by_value(self, text: str) -> Iterator[Leak]:
        """Every secret found so far, as it is or encoded. Meant for a second look at every file."""
        wanted = {value for value in self._found if len(value) >= 8}
        for number, line in enumerate(text.split("\n") if wanted else (), 1):
            readings = "\n".join(_readings(line))
            if any(value in readings for value in wanted):
                yield Leak(f"line {number}", "a secret found elsewhere in this session, as it is or encoded")

    # --- one message

    def _in_message(self, place: str, message: Message) -> Iterator[Leak]:
        if isinstance(message, Request):
            yield from (Leak(f"{place}.url", what) for what in dict.fromkeys(self._in_url(message.url)))
        for name, value in message.headers:
            found = [*self._named(name, value, header=True), *self._all_in(value, name)]
            yield from (Leak(f"{place}.header.{name.lower()}", what) for what in dict.fromkeys(found))
        if message.body:
            yield from (Leak(f"{place}.body", what) for what in dict.fromkeys(self._in_body(message.body)))

    def _in_body(self, body: str) -> Iterator[str]:
        document = _json(body)
        if document is not None:
            yield from (leak.what for leak in self.in_document(document))
        elif "form-data" in body[:2000]:
            for match in _PART.finditer(body):
                yield from self._named(match["name"], match["value"])
                yield from self._all_in(match["value"], match["name"])
            yield from self._all_in(body)
        elif re.match(r"\s*[\w.~%$\[\]-]+=", body) and "<" not in body[:200]:
            yield from self._in_pairs(body)
        else:
            yield from self._near(body.replace("\ndata:", "\n"))
            for line in body.split("\n"):
                inner = _json(line.partition("data:")[2]) if line.startswith("data:") else None
                yield from (leak.what for leak in self.in_document(inner)) if inner is not None else self._all_in(line)

    def _in_url(self, url: str) -> Iterator[str]:
        before, _, query = url.partition("?")
        yield from self._in_pairs(query.replace("#", "&"))
        pieces = before.split("/")
        for last, piece in zip(["", *pieces], pieces, strict=False):
            if "‹" in piece:
                continue
            piece = unquote(piece)
            secret = _SECRET.search(_plain(last)) and not _NO_SECRET.search(_plain(last)) and re.search(r"\d", piece)
            if secret and _speaks(piece) and len(piece) >= 8 and "." not in piece:
                yield self._what(last, piece)
            elif any(len(part) >= 20 and self._in_disorder(part) for part in piece.split(":")):
                yield self._what("a part of a path", piece)
        yield from self._shapes(url)

    def _in_pairs(self, text: str) -> Iterator[str]:
        # A plus stays one: in a secret it is a character of base64 more often than a blank.
        for name, value in parse_qsl(text.replace("+", "%2B"), keep_blank_values=True):
            if not re.fullmatch(r"session_?id", name, re.IGNORECASE):  # of the HTTP+SSE transport
                yield from self._named(name, value)
            yield from self._all_in(value, name)

    # --- one text

    def _all_in(self, text: str, name: str = "") -> Iterator[str]:
        """By name, by shape, by disorder: in the text, and in what it says once it is decoded."""
        if len(text) < 4:
            return
        yield from self._looked(text, name)
        for view in _views(text):
            yield from self._looked(view, name, decoded=True)

    def _looked(self, text: str, name: str, *, decoded: bool = False) -> Iterator[str]:
        inside = [match["inside"] for match in _ALIAS.finditer(text)]
        bare = _ALIAS.sub("‹›", text)
        for part in (bare, *inside):
            yield from self._shapes(part)
            if self.claims:
                yield from self._persons(part)
        yield from self._assignments(bare)
        yield from self._near(bare)
        yield from self._in_claims(bare)
        if not decoded and not _PUBLIC.search(_plain(name)):
            for match in _RUN.finditer(bare):
                named = _NAME_BEFORE.search(bare, max(0, match.start() - 80), match.start())
                if not (named and _PUBLIC.search(_plain(named[1]))) and self._in_disorder(match[0]):
                    yield self._what("disorder", match[0])
            document = _json(text) if text[:1] in "{[" else None
            if document is not None:
                yield from (leak.what for leak in self.in_document(document))

    def _named(self, name: str, value: str, *, header: bool = False) -> Iterator[str]:
        plain = _plain(name)
        value = _ALIAS.sub("‹›", value)
        if not value or not _SECRET.search(plain) or _NO_SECRET.search(plain):
            return
        if header and name.lower().startswith(("access-control-", "sec-", "www-", "content-")):
            return
        if "cookie" in plain:
            pairs = re.match(r"\s*[\w.$@-]+=[^=]", value)
            for piece in value.split(";") if pairs else (value,):
                part = piece.partition("=")[2] if pairs and "=" in piece else piece
                attribute = piece.strip().partition("=")[0].lower() in (
                    "expires",
                    "path",
                    "domain",
                    "max-age",
                    "samesite",
                )
                if not attribute and len(part) >= 6 and self._is_secret(plain, part.strip(' "')):
                    yield self._what(name, part)
            return
        words = value.split()
        for word in words if plain.endswith("authorization") else [value]:
            if self._is_secret(plain, word):
                yield self._what(name, word)

    def _is_secret(self, plain: str, value: str) -> bool:
        """What stands behind such a name is no alias, no placeholder, and no word."""
        if (
            _STRUCK.search(value)
            or _PLACEHOLDER.fullmatch(value)
            or value.lower() in _EVERYDAY
            or value in self.examples
        ):
            return False
        if (value.startswith("urn:") and "request_uri" not in value) or re.match(r"https?://", value):
            return False
        if plain.endswith("usercode"):
            return _USER_CODE.fullmatch(value) is not None
        if plain == "code" or plain in _WORDLESS:
            return len(value) >= (12 if plain == "code" else 8) and " " not in value and _speaks(value)
        if _PASSWORD.search(plain):
            return len(value) >= 4 and " " not in value and not re.fullmatch(r"[A-Za-z]+(?:[_.:/-][A-Za-z]+)+", value)
        return len(value) >= 6 and (" " not in value or len(value) > 200) and _speaks(value)

    def _assignments(self, text: str) -> Iterator[str]:
        for match in _ASSIGNED.finditer(text):
            plain = _plain(match["name"])
            value = match["value"].rstrip(".,;:!?")
            if not _SECRET.search(plain) or _NO_SECRET.search(plain) or plain.endswith(("authorization", "setcookie")):
                continue
            if plain == "cookie":
                continue
            if match["sep"].lstrip("\\\"' ").startswith(",") and (len(value) < 12 or not re.search(r"\d", value)):
                continue
            if re.fullmatch(r"session_?id", match["name"], re.IGNORECASE) and value in self._public:
                continue
            if (
                len(value) >= 6
                and _speaks(value)
                and re.search(r"\d|[a-z][A-Z]|[+/=!@#$%^*]", value)
                and self._is_secret(plain, value)
            ):
                yield self._what(match["name"], value)
        for match in _HEADER.finditer(text):
            for word in re.split(r"[\s;=,]+", match["value"]):
                if len(word) >= 8 and re.search(r"\d", word) and _speaks(word) and self._is_secret("token", word):
                    yield self._what(match["name"], word)
        for match in _TAG.finditer(text) if "<" in text else ():
            name = match["name"] or match["name2"] or match["element"]
            value = (match["value"] or match["value2"] or match["text"] or "").strip()
            plain = _plain(name.rpartition(":")[2]) if match["element"] != "code" else ""
            named = _SECRET.search(plain) and not _NO_SECRET.search(plain) and " " not in value and len(value) >= 6
            if named and self._is_secret(plain, value) and (_speaks(value) or _PASSWORD.search(plain)):
                yield self._what(name, value)

    def _near(self, text: str) -> Iterator[str]:
        """The name of a secret, and within a few words something that is no word: in sentences, tables, options."""
        for first in _VALUE_FIRST.finditer(text):
            if _SECRET.search(_plain(first[2])) and not _is_another(_plain(first[2])) and _is_a_code(first[1]):
                yield self._what(first[2], first[1])
        name, at, between = "", 0, 0
        for match in _TOKEN.finditer(text):
            word = match[0]
            plain = _plain(word) if len(word) <= 80 else ""
            value = word.strip("%!$#=+/.~-@") if match["colon"] is None else ""
            if name and text[max(0, match.start() - 1) : match.start() + 1].endswith((f"<{word[0]}", "</")):
                continue  # a tag
            if word == "‹›":
                name = ""
            elif name and value and match.start() - at <= _NEAR and between <= _BETWEEN and _is_a_code(value):
                if value not in self._public and value not in self.examples:
                    yield self._what(name, value)
                name = ""
            elif plain and _SECRET.search(plain) and not _NO_SECRET.search(plain):
                name, at, between = word, match.end(), 0
            elif _is_another(plain) or (match["colon"] is not None and plain not in _SAYS_NOTHING):
                name = ""
            else:
                between += 1

    def _in_claims(self, text: str) -> Iterator[str]:
        """What the tokens say that are meant to be read, and the tokens inside."""
        for match in _JWT.finditer(text) if "ey" in text else ():
            part = match[0].split(".")[1]
            said = _json(_from_base64(part.rstrip("=")) or "") if _is_jwt(match[0]) else None
            if isinstance(said, dict):
                yield from (leak.what for leak in self.in_document(said))

    def _shapes(self, text: str) -> Iterator[str]:
        for what, hint, pattern in _shapes():
            if hint in text:
                for match in pattern.finditer(text):
                    if "‹" not in match[0] and match[0] not in self.examples:
                        yield self._what(what, match[0].strip('"= :'))
        for match in _JWT.finditer(text) if "ey" in text else ():
            meant = _READABLE.search(text[: match.start()][-60:]) or match[0] in self._public
            if _is_jwt(match[0]) and not meant and match[0] not in self.examples:
                yield self._what("a JWT", match[0])
        for match in _SCHEME.finditer(text):
            value = match["value"].rstrip(".")
            if _speaks(value.rstrip("=")) and re.search(r"\d|[a-z][A-Z]", value) and self._is_secret("token", value):
                yield self._what("credentials", value)

    def _in_disorder(self, run: str) -> bool:
        """A string that nobody would write: letters and digits in no order, of more bits than words have."""
        if run.startswith(("sha256-", "sha384-", "sha512-", "X-", "x-")):  # digests of scripts; names of header lines
            return False
        if "/" in run.strip("/"):
            parts = run.split("/")
            known = {part for part in parts if part in self._public}
            if known or max(map(len, parts)) >= 20 or run.startswith("/"):
                return any(self._in_disorder(part) for part in parts if part not in known)
        run = run.strip("/")
        if run in self._public or run in self.examples or "‹" in run or _UUID.search(run):
            return False
        plain = run.rstrip("=")
        longest = max(re.split(r"[/_.~+-]", plain), key=len)
        if len(longest) < 16:
            longest = plain if len(re.findall(r"\d", plain)) >= 5 and plain.count("/") <= 1 and len(plain) >= 24 else ""
        turns = len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", longest))
        if turns < 4 or any(run in public or public in run for public in self._public if len(public) >= 12):
            return False
        return _entropy(longest) >= (3.0 if re.fullmatch(r"[0-9a-f-]+", longest) else 3.5)

    def _persons(self, text: str) -> Iterator[str]:
        for match in _EMAIL.finditer(text):
            if not match[0].lower().endswith((".example", ".invalid")):
                yield f"an e-mail address of {len(match[0])} characters"
        if '"' in text:
            for match in re.finditer(r'"(\w+)\\*"\s*:\s*\\*"([^"\\]+)', text):
                if match[1] in _PERSON - {"name"} and not _STRUCK.search(match[2]):
                    yield f"personal data ({match[1]})"

    def _what(self, name: str, value: str) -> str:
        self._found.add(value)
        return f"{name[:40]}: a secret of {len(value)} characters" if name else f"a secret of {len(value)} characters"


# --- values


def _closer(outer: str, name: str) -> str:
    """The name to judge a member by: its own, or that of what it stands in where its own says nothing."""
    plain = _plain(name)
    says = _SECRET.search(plain) or _NO_SECRET.search(plain) or _PUBLIC.search(plain)
    return name if says or not _SECRET.search(_plain(outer)) or plain in ("name", "username", "email") else outer


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _speaks(value: str) -> bool:
    """It is no word, no number and no sentence."""
    return not _WORDS.fullmatch(value)


def _is_another(plain: str) -> bool:
    """The name of something that is no secret: what comes next is its value."""
    return bool(plain and (_PUBLIC.search(plain) or _NO_SECRET.search(plain)))


@lru_cache(maxsize=8192)
def _is_a_code(value: str) -> bool:
    """Letters and digits in no order, ten or more: no word with a number, no version, date, host or address."""
    if len(value) < 10 or len(value) > 4000 or _ORDINARY.fullmatch(value) or _UUID.fullmatch(value):
        return False
    turns = len(re.findall(r"[A-Za-z](?=\d)|\d(?=[A-Za-z])", value))
    return turns >= 2 and len(re.findall(r"\d", value)) >= 2 and _entropy(value) > 2.5


def _entropy(text: str) -> float:
    """Shannon's, in bits a character."""
    if not text:
        return 0.0
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


@cache
def _shapes() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    document = tomllib.loads((files("oauthtap.redaction") / "leak_shapes.toml").read_text("utf-8"))
    return tuple((shape["what"], shape.get("hint", ""), re.compile(shape["pattern"])) for shape in document["shape"])


def _is_jwt(text: str) -> bool:
    part = text.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(header, dict) and bool({"alg", "typ", "enc", "kid"} & header.keys())


def _json(text: str) -> Any:
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        return None
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        return None


def _values(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Name and value of whatever has a name in an exchange, in the claims of tokens too."""
    for message in (exchange.request, exchange.response, exchange.delivered_response, exchange.forwarded_request):
        if message is None:
            continue
        yield from message.headers
        for text in (message.body or "", *(value for _, value in message.headers)):
            yield from parse_qsl(text.partition("?")[2] or text) if "=" in text and len(text) < 100_000 else ()
            for match in re.finditer(r'"([\w./-]{1,60})\\*"\s*:\s*\\*"([^"\\]{1,4000})', text):
                yield match[1], match[2]
            for match in re.finditer(r"\b(s256|boundary|client_id)=([\w.%~-]+)", text):
                yield match[1], unquote(match[2])
        if isinstance(message, Request):
            yield from parse_qsl(message.url.partition("?")[2])


def _views(text: str) -> Iterator[str]:
    """The text as those read it who decode it, where that says something else."""
    seen = {text}
    for decode in (
        unquote,
        html.unescape,
        _without_escapes,
        lambda one: html.unescape(_without_escapes(unquote(unquote(one)))),
        lambda one: html.unescape(html.unescape(_without_escapes(unquote(unquote(unquote(one)))))),
    ):
        if (view := decode(text)) not in seen:
            seen.add(view)
            yield view
    for run in re.findall(r"(?<![\w+/.-])(?!ey[\w-]*\.)[A-Za-z0-9+/_-]{24,4000}={0,2}(?![\w.-])", text)[:50]:
        hidden = _from_base64(run)
        if hidden is not None and hidden.isprintable() and hidden not in seen:
            seen.add(hidden)
            yield hidden


def _readings(line: str) -> Iterator[str]:
    """For a value that is known: also at any offset of base64."""
    yield line
    deep = html.unescape(html.unescape(_without_escapes(unquote_plus(unquote(line)))))
    yield from (unquote(unquote(line)), deep)
    for run in re.findall(r"[A-Za-z0-9+/_-]{12,}", _without_escapes(unquote(unquote(line)))):
        for start in range(4):
            part = run[start:].translate(str.maketrans("-_", "+/"))
            part = part[:-1] if len(part) % 4 == 1 else part
            yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")


def _without_escapes(text: str) -> str:
    if "\\" not in text:
        return text
    text = re.sub(r"(?<!\\)\\+u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"(?<!\\)\\+([/\"])", r"\1", text)


def _from_base64(run: str) -> str | None:
    plain = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    if len(plain) % 4 == 1:
        return None
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        return None
