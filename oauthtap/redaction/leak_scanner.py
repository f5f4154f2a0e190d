"""Looks for secrets that were left behind, in exchanges and in any text.

Shares nothing with what struck them out: names, shapes (`leak_shapes.toml`) and the measure of disorder are its own,
so that a hole in the one is none in the other. Four ways: by *name*, by *shape*, by *disorder* (entropy), and by
*value*: a secret found in one file is looked for in all of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, unquote

from oauthtap.model.exchange import Exchange, Message, Request
from oauthtap.redaction import leak_decoding as decoding
from oauthtap.redaction import leak_disorder as disorder
from oauthtap.redaction import leak_names as names
from oauthtap.redaction import leak_patterns as patterns


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
            for name, value in decoding.named_values(exchange):
                if names.PUBLIC.search(names.folded(name)):
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
            yield from self._in_columns(document, place)
            for key, inner in document.items():
                held = names.names_one(names.folded(name)) and names.is_a_code(key)
                found = [self._what(name, key)] if held else [*self._shapes(key)]
                yield from (Leak(place or name, what) for what in dict.fromkeys(found))
                yield from self.in_document(inner, f"{place}.{key}".lstrip("."), names.closer_name(name, str(key)))
        elif isinstance(document, list):
            for first, second in pairwise(document):
                if not (isinstance(first, str) and isinstance(second, str) and len(first) <= 100):
                    continue
                if len(document) <= 4 or names.is_a_code(second):
                    yield from (Leak(place, what) for what in self._named(first, second))
            for number, inner in enumerate(document):
                yield from self.in_document(inner, f"{place}[{number}]", name)
        elif isinstance(document, str):
            found = [*self._named(name, document), *self._all_in(document, name)]
            if " " in document and names.names_one(names.folded(name)):
                found += self._near(f"{name} {names.split_aliases(document[:2000])[0]}")
            found += self._in_url(document) if "://" in document and " " not in document else ()
            yield from (Leak(place or name, what) for what in dict.fromkeys(found))
        elif isinstance(document, int) and not isinstance(document, bool) and len(str(document)) >= 4:
            plain = names.folded(name)
            if names.PASSWORD.search(plain) and not names.NO_SECRET.search(plain):
                yield Leak(place or name, self._what(name, str(document)))

    def _in_pair(self, document: dict[str, Any], place: str) -> Iterator[Leak]:
        """An object that has a name in one member and its value in another."""
        for key, said in document.items():
            named = said[-1] if isinstance(said, list) and said else said
            if key.lower() not in patterns.NAMES_ONE or not isinstance(named, str) or len(named) > 100:
                continue
            where = place.rsplit(".", 1)[-1].partition("[")[0]
            known = "cookie" if where == "cookies" else named.rpartition("/")[2]
            for other, held in document.items():
                if other.lower() in patterns.HOLD_IT:
                    for value in held if isinstance(held, list) else [held]:
                        if isinstance(value, str):
                            yield from (Leak(place or named, what) for what in self._named(known, value))
                if other != key and names.names_one(names.folded(known)):
                    yield from (Leak(place or named, what) for what in self._codes_in(known, other, held))

    def _codes_in(self, name: str, key: str, held: Any, deep: int = 0) -> Iterator[str]:
        """Whatever looks like a secret in a member, and in those inside it."""
        plain = names.folded(key)
        if names.PUBLIC.search(plain) or names.NO_SECRET.search(plain) or deep > 3:
            return
        if isinstance(held, str) and names.is_a_code(held) and held not in self._public and "‹" not in held:
            yield self._what(name, held)
        elif isinstance(held, dict):
            for inner, value in held.items():
                yield from self._codes_in(name, inner, value, deep + 1)
        elif isinstance(held, list):
            for value in held[:20]:
                yield from self._codes_in(name, key, value, deep + 1)

    def _in_columns(self, document: dict[str, Any], place: str) -> Iterator[Leak]:
        """A list of names, and a list of values or of rows beside it."""
        lists = [value for value in document.values() if isinstance(value, list) and value][:10]
        for heads in lists if len(lists) > 1 else ():
            titles = [head.get("name") if isinstance(head, dict) else head for head in heads[:100]]
            for number, title in enumerate(titles):
                if not isinstance(title, str) or not names.names_one(names.folded(title)):
                    continue
                for row in (row for other in lists if other is not heads for row in (other, *other[:200])):
                    cell = row[number] if isinstance(row, list) and len(row) == len(heads) else None
                    if isinstance(cell, str) and names.is_a_code(cell) and cell not in self._public:
                        yield Leak(place or title, self._what(title, cell))

    def in_text(self, text: str, *, by_place: bool = True) -> Iterator[Leak]:
        """Line by line. `by_place` is False for bytes that hold text: then by shape alone."""
        for number, line in enumerate(text.split("\n"), 1):
            found = self._all_in(line) if by_place else self._shapes(line)
            yield from (Leak(f"line {number}", what) for what in dict.fromkeys(found))

    def by_value(self, text: str) -> Iterator[Leak]:
        """Every secret found so far, as it is or encoded. Meant for a second look at every file."""
        wanted = {value for value in self._found if len(value) >= 8}
        for number, line in enumerate(text.split("\n") if wanted else (), 1):
            readings = "\n".join(decoding.readings(line))
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
        document = decoding.parsed_json(body)
        if document is not None:
            yield from (leak.what for leak in self.in_document(document))
        elif "form-data" in body[:2000]:
            for match in patterns.PART.finditer(body):
                yield from self._named(match["name"], match["value"])
                yield from self._all_in(match["value"], match["name"])
            yield from self._all_in(body)
        elif re.match(r"\s*[\w.~%$\[\]-]+=", body) and "<" not in body[:200]:
            yield from self._in_pairs(body)
        else:
            yield from self._near(body.replace("\ndata:", "\n"))
            for line in body.split("\n"):
                inner = decoding.parsed_json(line.partition("data:")[2]) if line.startswith("data:") else None
                yield from (leak.what for leak in self.in_document(inner)) if inner is not None else self._all_in(line)

    def _in_url(self, url: str) -> Iterator[str]:
        before, _, query = url.partition("?")
        yield from self._in_pairs(query.replace("#", "&"))
        pieces = before.split("/")
        for last, piece in zip(["", *pieces], pieces, strict=False):
            if "‹" in piece:
                continue
            piece = unquote(unquote(piece))
            for name, value in pairwise(re.split(r"[:;,=()]", piece)):
                if names.names_one(names.folded(name)) and names.is_a_code(value):
                    yield self._what(name, value)
            secret = names.names_one(names.folded(last)) and re.search(r"\d", piece)
            if secret and names.speaks(piece) and len(piece) >= 8 and "." not in piece:
                yield self._what(last, piece)
            elif any(len(part) >= 20 and self._in_disorder(part) for part in piece.split(":")):
                yield self._what("a part of a path", piece)
        yield from self._shapes(url)

    def _in_pairs(self, text: str) -> Iterator[str]:
        # A plus stays one: in a secret it is a character of base64 more often than a blank.
        for name, value in parse_qsl(text.replace("+", "%2B"), keep_blank_values=True):
            if not patterns.OF_TRANSPORT.fullmatch(name):
                yield from self._named(name, value)
            yield from self._all_in(value, name)
        for piece in re.split(r"[&\r\n]", text):
            name, sign, value = (piece if "=" in piece else piece.replace(":", "=", 1)).partition("=")
            value = unquote(value).strip()
            if patterns.OF_TRANSPORT.fullmatch(name.strip("?; ")) or value in self._public:
                continue
            if sign and names.names_one(names.folded(name)) and names.is_a_code(value) and "‹" not in piece:
                yield self._what(name.strip(), value)

    # --- one text

    def _all_in(self, text: str, name: str = "") -> Iterator[str]:
        """By name, by shape, by disorder: in the text, and in what it says once it is decoded."""
        if len(text) < 4:
            return
        yield from self._looked(text, name)
        for view in decoding.views(text):
            yield from self._looked(view, name, decoded=True)

    def _looked(self, text: str, name: str, *, decoded: bool = False) -> Iterator[str]:
        bare, inside = names.split_aliases(text)
        for part in (bare, *inside):
            yield from self._shapes(part)
            if self.claims:
                yield from self._persons(part)
        yield from self._assignments(bare)
        yield from self._near(bare)
        yield from self._in_claims(bare)
        if not decoded and not names.PUBLIC.search(names.folded(name)):
            for match in patterns.RUN.finditer(bare):
                named = patterns.NAME_BEFORE.search(bare, max(0, match.start() - 80), match.start())
                if not (named and names.PUBLIC.search(names.folded(named[1]))) and self._in_disorder(match[0]):
                    yield self._what("disorder", match[0])
            document = decoding.parsed_json(text) if text[:1] in "{[" else None
            if document is not None:
                yield from (leak.what for leak in self.in_document(document))

    def _named(self, name: str, value: str, *, header: bool = False) -> Iterator[str]:
        plain = names.folded(name)
        value, _ = names.split_aliases(value)
        if not value or not names.names_one(plain):
            return
        if header and name.lower().startswith(("access-control-", "sec-", "www-", "content-")):
            return
        if "cookie" in plain:
            pairs = re.match(r"\s*[\w.$@-]+=[^=]", value)
            for piece in value.split(";") if pairs else (value,):
                part = piece.partition("=")[2] if pairs and "=" in piece else piece
                attribute = piece.strip().partition("=")[0].lower() in patterns.OF_A_COOKIE
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
            names.STRUCK.search(value)
            or names.PLACEHOLDER.fullmatch(value)
            or value.lower() in names.EVERYDAY
            or value in self.examples
        ):
            return False
        if (value.startswith("urn:") and "request_uri" not in value) or re.match(r"https?://", value):
            return False
        if plain.endswith("usercode"):
            return names.USER_CODE.fullmatch(value) is not None
        if plain == "code" or plain in names.WORDLESS:
            return len(value) >= (12 if plain == "code" else 8) and " " not in value and names.speaks(value)
        if names.PASSWORD.search(plain):
            return len(value) >= 4 and " " not in value and not re.fullmatch(r"[A-Za-z]+(?:[_.:/-][A-Za-z]+)+", value)
        return len(value) >= 6 and (" " not in value or len(value) > 200) and names.speaks(value)

    def _assignments(self, text: str) -> Iterator[str]:
        for match in patterns.ASSIGNED.finditer(text):
            plain = names.folded(match["name"])
            value = match["value"].rstrip(".,;:!?")
            if not names.names_one(plain) or plain.endswith(("authorization", "setcookie")):
                continue
            if plain == "cookie":
                continue
            if match["sep"].lstrip("\\\"' ").startswith(",") and (len(value) < 12 or not re.search(r"\d", value)):
                continue
            if patterns.OF_TRANSPORT.fullmatch(match["name"]) and value in self._public:
                continue
            spoken = (
                len(value) >= 6 and names.speaks(value) and re.search(r"\d|[a-z][A-Z]|[+/=!@#$%^*]", value) is not None
            )
            typed = plain.endswith("usercode") and re.search(r"[\d-]", value)  # words and numbers to others
            if (spoken or typed) and self._is_secret(plain, value):
                yield self._what(match["name"], value)
        for match in patterns.HEADER.finditer(text):
            for word in re.split(r"[\s;=,]+", match["value"]):
                if len(word) >= 8 and re.search(r"\d", word) and names.speaks(word) and self._is_secret("token", word):
                    yield self._what(match["name"], word)
        for match in patterns.TAG.finditer(text) if "<" in text else ():
            name = match["name"] or match["name2"] or match["element"]
            value = (match["value"] or match["value2"] or match["text"] or "").strip()
            plain = names.folded(name.rpartition(":")[2]) if match["element"] != "code" else ""
            named = names.names_one(plain) and " " not in value and len(value) >= 6
            if named and self._is_secret(plain, value) and (names.speaks(value) or names.PASSWORD.search(plain)):
                yield self._what(name, value)

    def _near(self, text: str) -> Iterator[str]:
        """The name of a secret, and within a few words something that is no word: in sentences, tables, options."""
        for first in patterns.VALUE_FIRST.finditer(text):
            if (
                names.SECRET.search(names.folded(first[2]))
                and not names.is_another(names.folded(first[2]))
                and names.is_a_code(first[1])
            ):
                yield self._what(first[2], first[1])
        for match in patterns.FOREIGN.finditer(text):
            if names.speaks(match[1]) and "‹" not in match[1]:
                yield self._what("password", match[1])
        name, at, between = "", 0, 0
        code: re.Match[str] | None = None
        for match in patterns.TOKEN.finditer(text):
            word = match[0]
            plain = names.folded(word) if len(word) <= 80 else ""
            value = word.strip("%!$#=+/.~-@") if match["colon"] is None else ""
            if name and text[max(0, match.start() - 1) : match.start() + 1].endswith((f"<{word[0]}", "</")):
                continue  # a tag
            if word == "‹›":
                name, code = "", None
            elif name and value and names.is_a_code(value) and patterns.is_near(match.start() - at, between):
                if value not in self._public and value not in self.examples:
                    yield self._what(name, value)
                name = ""
            elif plain and names.names_one(plain):
                if code and self._leads_on(text, code, match):
                    yield self._what(word, code[0])
                name, at, between, code = word, match.end(), 0, None
            elif names.is_another(plain) or (match["colon"] is not None and not names.says_nothing(plain)):
                name = name if patterns.LED_BY.search(text, max(0, match.start() - 6), match.start()) else ""
            else:
                between += 1
            if plain and names.is_a_code(word.rstrip(":\"'\\ ")):
                named = patterns.HAS_A_NAME.search(text, max(0, match.start() - 60), match.start())
                code = None if named else match

    def _leads_on(self, text: str, code: re.Match[str], name: re.Match[str]) -> bool:
        """Between a value and a name stands that the one is the other: `… is my token`, `… (token)`."""
        value = code[0].rstrip(":\"'\\ ")
        if value in self._public or value in self.examples or patterns.ABOUT.match(text, name.end()):
            return False
        return patterns.LEADS_ON.fullmatch(code[0][len(value) :] + text[code.end() : name.start()]) is not None

    def _in_claims(self, text: str) -> Iterator[str]:
        """What the tokens say that are meant to be read, and the tokens inside."""
        for match in decoding.JWT.finditer(text) if "ey" in text else ():
            part = match[0].split(".")[1]
            said = (
                decoding.parsed_json(decoding.from_base64(part.rstrip("=")) or "")
                if decoding.is_jwt(match[0])
                else None
            )
            if isinstance(said, dict):
                yield from (leak.what for leak in self.in_document(said))

    def _shapes(self, text: str) -> Iterator[str]:
        for what, hint, pattern in _shapes():
            if hint in text:
                for match in pattern.finditer(text):
                    if "‹" not in match[0] and match[0] not in self.examples:
                        yield self._what(what, match[0].strip('"= :'))
        for match in decoding.JWT.finditer(text) if "ey" in text else ():
            meant = patterns.READABLE.search(text[: match.start()][-60:]) or match[0] in self._public
            if decoding.is_jwt(match[0]) and not meant and match[0] not in self.examples:
                yield self._what("a JWT", match[0])
        for match in patterns.SCHEME.finditer(text):
            value = match["value"].rstrip(".")
            if (
                names.speaks(value.rstrip("="))
                and re.search(r"\d|[a-z][A-Z]", value)
                and self._is_secret("token", value)
            ):
                yield self._what("credentials", value)

    def _in_disorder(self, run: str) -> bool:
        return disorder.is_in_disorder(run, self._public, self.examples)

    def _persons(self, text: str) -> Iterator[str]:
        for match in patterns.EMAIL.finditer(text):
            if not match[0].lower().endswith((".example", ".invalid")):
                yield f"an e-mail address of {len(match[0])} characters"
        if '"' in text:
            for match in re.finditer(r'"(\w+)\\*"\s*:\s*\\*"([^"\\]+)', text):
                if match[1] in names.PERSON - {"name"} and not names.STRUCK.search(match[2]):
                    yield f"personal data ({match[1]})"

    def _what(self, name: str, value: str) -> str:
        self._found.add(value)
        return f"{name[:40]}: a secret of {len(value)} characters" if name else f"a secret of {len(value)} characters"


@cache
def _shapes() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    document = tomllib.loads((files("oauthtap.redaction") / "leak_shapes.toml").read_text("utf-8"))
    return tuple((shape["what"], shape.get("hint", ""), re.compile(shape["pattern"])) for shape in document["shape"])
