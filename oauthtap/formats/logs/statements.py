"""Sentences that tell a step and how it ended: `statements.toml`, by client and by server, each with its source."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_PLACES = {
    "client-registration": ("POST", "/registration-endpoint-not-shown", "client-registration"),
    "token-request": ("POST", "/token-endpoint-not-shown", "token-request"),
    "token-refresh": ("POST", "/token-endpoint-not-shown", "token-refresh"),
    "token-introspection": ("POST", "/introspection-endpoint-not-shown", None),
    "authorization-request": ("GET", "/authorization-endpoint-not-shown", "authorization-request"),
    "authorization-response": ("GET", "/callback-not-shown", "authorization-response"),
}
"""Method, stand-in for the endpoint, and role of each step that is told without its URL."""


_UNSENT = re.compile(
    r"(?:there is |has )?(?:no|missing) (?:stored |saved )?(?:refresh[ _]token|client[ _]id|client info\w*)\b", re.I
)
"""What a step failed for before anything was sent."""


@dataclass(frozen=True)
class Told:
    """What a sentence says."""

    step: str
    status: int | None
    presumed: bool
    url: str | None
    words: str | None
    error: str | None
    challenge: str | None

    @property
    def place(self) -> tuple[str, str, str | None] | None:
        """Method, stand-in and role; None for a request to the MCP server, and for a document."""
        return _PLACES.get(self.step)


@cache
def _known(kind: str) -> tuple[tuple[re.Pattern[str], str, int | None], ...]:
    text = files(__package__).joinpath("statements.toml").read_text(encoding="utf-8")
    every = tomllib.loads(text)[kind]
    return tuple((re.compile(one["match"]), one["step"], one.get("status")) for one in every)


def mark_in(line: str, *, sent: bool = False) -> str | None:
    """The step that a line says it is at; an empty one where it is done, None where it says nothing of it.

    `sent`: a step for which nothing was sent is done.
    """
    found = next(((step, status) for pattern, step, status in _known("mark") if pattern.search(line)), None)
    if found is None:
        return None
    return "" if found[0] == "done" or (sent and found[1] == 0) else found[0]


def last_mark(text: str) -> str | None:
    """The step that the last such line of a text is about; None where there is none, or where it was done."""
    return next(
        (mark for line in reversed(text.splitlines()[-5000:]) if (mark := mark_in(line[:2000])) is not None), None
    )


def told_in(text: str, kind: str = "statement") -> Told | None:
    """What a message tells, by the first sentence that is known; None where none is. `frame`: what any client says."""
    for pattern, step, status in _known(kind):
        if match := pattern.search(text):
            said = match.groupdict()
            shown = said.get("status")
            words, error = said.get("words"), said.get("error") or said.get("error2")
            if error and (_UNSENT.match(error) or mark_in(error, sent=True) == ""):
                return None
            words = re.sub(r"\s+", " ", words).strip() if words else None
            if (
                error
                and not shown
                and (answered := re.match(r"(?:HTTP )?\(?([45]\d\d)\b\)?(?!\.\d|\s?m?s\b)[\s:-]*(.*)", error))
            ):
                shown, words, error = answered[1], words or answered[2] or None, None
            return Told(
                step, int(shown) if shown else status, shown is None and status is not None, said.get("url"),
                words, error.strip() if error else None, said.get("challenge"),
            )  # fmt: skip
    return None
