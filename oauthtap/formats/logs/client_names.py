"""Whose log a text is, by a few words that only that client writes: the lines of `client_names.tsv`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_ANOTHER = "-"
"""A client of which there is no profile."""


@cache
def _lines() -> tuple[tuple[str, re.Pattern[str]], ...]:
    text = files(__package__).joinpath("client_names.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return tuple((name, re.compile(pattern, re.MULTILINE)) for name, pattern in rows)


def client_of(text: str) -> str | None:
    """The profile of the client whose words these are; None where nothing tells."""
    found = next((name for name, pattern in _lines() if pattern.search(text[:200_000])), None)
    return None if found == _ANOTHER else found
