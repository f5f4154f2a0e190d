"""A session: every exchange is redacted, numbered, attributed to its client, and analyzed by that client's handshake.

Secrets are redacted first, before anything is judged. So no finding can quote one, and the same
handshake gives the same report live and from any saved file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from oauthtap.clients.profile import Profile
from oauthtap.clients.walk_report import WalkReport
from oauthtap.diagnosis.analyzer import AnalyzedExchange, ClientAnalysis, FixPeriod
from oauthtap.diagnosis.multi.attribution import ClientAttributor
from oauthtap.diagnosis.progress import is_connected
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Exchange, Response
from oauthtap.redaction.redactor import Redactor

LETTERS = "ABCDEFGHIJKLMNOP"
"""What several clients are called, in the order they came."""


@dataclass
class SessionAnalyzer:
    """Takes the exchanges of a session in order; `report/build.py` makes a report of it at any time."""

    resource: str | None = None
    """The MCP URL, in upstream names; inferred from the first MCP exchange when None."""
    revision: str | None = None
    """Judge by this MCP revision, whatever was negotiated."""
    client: str | None = None
    """Overrides the detected client profile."""
    profiles: Sequence[Profile] = ()
    """The clients whose outlook the report gives."""
    probe_goal: str | None = None
    """For a probe of ours: the stage at which it was meant to end. Nothing comes after such a probe."""
    redactor: Redactor = field(default_factory=Redactor)
    keeps_secrets: bool = False
    """An analyzed exchange has the unredacted one too, and the report says so. What is judged is always redacted."""
    steps: list[AnalyzedExchange] = field(default_factory=list)
    """What every exchange turned out to be; of a long run of MCP requests alike only the first and the last."""
    notes: list[str] = field(default_factory=list)
    """What the reader should know about the way it was recorded: sentences, told with the report."""

    walk: WalkReport | None = None
    """How a walk as another client ended."""

    def __post_init__(self) -> None:
        # The URL itself may hold an API key.
        self.resource = self.redactor.strike_url(self.resource) if self.resource else self.resource
        self.clients: list[ClientAnalysis] = [self._new_client()]
        """One analysis for each client, in the order they came."""
        self.told_step: str | None = None
        """The stage that a text says it came to, behind the exchanges it shows."""
        self._several = False
        self._callers = ClientAttributor()
        self._numbered = 0
        self._shared: list[Exchange] = []
        """Exchanges that belong to no client (a probe's, the server's own): every client's handshake has them."""

    # --- one exchange

    def add(self, exchange: Exchange) -> AnalyzedExchange:
        """Analyze and record an exchange that was delivered as it says. Never raises for what is in it."""
        return self.record_delivery(self.analyze(exchange))

    def analyze(self, exchange: Exchange) -> AnalyzedExchange:
        """Redact, number and attribute an exchange, and judge what the upstream sent. `record_delivery` comes next:
        until then no handshake has it, so that a fix is filled from what the client knew before."""
        self._numbered += 1
        exchange = exchange if exchange.id else exchange.replace(id=self._numbered)
        redacted = self.redactor.redact(exchange)
        number = self._callers.add(redacted)
        analyzed = self._client(number).analyze(redacted)
        if self._callers.note(redacted, analyzed.stages):
            self._attribute_anew()
            number = self._callers.client(redacted)
            analyzed = self._client(number).analyze(redacted)
        if not (self._several or self.keeps_secrets):
            return analyzed
        letter = LETTERS[number] if self._several and number is not None else ""
        return replace(analyzed, client=letter, unredacted=exchange if self.keeps_secrets else None)

    def record_delivery(
        self, analyzed: AnalyzedExchange, delivered: Response | None = None, applied: tuple[str, ...] = ()
    ) -> AnalyzedExchange:
        """Add the newest analyzed exchange to its client's handshake.

        `delivered`: the response as the client gets it, secrets and all, where a fix or a fault changed it;
        `applied`: the names of what changed it. Gives the exchange as it is remembered.
        """
        if delivered is not None:
            applied = (*analyzed.exchange.applied_fixes, *applied)
            redacted = self.redactor.redact(
                analyzed.exchange.replace(delivered_response=delivered, applied_fixes=applied)
            )
            whole = analyzed.unredacted and analyzed.unredacted.replace(
                delivered_response=delivered, applied_fixes=applied
            )
            analyzed = replace(analyzed.with_exchange(redacted), unredacted=whole)
        owner = next(client for client in self.clients if client.handshake is analyzed.handshake)
        shared = self._several and not analyzed.client
        whole = analyzed.unredacted
        remembered = self._record(owner, replace(analyzed, unredacted=None) if whole else analyzed)
        if shared:
            self._shared.append(remembered.exchange)
            for other in self.clients:
                if other is not owner:
                    other.record(other.analyze(remembered.exchange))
        return replace(remembered, unredacted=whole) if whole else remembered

    def _record(self, client: ClientAnalysis, analyzed: AnalyzedExchange) -> AnalyzedExchange:
        remembered, gone = client.record(analyzed)
        if gone:
            self.steps = [known for known in self.steps if known.exchange.id not in gone]
        self.steps.append(remembered)
        return remembered

    # --- several clients at once

    @property
    def handshakes(self) -> tuple[Handshake, ...]:
        """What was learned from each client."""
        return tuple(client.handshake for client in self.clients)

    @property
    def handshake(self) -> Handshake:
        """The handshake that the report is about: of the first client that is not connected, else of the first."""
        return self._reported.handshake

    @property
    def newest_period(self) -> FixPeriod:
        """The time since which the fixes that are on now were on, for the client that the report is about."""
        return self.fix_periods(self._reported)[-1]

    @property
    def _reported(self) -> ClientAnalysis:
        if len(self.clients) == 1:
            return self.clients[0]
        stopped = (one for one in self.clients if not is_connected(one.handshake, self.fix_periods(one)[-1].since))
        return next(stopped, self.clients[0])

    def fix_periods(self, client: ClientAnalysis) -> tuple[FixPeriod, ...]:
        """The periods in which this client did anything with the same fixes on, and last the one that goes on.

        Fixes are switched for all clients at once; the exchange that came next says so.
        """
        periods: list[FixPeriod] = []
        fixes: tuple[str, ...] = ()
        since = 0
        for exchange in (one.exchange for one in self.steps if one.exchange.active_fixes is not None):
            if exchange.active_fixes is None or exchange.active_fixes == fixes:
                continue
            if client.acted(since, exchange.id):
                periods.append(FixPeriod(fixes, since, exchange))
                since = exchange.id
            fixes = exchange.active_fixes
        return (*periods, FixPeriod(fixes, since))

    @property
    def has_several_clients(self) -> bool:
        """Several clients were told apart."""
        return self._several

    def handshake_for(self, exchange: Exchange) -> Handshake:
        """The handshake of the client whose exchange this is, before it was analyzed or answered."""
        number = self._callers.foresee(self.redactor.redact(exchange)) or 0
        known = number < len(self.clients)
        return self.clients[number].handshake if known else Handshake(self.resource, self.revision)

    def _client(self, number: int | None) -> ClientAnalysis:
        """The analysis of the client with that number; the first one for exchanges without a client."""
        while len(self.clients) <= (number or 0):
            self._add_client()
        return self.clients[number or 0]

    def _add_client(self) -> None:
        """One more client, whose handshake has what belongs to nobody."""
        self.clients.append(made := self._new_client())
        for exchange in self._shared:
            made.record(made.analyze(exchange))

    def _new_client(self) -> ClientAnalysis:
        return ClientAnalysis(self.resource, self.revision, ours=self.probe_goal is not None)

    def _attribute_anew(self) -> None:
        """There are several clients, or more than was thought: analyze again what is kept, for each by itself."""
        before, steps = self.clients, self.steps
        self._several, self.clients, self.steps, self._shared = True, [], [], []
        for step in steps:
            number = self._callers.client(step.exchange)
            analyzed = self._client(number).analyze(step.exchange)
            letter = "" if number is None else LETTERS[number]
            self.record_delivery(replace(analyzed, client=letter))
        self._take_over(before)

    def _take_over(self, before: Sequence[ClientAnalysis]) -> None:
        """What was compacted before its client was known goes to whoever has the rest of its kind, findings and all."""
        for client in before:
            for one in client.handshake.compacted:
                number = one.like[0].exchange.id
                owner = next((now for now in self.clients if now.handshake.of(number)), self._client(None))
                owner.handshake.compacted.append(one)
                if one.exchange in client.compacted_findings:
                    owner.compacted_findings[one.exchange] = client.compacted_findings[one.exchange]
