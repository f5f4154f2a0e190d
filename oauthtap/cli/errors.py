"""What we say when a command cannot start: one sentence, and what to type next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_ALIKE = 0.8
"""How much of two words has to agree for one to be taken for a misspelling of the other; less is a guess at random."""


class UsageError(Exception):
    """Wrong usage, or something the command needs and cannot have. Exit code 2."""


class NothingRead(UsageError):
    """A text in which no request was found. `text`: what was read."""

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(problem)
        self.text = text


def nearest(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known words that this one is a misspelling of, the likeliest first; none rather than a bad guess."""
    return difflib.get_close_matches(word, list(known), n=most, cutoff=_ALIKE)
