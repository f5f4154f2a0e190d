"""Whose log a text is, by words that only that client writes (`client_names.tsv`), else by its name in the prose."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from itertools import islice

from oauthtap.formats.logs.client_mentions import clause_at, client_that_failed, is_said_to_work

_MOST = 20
"""Places at which a pattern is looked at."""
_ANOTHER = "-"
"""A client of which there is no profile."""


@cache
def _lines() -> tuple[tuple[str, re.Pattern[str]], ...]:
    text = files(__package__).joinpath("client_names.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return tuple((name, re.compile(pattern, re.MULTILINE)) for name, pattern in rows)


def client_of(text: str) -> str | None:
    """The profile of the client whose words these are; None where nothing tells."""
    shown = text[:200_000]
    found = next((name for name, pattern in _lines() if _is_named(pattern, shown)), None)
    return None if found == _ANOTHER else found or client_that_failed(shown)


def _is_named(pattern: re.Pattern[str], text: str) -> bool:
    """It stands there, and not only where the client is said to work."""
    found = islice(pattern.finditer(text), _MOST)
    return any(not is_said_to_work(clause_at(text, match.start())) for match in found)
