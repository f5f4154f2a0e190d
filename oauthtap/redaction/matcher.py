"""`SecretMatcher`: finds secrets seen so far again in any text, however it is encoded.

Cost does not grow with the number of secrets: where there are many, a text is cut into runs of token characters,
and only an eight-character window that belongs to a secret leads to a closer look.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from oauthtap.redaction.alias_format import ALIAS, inner
from oauthtap.redaction.decoding import View, escapes_plain_characters

SHORTEST = 8
"""Shorter values occur by chance."""
_LONGEST, _LONGEST_AWKWARD = 20_000, 500
"""Beyond this, no real secret is looked for in any other spelling, or has no run of plain characters."""
_MOST_ODD = 300
"""Characters of a secret that are written in several ways. A pattern of more takes seconds to compile."""
_CLEAN = 20_000
"""How many runs are kept in mind as holding nothing: most of a session's text comes again."""
_FEW = 64
"""Up to so many anchors, each is looked for by itself: a sign-in has no more than a dozen secrets, of four anchors."""
_RUN = re.compile(r"[A-Za-z0-9_-]{8,}")
_SIMPLE = re.compile(r"[A-Za-z0-9_.-]+")
_ODD = re.compile(r"[^A-Za-z0-9_.-]")
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos", "+": "plus", "=": "equals", "/": "sol"}


@dataclass(frozen=True)
class SecretPattern:
    """One spelling of a secret, or all the spellings that keep its characters in order."""

    text: str
    alias: str
    spelled: bool
    """Each character may be written as is, or escaped for a URL, JSON or HTML."""

    @cached_property
    def pattern(self) -> str:
        special = _spellings if self.spelled else _base64_spellings
        return "".join(re.escape(c) if _SIMPLE.fullmatch(c) else special(c) for c in self.text)

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @cached_property
    def is_plain(self) -> bool:
        """It is looked for as it stands alone: no character of it has another spelling, or too many have."""
        odd = len(_ODD.findall(self.text))
        return not odd or odd > _MOST_ODD or len(self.text) > _LONGEST

    def strike(self, text: str, alias: str) -> str:
        if self.is_plain:
            return text.replace(self.text, alias)
        return self.compiled.sub(lambda _: alias, text)

    def anchor(self) -> str | None:
        """Eight characters that every spelling of it contains; the end of a token tells more than its start."""
        run = r"[A-Za-z0-9_-]+" if self.spelled else r"[A-Za-z0-9]+"
        longest = max(re.findall(run, self.text), key=len, default="")
        return longest[-SHORTEST:] if len(longest) >= SHORTEST else None


def _spellings(character: str) -> str:
    """A pattern for one character as is, percent-encoded once or twice, or escaped for JSON or HTML."""
    octets = character.encode("utf-8", "surrogatepass")
    ways = [re.escape(character), "".join(rf"%(?:25){{0,3}}{b:02X}" for b in octets)]
    if len(character.encode("utf-16-be", "surrogatepass")) == 2:
        ways.append(rf"\\{{1,8}}u{ord(character):04X}")
    else:
        pair = character.encode("utf-16-be", "surrogatepass").hex()
        ways.append(rf"\\{{1,8}}u{pair[:4]}\\{{1,8}}u{pair[4:]}")
    entities = [f"#0*{ord(character)}", f"#x0*{ord(character):X}"]
    if character in _ENTITIES:
        entities.append(_ENTITIES[character])
    ways += [f"&(?:amp;){{0,2}}{entity};" for entity in entities]  # escaped again, inside escaped HTML
    if character in '"\\/':
        ways.append(rf"\\{{1,8}}{re.escape(character)}")
    if character == " ":
        ways.append(r"\+")
    return "(?:" + "|".join(f"(?i:{way})" for way in ways) + ")"


def _base64_spellings(character: str) -> str:
    return {"+": "(?:[+-]|%2[Bb])", "/": r"(?:\\?/|_|%2[Ff])"}[character]


def _needles(secret: str, alias: str) -> Iterable[SecretPattern]:
    """The secret itself, and what it looks like inside base64 that begins 0, 1 or 2 bytes before it."""
    yield SecretPattern(secret, alias, spelled=True)
    octets = secret.encode("utf-8", "surrogatepass")
    for before, hidden in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(b"\0" * before + octets).decode()
        certain = (before + len(octets)) * 8 // 6
        yield SecretPattern(whole[hidden:certain], alias, spelled=False)


