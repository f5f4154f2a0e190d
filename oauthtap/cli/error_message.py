"""The error message in a text without a request: `check` and `paste` say what it means, then what is missing."""

from __future__ import annotations

import json
import re
from itertools import islice

from oauthtap.cli.errors import NothingRead, UsageError
from oauthtap.cli.explain import members, shown
from oauthtap.diagnosis.meanings import TextMeaning, meanings_of
from oauthtap.formats import unreadable

_ERROR = re.compile(
    r"error|fail|invalid|unauthori[sz]ed|forbidden|denied|refus|reject|mismatch|expired|timed out"
    r"|not (?:match|support|implement|register|allow|found)|\bcannot\b|\bcould not\b|\bunable\b|\bmust\b",
    re.I,
)
_MARKS = re.compile(
    r"^(?:\s*(?:[>#*-]+|\[[^\]]*\]|\d{4}-\d\d-\d\d[T ][\d:.,Z+-]+"
    r"|(?:ERROR|WARN(?:ING)?|INFO|DEBUG|FATAL)\b:?))+\s*|[\s*`]+$"
)
"""What stands in front of a message: a quote or list mark, the time, the level."""
_MOST = 20
"""Lines that are looked up."""
_SHORT = 600
"""Characters of a text that is a message as a whole."""


def explained(refusal: NothingRead, form: str) -> UsageError:
    """The refusal, once the error message in its text is explained on standard output, where there is a known one."""
    found = _error_in(refusal.text)
    if found is None or form not in ("console", "json"):
        return refusal
    words, meanings = found
    place = str(refusal).partition(": ")[0]
    missing = unreadable.missing(refusal.text)
    if form == "json":
        told = {"message": words, "meanings": members(meanings), "missing": missing}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print(f'"{words}"\n\n{shown(meanings)}\n')
    return UsageError(f"{place}: {missing}")


def _error_in(text: str) -> tuple[str, list[TextMeaning]] | None:
    """The message, and what it means: the text as a whole where it is short, else its first line that is known."""
    bare = text.strip()
    if bare[:1] in ("{", "[") or bare.startswith(("http://", "https://")):
        return None  # a document or a URL, and no message
    lines = [line for line in bare.splitlines() if line.strip()]
    if len(lines) <= 3 and len(bare) < _SHORT and _ERROR.search(bare) and (whole := meanings_of(bare)):
        return unreadable.quoted(bare), whole
    for line in islice(filter(_ERROR.search, lines), _MOST):
        message = _MARKS.sub("", line)[:_SHORT]
        meanings = meanings_of(message)
        if meanings and meanings[0].sure:
            return unreadable.quoted(message), meanings
    return None
