"""Which step of a sign-in a refusal belongs to, where it is shown without its URL: by its code and by words.

The lines of `refused_step.tsv`. What an OAuth code alone tells is often more than one endpoint says
(`invalid_request`, `invalid_client`, `invalid_scope`); then what was said with it counts, and what whoever pasted it
says beside it.
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from oauthtap.formats.builder import STAND_IN, TOKEN, Draft
from oauthtap.model.sanitize import escape_controls

ENDPOINTS = {
    "client-registration": ("POST", "registration-endpoint-not-shown"),
    "token-request": ("POST", "token-endpoint-not-shown"),
    "token-refresh": ("POST", "token-endpoint-not-shown"),
    "authorization-request": ("GET", "authorization-endpoint-not-shown"),
    "mcp-token-rejected": ("POST", "mcp"),
    "mcp-step-up": ("POST", "mcp"),
}
"""Method and path that stand for the endpoint of each step."""
STATUSES = {
    "invalid_token": 401,
    "insufficient_scope": 403,
    "server_error": 500,
    "temporarily_unavailable": 503,
    "invalid_client": 401,
    "too_many_requests": 429,
}
"""What a code is answered with where it is not 400."""
NOWHERE = f"{STAND_IN}/oauth-endpoint-not-shown"
"""Where a refusal came from of which nothing tells the step."""
_NEAR = 300
"""Characters beside a refusal that may be about it."""
_NO_TOKEN = re.compile(
    r"\b(?:missing|no|without)\b[^.]{0,30}\b(?:token|authorization|credentials)|\b(?:authentication|login|sign-in) (?:is )?required",
    re.I,
)
"""`invalid_token`, and in truth there was none: many servers say so."""


@cache
def _lines() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    text = files(__package__).joinpath("refused_step.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return tuple((step, place, re.compile(pattern, re.IGNORECASE)) for step, place, pattern in rows)


def step_of(code: str | None, words: str = "", around: str = "") -> str | None:
    """The step that was refused; None where nothing tells."""
    said = {"words": words, "around": around}
    for step, place, pattern in _lines():
        if place == "code" and code and pattern.fullmatch(code):
            return "mcp-challenge" if step == "mcp-token-rejected" and _NO_TOKEN.search(words) else step
        if place != "code" and pattern.search(said[place]):
            return step
    return None


def untold(code: str | None, words: str) -> str:
    """The sentence that says of a refusal that nothing tells its step, and what it may mean."""
    said = ": ".join(filter(None, (code, words))).replace('"', "'")
    said = escape_controls(said, limit=160)
    return f'nothing in it tells which endpoint refused: registration, authorization or token. Try: oauthtap explain "{said}"'


def beside(text: str, start: int, end: int) -> str:
    """The words on both sides of a refusal that stands there in a text."""
    return f"{text[max(0, start - _NEAR) : start]}\n{text[end : end + _NEAR]}"


def refused(step: str | None, code: str | None, body: str | None, status: int | None = None) -> Draft:
    """A refused request of that step, at an endpoint that is not shown; None where nothing tells which."""
    method, path = ENDPOINTS.get(step, ("POST", "mcp")) if step else ("POST", "oauth-endpoint-not-shown")
    presumed = 400 if step == "client-registration" else STATUSES.get(code or "", 400)  # RFC 7591, 3.2.2
    draft = Draft(method, f"{STAND_IN}/{path}", status=status or presumed, answer_body=body)
    draft.presumed = status is None
    draft.role = (step or "other") if path.endswith("-not-shown") else None
    draft.actor = "browser" if method == "GET" else "client"
    if step in ("mcp-token-rejected", "mcp-step-up"):
        draft.headers = [("Authorization", f"Bearer {TOKEN}")]
    return draft
