"""The secrets of one session and their aliases, in memory only."""

from __future__ import annotations

import html
from collections.abc import Callable
from urllib.parse import unquote

from oauthtap.redaction import secret_values
from oauthtap.redaction.alias_format import mentions, short, token_facts, verifier_facts
from oauthtap.redaction.matcher import SecretMatcher

_SENT_BY_ANYBODY = ("cookie", "session", "signature", "path")
"""Kinds that also hold what is no secret. Whatever else equals a public value is a secret still."""


class AliasRegistry:
    """Gives out aliases: per kind numbered in order of appearance, equal ones for equal secrets."""

    def __init__(self, strike_claims: Callable[[str], str]) -> None:
        self.known = SecretMatcher()
        self.public: set[str] = set()
        """Values that rules compare as they are: never replaced outside the place of a secret."""
        self._strike_claims = strike_claims
        self._aliases: dict[str, str] = {}
        self._numbers: dict[str, tuple[str, int]] = {}
        self._highest: dict[str, int] = {}

    @property
    def learned(self) -> int:
        """How much was learned so far. As long as it stays the same, so does what is struck out of a text."""
        return len(self._numbers) + len(self.public)

    def __contains__(self, secret: str) -> bool:
        return secret in self._numbers

    def alias(self, kind: str, value: str, facts: str | None = None) -> str:
        """The alias of a secret, with its facts. A secret keeps the kind it was first seen as."""
        if value not in self._aliases:
            self.learn(kind, value)
            facts = self._facts(kind, value) if facts is None else facts
            self._aliases[value] = short(*self._numbers[value])[:-1] + facts + "›"
        return self._aliases[value]

    def short(self, kind: str, value: str) -> str:
        """The same without facts."""
        self.learn(kind, value)
        return short(*self._numbers[value])

    def number(self, kind: str, *spellings: str) -> int:
        """The number of a secret sent in one of these spellings: of the one known already, else of the first."""
        chosen = next((spelling for spelling in spellings if spelling in self._numbers), spellings[0])
        for spelling in spellings:
            self.learn(kind, spelling)
        return self._numbers[chosen][1]

    def learn(self, kind: str, value: str) -> None:
        """Number a secret, and strike it from now on wherever it stands."""
        if value in self._numbers:
            return
        number = self._highest[kind] = self._highest.get(kind, 0) + 1
        self._numbers[value] = (kind, number)
        if self._may_be_swept(kind, value):
            self.known.add(value, short(kind, number))
            for spelling in {unquote(value), html.unescape(value)} - {value}:
                self.known.add(spelling, short(kind, number))

    def learn_spelling(self, secret: str, spelling: str) -> None:
        """Strike a secret that was learned also as it is spelled here: what is packed once more has it like that."""
        if secret in self.known.secrets and spelling != secret:
            self.known.add(spelling, self.known.secrets[secret])

    def reserve_existing(self, text: str) -> None:
        """Aliases that stand in a text keep their numbers; ours begin behind them."""
        if "‹" in text or "\\u2039" in text or "%E2%80%B9" in text:
            for kind, number in mentions(text):
                self._highest[kind] = max(number, self._highest.get(kind, 0))

    def _facts(self, kind: str, value: str) -> str:
        if kind == "verifier":
            return verifier_facts(value)
        if kind in ("token", "refresh", "assertion", "proof", "key"):
            return token_facts(value, self._strike_claims)
        return ""

    def _may_be_swept(self, kind: str, value: str) -> bool:
        """Not for values that also have a public meaning, or that any text may contain."""
        if value.lower() in secret_values.ORDINARY or (value in self.public and kind in _SENT_BY_ANYBODY):
            return False
        if kind == "cookie":
            return "://" not in unquote(value) and (secret_values.looks_random(value) or len(value) >= 24)
        return True
