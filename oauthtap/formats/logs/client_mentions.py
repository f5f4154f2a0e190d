"""The client that people name as the one that failed: `client_mentions.tsv`.

A client that is said to work is not it, nor is one that stands in a comparison. Where two are named, nothing tells.
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from itertools import pairwise

_ANOTHER = "-"
_CLAUSE = re.compile(
    r"(?<=[.!?;])\s+|\n|,\s+(?=(?:but|while|whereas|and|though)\b)|\s+(?=(?:but|while|whereas|although|though)\b)|,?\s+(?=and not\b)"
)
_WORKS = re.compile(
    r"\b(?:works?|worked|working|succeeds?|succeeded|passes|is (?:fine|ok|okay)|are (?:fine|ok))\b"
    r"|\b(?:connects?|logs? in|signs? in|authenticates?|handles?)\b[^.\n]{0,40}\b(?:fine|correctly|properly|successfully|without (?:a |any )?(?:problem|issue|error)s?)\b",
    re.I,
)
_FAILS = re.compile(
    r"\b(?:no|not|never|n't|cannot|stop(?:s|ped)?|neither|nor|without|fail\w*|once|until|used to|longer|only)\b|n[’']t\b|[❌✗✘]",
    re.I,
)
_COMPARED = re.compile(
    r"\b(?:unlike|as (?:in|with)|same as|similar to|like|instead of|other clients|such as|e\.g\.|for example|compared (?:to|with)|tested with|compatible with)\b",
    re.I,
)
_CODE = re.compile(r"`[^`\n]{24,400}`")
"""A request, a header, a message: names in it are not what a sentence says."""
_COMMAND = re.compile(r"\bcurl\b|--data|--header|^\s*[\"{}\[]")
"""A command or a member of JSON: what was sent by hand often has a client's name."""
_BACKEND = {"claude-desktop", "claude-ai"}
"""Connectors of the desktop application are called from the same servers as those of the web application."""


@cache
def _lines() -> tuple[tuple[str, re.Pattern[str]], ...]:
    text = files(__package__).joinpath("client_mentions.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return tuple((name, re.compile(pattern)) for name, pattern in rows)


def clause_at(text: str, place: int) -> str:
    """The part of a line that stands there."""
    start = text.rfind("\n", max(0, place - 300), place) + 1 or max(0, place - 300)
    end = text.find("\n", place, place + 300)
    line, at = text[start : end if end >= 0 else place + 300], place - start
    breaks = [0, *(match.end() for match in _CLAUSE.finditer(line)), len(line) + 1]
    return next(line[a:b] for a, b in pairwise(breaks) if a <= at < b)


def is_said_to_work(clause: str) -> bool:
    """It says that something works, and not that it does not."""
    return _WORKS.search(clause) is not None and _FAILS.search(clause) is None


def client_that_failed(text: str) -> str | None:
    """The profile of the one client that the sentences name as the one that failed; None where several are, or none."""
    named: set[str] = set()
    works: set[str] = set()
    for clause in _CLAUSE.split(_CODE.sub("", text[:200_000])):
        found = {name for name, pattern in _lines() if pattern.search(clause)}
        if not found or _COMMAND.search(clause):
            continue
        if is_said_to_work(clause):
            works |= found
        elif not _COMPARED.search(clause):
            named |= found
    left = named - works
    if left == _BACKEND:
        left = {"claude-ai"}
    only = left.pop() if len(left) == 1 else None
    return None if only == _ANOTHER else only
