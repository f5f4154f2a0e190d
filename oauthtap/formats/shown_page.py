"""What the browser shows in place of a login page: a JSON object, below the words that say where it was shown."""

from __future__ import annotations

import json
import re

from oauthtap.formats.builder import recording
from oauthtap.formats.refused_step import refused, step_of
from oauthtap.model.recording import Recording

_WHAT = "what a browser showed"
_LONGEST = 2000
_NEAR = 200
_MOST_MEMBERS = 6
_SAID = ("error_description", "message", "msg", "detail", "error")
"""Members that hold what is said, the most telling one first."""
_SHOWN = re.compile(
    r"\b(?:browser|page|tab|pop-?up|window)\b(?: \w+){0,3}? "
    r"(?:shows?|showed|says?|said|displays?|displayed|returns?|returned|lands on|ends with)\b[^.\n]{0,40}:\s*$",
    re.I,
)


def read(block: str, above: str) -> Recording | None:
    """The authorization request that was answered with this object; None for any other block."""
    if len(block) > _LONGEST or not block.lstrip().startswith("{"):
        return None
    try:
        value = json.loads(block)
    except (ValueError, RecursionError):
        return None
    if len(value) > _MOST_MEMBERS or any(isinstance(member, dict | list) for member in value.values()):
        return None
    words = next((value[name] for name in _SAID if isinstance(value.get(name), str)), "")
    if not words:
        return None
    shown = _SHOWN.search(above[-_NEAR:]) is not None
    if not shown and step_of(None, words) != "authorization-request":
        return None
    code = value.get("error")
    draft = refused("authorization-request", code if isinstance(code, str) else None, block.strip())
    return recording([draft], block, what=_WHAT)


def without_told(found: list[Recording]) -> list[Recording]:
    """The recordings without what was shown, where another one tells the authorization request with its URL."""
    told = any(e.actor == "browser" and "-not-shown" not in e.request.path for one in found for e in one.exchanges)
    return [one for one in found if not (told and any(_WHAT in note for note in one.notes))]
