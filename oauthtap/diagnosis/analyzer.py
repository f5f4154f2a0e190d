"""One client and its handshake: what each exchange is, and what is wrong with it. Exchanges come here redacted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from oauthtap.clients.profile import Profile
from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.diagnosis.root_cause import Verdict, diagnose
from oauthtap.diagnosis.rule_engine import RuleEngine
from oauthtap.handshake.classify import classify
from oauthtap.handshake.stages import Initiator, ResourceMetadata, ServerMetadata, Stage, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Exchange
from oauthtap.model.urls import origin


@dataclass(frozen=True)
class AnalyzedExchange:
    """What one exchange turned out to be."""

    exchange: Exchange
    """Numbered, and with its secrets redacted."""
    stages: tuple[Stage, ...]
    """Never empty; the first is the one to show."""
    findings: tuple[Finding, ...] = ()
    handshake: Handshake = field(default_factory=Handshake, repr=False, compare=False)
    """Of the client whose exchange it is: what a fix or a fault fills its placeholders from."""
    unredacted: Exchange | None = None
    """The exchange with its secrets, where somebody asked to keep them. For a recording, and for nothing else."""
    client: str = ""
    """Whose it is, by a letter, where there are several clients at once."""

    @property
    def stage(self) -> str:
        return self.stages[0].slug

    @property
    def initiator(self) -> Initiator | None:
        return self.stages[0].initiator

    @property
    def sends_to(self) -> tuple[str, ...]:
        """Upstream origins that this exchange tells the client to go to, each once."""
        named: list[str] = []
        for stage in self.stages:
            try:
                if isinstance(stage, ResourceMetadata):
                    named += stage.authorization_servers
                elif isinstance(stage, ServerMetadata):
                    named += stage.endpoints.values()
            except Unseen:
                continue
        return tuple(dict.fromkeys(filter(None, map(origin, named))))

    def with_exchange(self, exchange: Exchange) -> AnalyzedExchange:
        """The same, with an exchange that says in addition what was delivered to the client."""
        stages = tuple(replace(stage, exchange=exchange) for stage in self.stages)
        return replace(self, exchange=exchange, stages=stages)


@dataclass(frozen=True)
class FixPeriod:
    """A part of a session in which the same fixes were on."""

    fixes: tuple[str, ...]
    since: int
    """The number of the exchange with which it begins; 0: the session's first."""
    until: Exchange | None = None
    """The exchange with which it was over; None for the one that goes on."""


class ClientAnalysis:
    """The handshake of one client, and what rules find in it.

    `resource`: the MCP URL in upstream names, inferred from the first MCP exchange when None; `revision`: the
    MCP revision whose rules apply, whatever was negotiated; `ours`: a probe of ours, and no client.
    """

    def __init__(self, resource: str | None = None, revision: str | None = None, *, ours: bool = False) -> None:
        self._resource, self._revision, self._ours = resource, revision, ours
        self.handshake = Handshake(resource, revision)
        self.rules = RuleEngine(self.handshake, ours=ours)
        self.exchanges: list[AnalyzedExchange] = []
        """What every exchange turned out to be; of a long run of MCP requests alike only the first and the last."""
        self.compacted_findings: dict[int, tuple[Finding, ...]] = {}
        """What was found in exchanges that are kept no more, by their numbers."""

    def analyze(self, exchange: Exchange) -> AnalyzedExchange:
        """Classify an exchange and ask the rules, by what came before it. The handshake does not have it yet."""
        stages = classify(exchange, self.handshake)
        self.handshake.announce(stages)
        return AnalyzedExchange(exchange, stages, self.rules.check_exchange(stages), self.handshake)

    def record(self, analyzed: AnalyzedExchange) -> tuple[AnalyzedExchange, tuple[int, ...]]:
        """Add an analyzed exchange to the handshake: as it was delivered, where a fix changed it.

        Gives it back, its findings marked with the fixes that took them away, and the numbers of the exchanges
        that are kept no more.
        """
        exchange, findings = analyzed.exchange, analyzed.findings
        if exchange.patched is not exchange and exchange.injected_fault is None:  # a fault of ours cures nothing
            analyzed = replace(analyzed, findings=self._cured(exchange, findings))
        gone = self.handshake.add(analyzed.stages, said=_seen(analyzed.findings))
        if gone:
            going = [one for one in self.exchanges if one.exchange.id in gone]
            self.compacted_findings |= {one.exchange.id: one.findings for one in going if one.findings}
            self.exchanges = [one for one in self.exchanges if one.exchange.id not in gone]
        self.exchanges.append(analyzed)
        return analyzed, gone

    def _cured(self, exchange: Exchange, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """The findings, each with the fixes that took it away: what is left is found with them as well."""
        left = {finding.rule for finding in self.rules.check_exchange(classify(exchange.patched, self.handshake))}
        return tuple(
            one if one.rule in left else one.model_copy(update={"fixed_by": exchange.applied_fixes}) for one in found
        )

    def findings_until(self, now: float | None) -> list[Finding]:
        """Every finding, when nothing else came until `now` (seconds since 1970)."""
        if now is not None:
            self.handshake.ended = max(now, self.handshake.ended or now)
        each = (
            *self.compacted_findings.values(),
            *(one.findings for one in self.exchanges),
            self.rules.check_handshake(),
        )
        return sorted((one for findings in each for one in findings), key=lambda f: (f.exchange or 0, RANK[f.severity]))

    def verdict(
        self, found: Sequence[Finding], goal: str | None = None, since: int = 0, profile: Profile | None = None
    ) -> Verdict:
        """How far the client got, and the one cause. `found`: every finding; `goal`: the stage at which a probe was
        meant to end; `since`: the exchange with which the newest attempt begins; `profile`: of the client."""
        return diagnose(self.handshake, found, goal, since, profile)

    def acted(self, since: int, until: int | None = None) -> list[Stage]:
        """What client and browser did from the exchange with the one number until before that with the other."""
        first = (stages[0] for stages in self.handshake.exchanges())
        own = (stage for stage in first if stage.exchange.actor in ("client", "browser"))
        return [stage for stage in own if since <= stage.exchange.id and (until is None or stage.exchange.id < until)]

    def before(self, exchange: int) -> ClientAnalysis:
        """The analysis as it was before the exchange with that number."""
        past = ClientAnalysis(self._resource, self._revision, ours=self._ours)
        for one in self.exchanges:
            if one.exchange.id < exchange:
                past.handshake.add(one.stages, said=_seen(one.findings))
                past.exchanges.append(one)
        for gone in self.handshake.compacted:
            if gone.exchange < exchange:
                past.handshake.compacted.append(gone)
        past.compacted_findings = {
            number: found for number, found in self.compacted_findings.items() if number < exchange
        }
        return past


def _seen(found: Sequence[Finding]) -> tuple[tuple[str, str, str], ...]:
    """Findings as far as they tell one exchange from another like it."""
    return tuple((one.rule, one.severity, one.at) for one in found)
