"""A message by itself that tells a refusal by its OAuth code: read where other exchanges stand beside it."""

from __future__ import annotations

import json

from oauthtap.formats.builder import recording
from oauthtap.formats.logs.outcome import outcome
from oauthtap.formats.refused_step import refused, step_of, untold
from oauthtap.model.recording import Recording

_FEW_LINES = 6


def read(text: str, around: str) -> Recording | None:
    """The one refusal that a message tells with its code."""
    if len(text.strip().splitlines()) > _FEW_LINES or (told := outcome(text)) is None or not told.presumed:
        return None
    said = json.loads(told.body) if told.body and told.body.startswith("{") else {}
    code, words = said.get("error"), str(said.get("error_description") or "")
    step = told.step or step_of(code, words, around)
    if step is None and not code:
        return None
    notes = [] if step else [f"an error is taken for the token request's: {untold(code, words)}"]
    return recording([refused(step or "token-request", code, told.body)], text, what="an error message", notes=notes)
