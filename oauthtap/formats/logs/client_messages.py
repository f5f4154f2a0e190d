"""The step at which a client says a message that is known of it: `step`, `status`, `sent` of `oauthtap/clients/*.toml`."""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re
from functools import cache

from oauthtap.clients.messages import Message, messages
from oauthtap.diagnosis.phrases import fold
from oauthtap.formats.logs.statements import Told, mark_in
from oauthtap.vendors import matched, pattern

_SAYS_SO = re.compile(
    r"error|fail|exception|invalid|unauthori[sz]ed|auth required|authorization required|does not|doesn.t|not support|missing"
    r"|could ?n.t|could not|not found|already|cannot|can't|unable|expected|unexpected|incompatible|mismatch|reject|refus|denied",
    re.I,
)
"""What a line has in it that tells of something that went wrong: no other is compared with every message."""
_SOURCE = re.compile(r"[\s`>]*(?:raise|throw|return|await)\b")
"""A line of source code, as a traceback or a report quotes it."""
_URL = re.compile(r"https?://[^\s\"'`<>,)\]}\\]+")
_LONGEST = 2000
_VARIES = re.compile(r"[0-9a-f]*\d[0-9a-f]*")
_MOST_KINDS = 2000
"""Lines of a log that are compared with every message, and told nothing."""
_MOST = 20
"""Lines from the end that are looked at for a step."""


@cache
def _known() -> tuple[tuple[re.Pattern[str], Message], ...]:
    return tuple((pattern(one.match), one) for client in messages() for one in client.message if one.step)


def message_in(line: str) -> Message | None:
    """The message with a step that a line tells, the one of which most characters match; None where there is none."""
    if len(line) > _LONGEST or not _SAYS_SO.search(line) or _SOURCE.match(line):
        return None
    text = fold(line)
    found = [(hit[1], one) for compiled, one in _known() if (hit := matched(compiled, text))]
    return max(found, key=lambda each: each[0])[1] if found else None


def last_step(text: str) -> str | None:
    """The step of the last line of a text that is a client's known message; None where there is none."""
    lines = [line for line in text.splitlines() if _SAYS_SO.search(line)][-_MOST:]
    told = (found.step for line in reversed(lines) if (found := message_in(line)))
    return next((step for step in told if step != "mcp-request"), None)


class KnownMessages:
    """The known messages of one log, whose lines may be many: what differs in its digits alone is looked at once."""

    def __init__(self) -> None:
        self._unknown: set[str] = set()

    def take(self, line: str) -> Told | None:
        """As `told_by`; None as well where too many other lines were looked at in vain."""
        kind = _VARIES.sub("", line)
        if kind in self._unknown or len(self._unknown) >= _MOST_KINDS:
            return None
        told = told_by(line)
        if told is None:
            self._unknown.add(kind)
        return told


def told_by(line: str) -> Told | None:
    """What a line tells of a request that was made: its step, and the status where only one leads there."""
    found = message_in(line)
    if found is None or not found.sent or found.step is None or mark_in(line, sent=True) == "":
        return None
    named = _URL.search(line) if found.step.endswith("-discovery") else None
    url = named[0].rstrip(".:/") if named else None
    return Told(found.step, found.status, found.status is not None, url, None, line.strip()[:300], None)
