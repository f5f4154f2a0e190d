"""The sign-ins of one recording, told apart by the fixes that were on, as an exchange says (`Exchange.fixes`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from oauthtap.diagnosis.analyzer import ClientAnalysis, FixPeriod
from oauthtap.diagnosis.ending import EndingId
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.progress import SIDE_STAGES, furthest_stage
from oauthtap.fixes.change_log import AppliedChange, changes
from oauthtap.handshake.stages import Challenge, Discover, Document, McpStream, Stage
from oauthtap.model.exchange import Exchange


class Attempt(BaseModel):
    """What came of signing in while the same fixes were on."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    fixes: tuple[str, ...] = ()
    """What was switched on, whether it found anything to change or not."""
    changed: tuple[AppliedChange, ...] = ()
    """What they changed, each place and value once."""
    first: int
    last: int
    """The exchanges it is made of, and those between."""
    reached: str
    connected: bool
    ending: EndingId = "nothing-arrived"
    cause: str | None = None
    """The rule of its cause; None when it connected, or when none stands out."""
    steps: int = 0
    """How many requests of client and browser it has. Wrong guesses and what lies beside the way do not count."""
    good: int = 0
    """How many of them were answered as they should be."""


def attempts(client: ClientAnalysis, periods: Sequence[FixPeriod], found: Sequence[Finding]) -> tuple[Attempt, ...]:
    """Every attempt of a client, the newest last; none where no fix was ever on.

    `periods`: of its session, the newest last; `found`: every finding of the client.
    """
    *past, newest = periods
    if not past and not newest.fixes:
        return ()
    over = [
        _attempt(before, period, before.findings_until(end.started_at)) for period, before, end in _past(client, past)
    ]
    return (*over, *((_attempt(client, newest, found),) if client.acted(newest.since) else ()))


def _past(client: ClientAnalysis, periods: Sequence[FixPeriod]) -> Iterator[tuple[FixPeriod, ClientAnalysis, Exchange]]:
    """Each period that is over, the client's analysis as it was at its end, and the exchange that ended it."""
    for period in periods:
        if period.until is not None:
            yield period, client.before(period.until.id), period.until


def _attempt(client: ClientAnalysis, period: FixPeriod, found: Sequence[Finding]) -> Attempt:
    handshake, own = client.handshake, client.acted(period.since)
    verdict = client.verdict(found, since=period.since)
    gone = (one.like[0] for one in handshake.compacted if one.exchange >= period.since)
    counted = [stage for stage in (*own, *gone) if _is_step(stage)]
    return Attempt(
        fixes=period.fixes,
        changed=tuple(dict.fromkeys(one for stage in own for one in changes(stage.exchange))),
        first=own[0].exchange.id,
        last=own[-1].exchange.id,
        reached=furthest_stage(handshake, period.since),
        connected=verdict.connected,
        ending=verdict.ending,
        cause=verdict.cause.rule if verdict.cause else None,
        steps=len(counted),
        good=sum(map(_went_well, counted)),
    )


def _is_step(stage: Stage) -> bool:
    """Not beside the way, and no place that was only tried: of these a client goes on to the next."""
    tried = isinstance(stage, Document | Discover) or (stage.initiator is not None and stage.initiator.guess)
    return not (stage.slug in SIDE_STAGES or isinstance(stage, McpStream) or (tried and not _went_well(stage)))


def _went_well(stage: Stage) -> bool:
    """Answered as a sign-in needs it; what goes on out of our sight counts as well."""
    exchange = stage.exchange.patched
    if isinstance(stage, Challenge):
        return exchange.status == 401
    return exchange.status is None if exchange.response is None else exchange.response.status < 400
