"""The report as a value: what every command prints, and what scripts rely on. Version 2 of the contract."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, SerializerFunctionWrapHandler, model_serializer

from oauthtap.clients.forecast import ClientForecast
from oauthtap.clients.walk_report import WalkReport
from oauthtap.diagnosis.ending import GOOD, EndingId
from oauthtap.diagnosis.fault_attribution import FaultRecord
from oauthtap.diagnosis.findings import Finding, Party, Severity
from oauthtap.diagnosis.stall_hints import StallHint
from oauthtap.fixes.attempts import Attempt
from oauthtap.fixes.change_log import AppliedChange
from oauthtap.fixes.deploy_plan import Deploy
from oauthtap.handshake.stages import Initiator
from oauthtap.model import requirements
from oauthtap.model.exchange import Value, json_keys

SECRETS_KEPT = (
    "session.jsonl, flows.mitm and session.har hold every token, code and password as it is. "
    "Whoever has the folder can use them: do not pass it on."
)
"""The sentence for a session that was recorded with `--keep-secrets`."""


class _Row(Value):
    model_config = ConfigDict(defer_build=True)


class Client(_Row):
    name: str
    version: str | None = None


class Cause(_Row):
    """The one finding that ends the search."""

    model_config = json_keys(responsible="who")

    rule: str
    responsible: Party
    exchange: int | None
    title: str
    message: str
    fix: str


class Evidence(_Row):
    """What speaks for a cause."""

    exchange: int | None
    sentence: str


class RankedCause(Cause):
    """One possible cause, with how sure it is."""

    confidence: Literal["certain", "likely", "possible"]
    subject: str | None = None
    """What it is about, in the subjects of refusals."""
    evidence: tuple[Evidence, ...] = ()
    experiment: str | None = None
    """A command line that tells whether it is this one."""


class Refused(_Row):
    """What the one who said no actually said."""

    model_config = json_keys(responsible="who")

    exchange: int
    responsible: Party
    at: str
    status: int | None = None
    code: str | None = None
    words: str = ""
    subject: str | None = None


class ExchangeRow(_Row):
    """One exchange, as a line of the story."""

    model_config = json_keys(
        started_at="at", duration="took", initiator="because", applied_fixes="patched_by", injected_fault="injected"
    )

    id: int
    stage: str
    stages: tuple[str, ...]
    method: str
    url: str
    status: int | None
    error: str | None = None
    actor: str = "client"
    started_at: float | None = None
    duration: float | None = None
    initiator: Initiator | None = None
    applied_fixes: tuple[str, ...] = ()
    """The fixes that changed it."""
    patched: tuple[AppliedChange, ...] = ()
    """What they changed: the upstream said one thing, the client saw another."""
    injected_fault: str | None = None
    """The fault that oauthtap itself put here (`--inject`)."""
    excerpt: bool = False
    """Read from a log or from pasted lines, which leave things out: what is not there may have happened."""


class NotChecked(_Row):
    rule: str
    because: str


class ClientReport(_Row):
    """One of several clients at once: the same answers, for it alone."""

    letter: str
    """`A` for the client that came first."""
    client: Client | None = None
    revision: str | None = None
    judged_by: str = requirements.NEWEST
    reached: str = "other"
    connected: bool = False
    ending: EndingId = "nothing-arrived"
    refusal: Refused | None = None
    causes: tuple[RankedCause, ...] = ()
    cause: Cause | None = None
    standstill: StallHint | None = None
    exchanges: tuple[int, ...] = ()
    """The ids of its own."""
    findings: tuple[Finding, ...] = ()


class LockCheck(_Row):
    """One answer that a lock holds, and what became of it."""

    pointer: str
    """RFC 6901, into the lock file: `/contract/3`."""
    stage: str
    answer: str
    """Which answer: `root GET https://…`."""
    kept: bool | None
    """None: it was not requested this time."""


class KnownProblem(_Row):
    """A cause, or a finding, as a baseline holds it."""

    kind: Literal["cause", "error", "warning"]
    rule: str
    at: str = ""
    """Its place, without the numbers of list items; empty for a cause."""
    title: str = ""


class BaselineCheck(_Row):
    """One client held against a baseline (`--baseline FILE`)."""

    client: str
    worked: bool | None
    """As the baseline has it; None for a client that it does not name."""
    works: bool
    new: tuple[KnownProblem, ...] = ()
    fixed: tuple[KnownProblem, ...] = ()
    unchanged: tuple[KnownProblem, ...] = ()


class Report(_Row):
    """How far did it get; what is the cause; whose is it; what to change."""

    model_config = json_keys(injected_faults="injected")

    version: Literal[2] = 2
    upstream: str | None = None
    client: Client | None = None
    revision: str | None = None
    """The MCP revision as it was negotiated, announced, or named by the user."""
    judged_by: str = requirements.NEWEST
    """The revision whose rules were applied: the newest known one that is not newer."""
    reached: str = "other"
    connected: bool = False
    complete: bool = False
    """Not connected, but as far as a probe was asked to go, with nothing on the way that stops clients."""
    ending: EndingId = "nothing-arrived"
    """How it ended, before anybody is blamed."""
    refusal: Refused | None = None
    """What the one who said no actually said; None where nobody refused."""
    causes: tuple[RankedCause, ...] = ()
    """The likely causes, the best first, at most three."""
    cause: Cause | None = None
    """The first of `causes`."""
    standstill: StallHint | None = None
    """What to look at next, where the wire shows only the step and not the cause."""
    attempts: tuple[Attempt, ...] = ()
    """What came of each sign-in, where fixes were on: without and with them, the newest last."""
    injected_faults: tuple[FaultRecord, ...] = ()
    """The faults that oauthtap injected; no finding blames client or server for them."""
    exchanges: tuple[ExchangeRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    deploy: Deploy | None = None
    """What to change on the server so that the fixes of the newest sign-in are not needed; None where none was at work.
    """
    promises: tuple[LockCheck, ...] = ()
    """What became of each answer of the lock it was held against; empty without one."""
    baseline: tuple[BaselineCheck, ...] = ()
    """What is new, fixed and unchanged for each client since a baseline; empty without one."""
    clients: tuple[ClientForecast, ...] = ()
    """Who else would get through, and who would stop where."""
    walk: WalkReport | None = None
    """How the client that a probe walked as would fare; left out where it walked as nobody else."""
    secrets_kept: bool = False
    """The recording itself was made with `--keep-secrets`; no secret is in the report."""
    notes: tuple[str, ...] = ()
    """What the reader should know about how this was judged."""
    sign_ins: tuple[ClientReport, ...] = ()
    """Each client by itself, where there were several at once; what stands above is about the first of
    them that stopped (else the first), `exchanges` and `findings` are those of all. Left out for one client."""

    same_origin: bool = False
    """MCP server and authorization server are one origin: one server of one owner."""

    @property
    def works(self) -> bool:
        """Connected, signed in, or a probe that came as far as it was asked to: nothing is to be repaired."""
        return self.ending in GOOD or self.complete

    @model_serializer(mode="wrap")
    def _without_needless(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        if not self.sign_ins:
            written.pop("sign_ins", None)  # a part of the report may be written without it
        if self.walk is None:
            written.pop("walk", None)
        return written

    @property
    def letters(self) -> dict[int, str]:
        """Whose each exchange is, where there were several clients."""
        return {number: one.letter for one in self.sign_ins for number in one.exchanges}

    def alone(self, sign_in: ClientReport) -> Report:
        """The report as it would be about this one client."""
        own = set(sign_in.exchanges)
        members = {name: getattr(sign_in, name) for name in ClientReport.model_fields if name in Report.model_fields}
        told = tuple(step for step in self.exchanges if step.id in own)
        faults = tuple(fault for fault in self.injected_faults if fault.exchange in own)
        return self.model_copy(update={**members, "exchanges": told, "injected_faults": faults, "sign_ins": ()})

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding, None without findings."""
        found = {finding.severity for finding in self.findings}
        return next((s for s in ("error", "warning", "note") if s in found), None)
