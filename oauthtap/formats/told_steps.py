"""Answers that a sentence tells without a URL: what people call the request (`told_steps.tsv`), and its status.

"The registration POST got a 403", "the consent page shows **404 Not Found**", "without a token it is a 401". A sentence that
says what should come, or what another client gets, tells nothing that happened.
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from importlib.resources import files

from oauthtap.formats import facts
from oauthtap.formats.builder import STAND_IN, TOKEN, Draft
from oauthtap.model import urls

_PLACES = {
    "client-registration": ("POST", "/registration-endpoint-not-shown"),
    "token-refresh": ("POST", "/token-endpoint-not-shown"),
    "token-request": ("POST", "/token-endpoint-not-shown"),
    "authorization-request": ("GET", "/authorization-endpoint-not-shown"),
    "prm-discovery": ("GET", urls.PRM),
    "as-discovery": ("GET", urls.OAUTH),
}
_ROLES = {*_PLACES, "mcp-initialize"} - {"prm-discovery", "as-discovery"}
_SENTENCE = re.compile(
    r"(?<=[.!?])[\"'”*`)]*\s+(?=[\"'“*`(]*[A-Z])|\n\s*\n|\n(?=\s*(?:[-*#>|]|\d+[.)])\s)|\n(?=[\"'“*`(]*[A-Z])"
)
_ASSUMED = re.compile(
    r"\b(?:expect(?:s|ed)?|should|must|would|could|if|when(?:ever)?|unless|instead of|rather than|supposed|ought|may|might|MUST|SHOULD|require[sd]?|suggest\w*|propose\w*|curl|wget|[Pp]ostman)\b",
    re.I,
)
_MET = re.compile(
    r"\b(?:when|if|whenever) (?:I|we)\b[^.]{0,160}?\b(?:I|we|it|the server) (?:then )?(?:get|receive|see|got|received|saw|fails?|answers?|returns?)\b",
    re.I,
)
"""What somebody met as often as they tried, and not what they would expect."""
_REASONS = {status.phrase.lower(): status.value for status in HTTPStatus if status.value >= 400}
_BY_REASON = "|".join(map(re.escape, sorted(_REASONS, key=len, reverse=True)))
_STATUS = re.compile(
    rf"(?:\b(?:HTTP|status(?: code)?|error|code)[ :=]*|\b(?:an?|our|the|its|with|returns?|returned|replie[sd]|replies|answers?|answered|gives|gave|gets?|got|is|was|with|shows?|says?)\s+(?:me |us |an? |our |the |only )?(?:HTTP |status |error )?)[`*\"“(]*(?P<status>[1-5]\d\d)(?![\d/-]|\.\d|:\d|\s?(?:ms|s|bytes|tools|times|chars)\b)"
    rf"|[\"“*`](?:Error:? )?(?P<status2>[45]\d\d)?[ :-]*(?P<reason>{_BY_REASON})[\"”*`]",
    re.I,
)
_AGAIN = re.compile(r"\b(?:again|also|another|retr(?:y|ies|ied)|second|twice|then|too)\b", re.I)
"""A sentence that tells the same step and status as the one before it, of another request."""
_LONGEST = 8000


@cache
def _names() -> tuple[tuple[str, re.Pattern[str]], ...]:
    text = files(__package__).joinpath("told_steps.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return tuple((step, re.compile(pattern, re.I)) for step, pattern in rows)


def answers_in(prose: str) -> list[Draft]:
    """What the sentences tell, each step and status once for every time it is named."""
    found: list[Draft] = []
    for sentence in _SENTENCE.split(prose[:_LONGEST]):
        told = list(_of_sentence(sentence))
        last = found[-1] if found else None
        again = last is not None and len(told) == 1 and (told[0].target, told[0].status) == (last.target, last.status)
        if not again or _AGAIN.search(sentence):
            found += told
    return found


def _of_sentence(sentence: str) -> Iterator[Draft]:
    statuses = [(match.start(), _status(match)) for match in _STATUS.finditer(sentence)]
    if (
        not statuses
        or (_ASSUMED.search(sentence) and not _MET.search(sentence))
        or any(fact.status for fact in facts.on_line(sentence.replace("\n", " ")))
    ):
        return
    named = sorted(
        (match.start(), match.end(), step, match[0])
        for step, pattern in _names()
        for match in pattern.finditer(sentence)
    )
    steps = [one for one in named if one[2] != "server"] or named[:1]
    if len({status for _, status in statuses}) == 1:
        taken: list[str] = []
        for start, _, step, words in [one for one in steps if one[1] <= statuses[0][0]] or steps:
            if step in taken:
                continue
            taken.append(step)
            twice = re.search(r"\bboth (?:the )?$", sentence[:start]) is not None and words.endswith("s")
            yield from [_draft(step, statuses[0][1]) for _ in range(2 if twice else 1)]
        return
    for at, status in statuses:
        before = [one for one in steps if one[1] <= at]
        if before:
            steps.remove(before[-1])
            yield _draft(before[-1][2], status)


def _status(match: re.Match[str]) -> int:
    shown = match["status"] or match["status2"]
    return int(shown) if shown else _REASONS[match["reason"].lower()]


def _draft(step: str, status: int) -> Draft:
    method, path = _PLACES.get(step, ("POST", "/mcp"))
    draft = Draft(method, f"{STAND_IN}{path}", status=status, role=step if step in _ROLES else None)
    draft.actor = "browser" if step == "authorization-request" else "client"
    draft.method_shown = False
    if step == "mcp-token-rejected":
        draft.headers = [("Authorization", f"Bearer {TOKEN}")]
    return draft
