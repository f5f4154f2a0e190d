"""The idle timer: how long after the last exchange a handshake counts as over."""

from __future__ import annotations

from dataclasses import dataclass, field

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.report.model import Report

CONNECTED = 3.0
"""Seconds of quiet after which a sign-in that ended well is over: the client lists its tools meanwhile."""
STOPPED = 15.0
"""Seconds of quiet after which a sign-in that did not is over: no client waits longer between two steps."""
WITH_A_PERSON = 300.0
"""The same while somebody may be typing a password."""

_WITH_A_PERSON = {"authorization-request", "authorization-interaction"}
_LOOKS = (2.0, CONNECTED, STOPPED, 60.0, WITH_A_PERSON)


@dataclass
class IdleTimer:
    last: AnalyzedExchange | None = None
    """The newest exchange, None before the first."""
    said_silence: bool = False
    _at: float = 0.0
    _due: list[float] = field(default_factory=list)

    def heard(self, step: AnalyzedExchange, now: float) -> None:
        """An exchange came at that time (seconds of any one clock)."""
        self.last, self._at, self._due = step, now, list(_LOOKS)

    def due_for_check(self, now: float) -> bool:
        """It has been quiet just long enough for something new to be told."""
        quiet, due = now - self._at, bool(self._due) and now - self._at >= self._due[0]
        self._due = [moment for moment in self._due if moment > quiet]
        return due

    def is_over(self, report: Report, now: float) -> bool:
        """The handshake has completed or stopped."""
        quiet = now - self._at
        if report.connected:
            return quiet >= CONNECTED
        waits_for_a_person = self.last is not None and self.last.stage in _WITH_A_PERSON
        return quiet >= (WITH_A_PERSON if waits_for_a_person else STOPPED)