class SecretMatcher:
    """The secrets seen so far."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        """Each with its short alias."""
        self._anchors: dict[str, list[SecretPattern]] = {}
        self._awkward: list[SecretPattern] = []
        self._combined: re.Pattern[str] | None = None
        self._clean: set[str] = set()

    def add(self, secret: str, alias: str) -> None:
        """From now on, `secret` (8 characters or more) is struck out wherever it stands."""
        if secret in self.secrets or len(secret) < SHORTEST:
            return
        self.secrets[secret] = alias
        self._clean.clear()
        for needle in _needles(secret, alias):
            anchor = needle.anchor()
            if anchor:
                self._anchors.setdefault(anchor, []).append(needle)
            elif len(needle.text) <= _LONGEST_AWKWARD:
                self._awkward.append(needle)
                self._combined = None

    def within(self, text: str) -> list[SecretPattern]:
        """The needles that may be in a text, longest first."""
        found: dict[SecretPattern, None] = {}
        if self.secrets and escapes_plain_characters(text):
            text = f"{text}\n{View(text).text}"
        anchors = self._anchors
        few = len(anchors) <= _FEW
        for hit in [anchor for anchor in anchors if anchor in text] if few else self._anchors_in_runs(text):
            found.update(dict.fromkeys(anchors[hit]))
        if self._awkward and self._any_awkward(text):
            found.update(dict.fromkeys(self._awkward))
        return sorted(found, key=lambda needle: -len(needle.text))

    def _anchors_in_runs(self, text: str) -> Iterator[str]:
        """The anchors in a text, where they are too many to look for each."""
        anchors, clean = self._anchors, self._clean
        for run in set(_RUN.findall(text)) - clean:
            hits = [w for i in range(len(run) - 7) if (w := run[i : i + 8]) in anchors]
            yield from hits
            if not hits:
                clean.add(run)
        if len(clean) > _CLEAN:
            clean.clear()

    def _any_awkward(self, text: str) -> bool:
        """Secrets without a run of eight plain characters: one pattern for all, rebuilt when one comes in."""
        if self._combined is None:
            self._combined = re.compile("|".join(needle.pattern for needle in self._awkward))
        return self._combined.search(text) is not None

    def strike(self, text: str, needles: list[SecretPattern], write: Callable[[str], str] = str) -> str:
        """The text with those needles replaced by their aliases, `write` fitting an alias to the place.

        Inside an alias that is there already, the brackets are round.
        """
        if "‹" not in text:
            return _replaced(text, needles, write)
        pieces, end = [], 0
        for match in ALIAS.finditer(text):
            pieces.append(_replaced(text[end : match.start()], needles, write))
            facts = _replaced(match["facts"], needles, lambda alias: alias[1:-1].replace(" ", "-"))
            jwt = _replaced(match["jwt"] or "", needles, inner)
            pieces.append(f"‹{match['name']}{facts}{jwt}›")
            end = match.end()
        pieces.append(_replaced(text[end:], needles, write))
        return "".join(pieces)

    def cut_off(self, text: str) -> str | None:
        """Where a text ends in the beginning of a secret (8 characters or more): that ending."""
        tail = re.search(r"\S{8,}\Z", text[-8192:])
        if tail is None:
            return None
        for secret in self.secrets:
            start = tail[0].find(secret[:SHORTEST])
            if start >= 0 and secret.startswith(tail[0][start:]):
                return tail[0][start:]
        return None


def _replaced(text: str, needles: list[SecretPattern], write: Callable[[str], str]) -> str:
    for needle in needles:
        text = needle.strike(text, write(needle.alias))
    if needles and escapes_plain_characters(text):
        return _replaced_behind_escapes(text, needles, write)
    return text


def _replaced_behind_escapes(text: str, needles: list[SecretPattern], write: Callable[[str], str]) -> str:
    """The same where the characters of a secret are written as escapes, in any mixture."""
    view = View(text)
    found: list[tuple[int, int, str]] = []
    for needle in needles:
        at = view.text.find(needle.text)
        while at >= 0:
            found.append((*view.span(at, at + len(needle.text)), needle.alias))
            at = view.text.find(needle.text, at + len(needle.text))
    pieces: list[str] = []
    end = 0
    for start, stop, alias in sorted(found, key=lambda one: (one[0], -one[1])):
        if start >= end:
            pieces += (text[end:start], write(alias))
            end = stop
    return "".join([*pieces, text[end:]])
