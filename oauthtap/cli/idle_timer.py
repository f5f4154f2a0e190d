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
BUSY = 5.0
"""Seconds between two looks at a client that is never quiet: some send a refused token again and again."""

AT_THE_LOGIN = 60.0
"""Seconds of quiet after which a cause is told while the browser is at the login page."""

_WITH_A_PERSON = {"authorization-request", "authorization-interaction"}
_LOOKS = (2.0, CONNECTED, 5.0, STOPPED, AT_THE_LOGIN, WITH_A_PERSON)
_ENDED = {"refused": 2.0, "repeating": 2.0, "lost-later": 2.0, "unreachable": 2.0, "abandoned": 5.0}
"""Ending → seconds of quiet after which it is told. A client that was refused nothing may only be slow."""
_COST = 20
"""How many times as long as the last look took nothing is looked at in the middle of the traffic."""


@dataclass
class IdleTimer:
    last: AnalyzedExchange | None = None
    """The newest exchange, None before the first."""
    said_silence: bool = False
    _at: float = 0.0
    _due: list[float] = field(default_factory=list)
    _looked: float = 0.0
    _pause: float = BUSY
    _repeats_since: float | None = None

    def heard(self, step: AnalyzedExchange, now: float) -> None:
        """An exchange came at that time (seconds of any one clock)."""
        if self.last is None:
            self._looked = now
        self.last, self._at, self._due = step, now, list(_LOOKS)

    def due_for_check(self, now: float) -> bool:
        """It has been quiet just long enough for something new to be told; or it never is."""
        quiet, due = now - self._at, bool(self._due) and now - self._at >= self._due[0]
        self._due = [moment for moment in self._due if moment > quiet]
        due = due or (self._at > self._looked and now - self._looked >= self._pause)
        self._looked = now if due else self._looked
        return due

    def has_stopped(self, report: Report, now: float) -> bool:
        """The attempt has ended without a connection, as far as that can be told by now."""
        if report.ending != "repeating":
            self._repeats_since = None
        elif self._repeats_since is None:
            self._repeats_since = now
        if report.works:
            return False
        loops = self._repeats_since is not None and now - self._repeats_since >= BUSY
        patience = _ENDED.get(report.ending, STOPPED)
        if self._is_with_a_person and report.ending in ("abandoned", "waiting"):
            patience = AT_THE_LOGIN
        return loops or now - self._at >= patience

    def has_ended_well(self, report: Report, now: float) -> bool:
        """It connected; or it signed in, and no MCP request follows at once."""
        return report.connected or (report.ending == "signed-in" and now - self._at >= CONNECTED)

    def took(self, seconds: float) -> None:
        """How long the look took."""
        self._pause = max(BUSY, _COST * seconds)

    def is_over(self, report: Report, now: float) -> bool:
        """The handshake has completed or stopped."""
        quiet = now - self._at
        if report.connected:
            return quiet >= CONNECTED
        return quiet >= (WITH_A_PERSON if self._is_with_a_person else STOPPED)

    @property
    def _is_with_a_person(self) -> bool:
        """The browser is at the authorization server."""
        return self.last is not None and self.last.stage in _WITH_A_PERSON
