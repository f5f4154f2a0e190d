"""The sign-ins of one recording, told apart by the fixes that were on. Weighs nothing itself; knows no fix.

An exchange says since when other fixes are on (`Exchange.fixes`), so a session and its
recording are divided at the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from oauthtap.arrival import BESIDE, reached
from oauthtap.findings import Finding
from oauthtap.handshake import Handshake
from oauthtap.repair.patched import Patched, changes
from oauthtap.stages import Challenge, Discover, Document, McpStream, Stage
from oauthtap.verdict import judge
from oauthtap.wire import Exchange


class Attempt(BaseModel):
    """What came of signing in while the same fixes were on."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    fixes: tuple[str, ...] = ()
    """What was switched on, whether it found anything to change or not."""
    changed: tuple[Patched, ...] = ()
    """What they changed, each place and value once."""
    first: int
    last: int
    """The exchanges it is made of, and those between."""
    reached: str
    connected: bool
    cause: str | None = None
    """The rule of its cause; None when it connected, or when none stands out."""
    steps: int = 0
    """How many requests of client and browser it has. Wrong guesses and what lies beside the way do not count."""
    good: int = 0
    """How many of them were answered as they should be."""


@dataclass
class Attempts:
    """Those that are over, and where the one that is under way begins."""

    handshake: Handshake
    since: int = 0
    """The exchange with which the newest one begins; 0: the recording's first."""
    _fixes: tuple[str, ...] = ()
    _over: list[Attempt] = field(default_factory=list)

    def switched(self, exchange: Exchange, found: Callable[[float | None], Sequence[Finding]]) -> None:
        """With this exchange other fixes are on. `found`: every finding so far, given until when nothing else came."""
        if exchange.fixes is None or exchange.fixes == self._fixes:
            return
        if self._own():
            self._over.append(self._now(found(exchange.at)))
            self.since = exchange.id
        self._fixes = exchange.fixes

    def all(self, found: Sequence[Finding]) -> tuple[Attempt, ...]:
        """Every attempt, the newest last; none where no fix was ever on. `found`: every finding."""
        if not self._over and not self._fixes:
            return ()
        return (*self._over, *((self._now(found),) if self._own() else ()))

    def _own(self) -> list[Stage]:
        """What client and browser did in the newest attempt."""
        first = (stages[0] for stages in self.handshake.exchanges() if stages[0].exchange.id >= self.since)
        return [stage for stage in first if stage.exchange.actor in ("client", "browser")]

    def _now(self, found: Sequence[Finding]) -> Attempt:
        own = self._own()
        verdict = judge(self.handshake, found, since=self.since)
        gone = (one.like[0] for one in self.handshake.let_go if one.exchange >= self.since)
        counted = [stage for stage in (*own, *gone) if _is_step(stage)]
        return Attempt(
            fixes=self._fixes,
            changed=tuple(dict.fromkeys(one for stage in own for one in changes(stage.exchange))),
            first=own[0].exchange.id,
            last=own[-1].exchange.id,
            reached=reached(self.handshake, self.since),
            connected=verdict.connected,
            cause=verdict.cause.rule if verdict.cause else None,
            steps=len(counted),
            good=sum(map(_went_well, counted)),
        )


def _is_step(stage: Stage) -> bool:
    """Not beside the way, and no place that was only tried: of these a client goes on to the next."""
    tried = isinstance(stage, Document | Discover) or (stage.because is not None and stage.because.guess)
    return not (stage.slug in BESIDE or isinstance(stage, McpStream) or (tried and not _went_well(stage)))


def _went_well(stage: Stage) -> bool:
    """Answered as a sign-in needs it; what goes on out of our sight counts as well."""
    exchange = stage.exchange.patched
    if isinstance(stage, Challenge):
        return exchange.status == 401
    return exchange.status is None if exchange.response is None else exchange.response.status < 400
