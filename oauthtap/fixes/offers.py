"""Fixes that can be applied while the tap runs: those that are on, and those that are proposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class UnknownOffer(Exception):
    """There is no such fix, or its value does not fit. The text says why and what to type."""


@dataclass(frozen=True)
class Offer:
    """One fix that can be switched."""

    name: str
    """With its value: `prm-authorization-servers=https://…`."""
    says: str
    assumes: str
    """What has to be true for it to be right; empty where it is right whoever the server is."""
    on: bool


@dataclass(frozen=True)
class Offers:
    """What can be switched now."""

    fixes: tuple[Offer, ...] = ()
    wants: str = ""
    """The rule for which only a person knows the value: an issuer. Empty where none is wanted."""
    advice: tuple[str, ...] = ()
    """How the person finds that value."""
    example: str = ""
    """What such a value looks like."""
    found: bool = False
    """It was worked out what would repair the newest sign-in."""


class FixSwitch(Protocol):
    """What the proxy needs of whoever knows the fixes. One sign-in, one switch: keyboard and page share it."""

    def command(self, words: Sequence[str]) -> list[str]:
        """For the command `oauthtap.fix`: gives what to show."""

    def offers(self) -> Offers:
        """What can be switched now."""

    async def propose(self, *, check: bool = False) -> None:
        """Work out what would repair the newest sign-in. `check`: ask servers which issuer is right."""

    def switch(self, name: str, *, on: bool) -> None:
        """Switch the offer of that name. Raises UnknownOffer."""

    def give(self, rule: str, value: str) -> None:
        """Switch on the fix of that rule with this value. Raises UnknownOffer."""
