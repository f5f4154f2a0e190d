"""Which document demands what, and in which revisions of MCP it does."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

Level = Literal["MUST", "SHOULD", "MAY", "practice"]

REVISIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
"""The released revisions of MCP, oldest first. A date is all that is compared."""

NEWEST = REVISIONS[-1]


class Requirement(BaseModel):
    """One sentence of one document: how hard it asks, where it stands, where to read it."""

    model_config = ConfigDict(frozen=True)

    level: Level
    source: str
    """`RFC 9728 §3.3`: what a person looks up."""
    url: str


def must(source: str, url: str) -> Requirement:
    """The document says MUST (or SHALL, or REQUIRED)."""
    return Requirement(level="MUST", source=source, url=url)


def should(source: str, url: str) -> Requirement:
    """The document says SHOULD (or RECOMMENDED)."""
    return Requirement(level="SHOULD", source=source, url=url)


def may(source: str, url: str) -> Requirement:
    """The document permits it."""
    return Requirement(level="MAY", source=source, url=url)


def practice(source: str, url: str) -> Requirement:
    """No document demands it; real clients or servers do."""
    return Requirement(level="practice", source=source, url=url)


@cache
def effective_revision(revision: str) -> str:
    """The newest known revision that is not newer than the given date.

    An unknown date gets the rules of the revision before it, one before all known
    revisions those of the oldest. `revision` is `YYYY-MM-DD` (other text sorts as text).
    """
    return next((known for known in reversed(REVISIONS) if known <= revision), REVISIONS[0])
