"""The consequences of faults that oauthtap injected (`--inject`): no finding blames client or server for them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from oauthtap import rules
from oauthtap.diagnosis.findings import Finding
from oauthtap.handshake.state import Handshake


class FaultRecord(BaseModel):
    """One fault that was made."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    exchange: int
    name: str
    says: str = ""
    """What it was, in one sentence; a report has it."""


def fault_records(handshake: Handshake) -> tuple[FaultRecord, ...]:
    """The faults that were made in this handshake, in order."""
    made = (stages[0].exchange for stages in handshake.exchanges())
    return tuple(FaultRecord(exchange=one.id, name=one.injected_fault) for one in made if one.injected_fault)


def mark_consequences(found: Sequence[Finding], faults: Sequence[FaultRecord], handshake: Handshake) -> list[Finding]:
    """The findings, those that follow from an injected fault as notes that say so.

    After a fault the client walks other ways than it would: that it does, what it meets at places
    it only guesses, that steps fail or never come, tells nothing of client or server. What an
    answer has wrong by itself stays.
    """
    first = faults[0]
    follows = {"severity": "note", "consequence_of": f"--inject {first.name}"}
    return [one.model_copy(update=follows) if _follows(one, first, handshake) else one for one in found]


def candidate_causes(found: Sequence[Finding], faults: Sequence[FaultRecord]) -> list[Finding]:
    """The findings that can be why it stopped, although a fault was injected before.

    Only errors in later answers, and none that was there, and tolerated, before the fault.
    """
    first = faults[0].exchange
    before = {(one.rule, one.at) for one in found if one.exchange is None or one.exchange <= first}
    later = [one for one in found if one.exchange is not None and one.exchange > first]
    return [one for one in later if one.severity == "error" and (one.rule, one.at) not in before]


def _follows(finding: Finding, fault: FaultRecord, handshake: Handshake) -> bool:
    if finding.severity == "note" or (finding.exchange is not None and finding.exchange < fault.exchange):
        return False
    known = rules.RULES.get(finding.rule)
    stages = handshake.of(finding.exchange or 0)
    because = stages[0].initiator if stages else None
    guessed = because is not None and because.guess
    return finding.responsible == "client" or known is None or known.symptom or guessed or Handshake in known.subjects
