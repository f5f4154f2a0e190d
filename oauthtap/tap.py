"""The engine: exchanges in, findings out. Does no I/O and knows no proxy.

Secrets are struck out first, before anything is judged. So no finding can quote one,
and the same handshake gives the same report live and from any saved file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from oauthtap.findings import RANK, Finding
from oauthtap.handshake import Handshake
from oauthtap.judging import Judge
from oauthtap.profiles import Profile
from oauthtap.recognize import recognize
from oauthtap.redaction.redact import Redactor
from oauthtap.repair.attempts import Attempts
from oauthtap.report import Report, build
from oauthtap.stages import Because, ResourceMetadata, ServerMetadata, Stage, Unseen
from oauthtap.together.callers import Callers
from oauthtap.together.several import Several
from oauthtap.urls import origin
from oauthtap.wire import Exchange


@dataclass(frozen=True)
class Step:
    """What one exchange turned out to be."""

    exchange: Exchange
    """Numbered, and with its secrets struck out."""
    stages: tuple[Stage, ...]
    """Never empty; the first is the one to show."""
    findings: tuple[Finding, ...] = ()
    unstruck: Exchange | None = None
    """The exchange with its secrets, where somebody asked to keep them. For a recording, and for nothing else."""
    client: str = ""
    """Whose it is, by a letter, where there are several clients at once."""

    @property
    def stage(self) -> str:
        return self.stages[0].slug

    @property
    def because(self) -> Because | None:
        return self.stages[0].because

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


Repair = Callable[[Step], Exchange | None]
"""Given what an exchange turned out to be: the same with what the client got; None when that is what came."""


@dataclass
class Tap:
    """Feed it the exchanges of a session in order; ask it for the report at any time."""

    resource: str | None = None
    """The MCP URL, in upstream names; inferred from the first MCP exchange when None."""
    revision: str | None = None
    """Judge by this MCP revision, whatever was negotiated."""
    client: str | None = None
    """Which client profile it is, whatever was recognized."""
    profiles: Sequence[Profile] = ()
    """The clients whose outlook the report gives."""
    goal: str | None = None
    """For a walk of our own: the stage at which it was meant to end. Nothing comes after such a walk."""
    redactor: Redactor = field(default_factory=Redactor)
    keeps_secrets: bool = False
    """`feed` gives the unstruck exchange too, and the report says so. What is judged stays struck."""
    steps: list[Step] = field(default_factory=list)
    """What every exchange turned out to be; of a long run of MCP requests alike only the first and the last."""
    notes: list[str] = field(default_factory=list)
    """What the reader should know about the way it was recorded: sentences, told with the report."""

    def __post_init__(self) -> None:
        # The URL itself may hold an API key.
        self.resource = self.redactor.strike_url(self.resource) if self.resource else self.resource
        self.handshake = Handshake(self.resource, self.revision)
        self._judge = Judge(self.handshake, ours=self.goal is not None)
        self.said: dict[int, tuple[Finding, ...]] = {}
        """What was found in exchanges that are not among the steps any more, by their numbers."""
        self._fed = 0
        self.attempts = Attempts(self.handshake)
        self._gone: tuple[int, ...] = ()
        self._callers = Callers()
        self._several: Several | None = None

    def feed(self, exchange: Exchange, repair: Repair | None = None) -> Step:
        """Judge one exchange. Numbers it when it has no number yet. Never raises for what is in it.

        `repair`: lays the fixes that are on over the answer, once it has been judged as it came.
        """
        if not exchange.id:
            exchange = exchange.with_(id=self._fed + 1)
        if self.keeps_secrets:
            return self._fed_and_kept(exchange, repair)
        return self._feed(exchange, repair)

    def _fed_and_kept(self, exchange: Exchange, repair: Repair | None) -> Step:
        kept = [exchange]

        def repaired(step: Step) -> Exchange | None:
            mended = repair(step) if repair else None
            if mended is not None:
                kept.append(exchange.with_(shown=mended.shown, patched_by=mended.patched_by))
            return mended

        step = self._feed(exchange, repaired if repair else None)
        return replace(step, unstruck=kept[-1])

    def _feed(self, exchange: Exchange, repair: Repair | None) -> Step:
        struck = self.redactor.strike(exchange)
        self._fed += 1
        client = self._callers.add(struck)
        step = (
            self._judged_apart(self._several, struck, client, repair) if self._several else self.judged(struck, repair)
        )
        if self._callers.note(struck, step.stages):
            self._part()
            step = next(known for known in reversed(self.steps) if known.exchange.id == struck.id)
        return step

    def judged(self, struck: Exchange, repair: Repair | None = None) -> Step:
        """Judge one exchange that is numbered and struck, and remember it."""
        if struck.fixes is not None:
            self.attempts.switched(struck, self.so_far)
        stages = recognize(struck, self.handshake)
        self.handshake.announce(stages)
        found = self._judge.of(stages)
        if repair is not None and (repaired := repair(Step(struck, stages, found))) is not None:
            struck = self.redactor.strike(repaired)
            stages = tuple(replace(stage, exchange=struck) for stage in stages)
        if struck.patched is not struck and struck.injected is None:  # a fault of ours cures nothing
            found = self._cured(struck, found)
        said = tuple((one.rule, one.severity, one.at) for one in found)
        self._gone = self.handshake.then(stages, said=said)
        if self._gone:
            going = [step for step in self.steps if step.exchange.id in self._gone]
            self.said |= {step.exchange.id: step.findings for step in going if step.findings}
            self.steps = [step for step in self.steps if step.exchange.id not in self._gone]
        step = Step(struck, stages, found)
        self.steps.append(step)
        return step

    def _cured(self, exchange: Exchange, found: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """The findings, each with the fixes that took it away: what is left is found with them as well."""
        left = {finding.rule for finding in self._judge.of(recognize(exchange.patched, self.handshake))}
        return tuple(
            one if one.rule in left else one.model_copy(update={"cured_by": exchange.patched_by}) for one in found
        )

    # --- several clients at once

    @property
    def handshakes(self) -> tuple[Handshake, ...]:
        """What was learned from each client."""
        return tuple(tap.handshake for tap in self._several.taps) if self._several else (self.handshake,)

    def _judged_apart(
        self, several: Several, struck: Exchange, client: int | None, repair: Repair | None = None
    ) -> Step:
        step = several.feed(struck, client, repair)
        own = several.taps[client or 0]
        self.handshake = own.handshake
        if own._gone:
            self.steps = [known for known in self.steps if known.exchange.id not in own._gone]
        self.steps.append(step)
        return step

    def _part(self) -> None:
        """There are several clients, or more than was thought: judge again what is kept, for each by itself."""
        before, steps = self._several.taps if self._several else [self], self.steps
        known = [(tap.handshake.let_go, tap.said) for tap in before]
        own = (self.resource, self.revision, self.client, self.profiles, self.goal, self.redactor)
        self._several = Several(lambda: Tap(*own))
        self.steps = []
        for step in steps:
            self._judged_apart(self._several, step.exchange, self._callers.client(step.exchange))
        self._several.take_over(known)

    def report(self, now: float | None = None, today: date | None = None, *, story: bool = True) -> Report:
        """The report so far.

        `now`: seconds since 1970 up to which nothing else came, for what only its
        absence tells; the end of the last exchange when None. `today` decides which
        client profiles are stale. `story`: tell every exchange; a look in between needs none of them.
        """
        if self._several:
            report = self._several.report(now, today, story=story)
            return self._noted(report.model_copy(update={"secrets_kept": self.keeps_secrets}))
        if now is not None:
            self.handshake.ended = max(now, self.handshake.ended or now)
        self.handshake.over = self.goal is not None
        found = self._found()
        report = build(
            self.handshake, found, self._judge.not_checked(), self.attempts,
            profiles=self.profiles, client=self.client, goal=self.goal, today=today, story=story,
            secrets_kept=self.keeps_secrets,
        )  # fmt: skip
        return self._noted(report)

    def so_far(self, now: float | None) -> list[Finding]:
        """Every finding, when nothing else came until `now`."""
        if now is not None:
            self.handshake.ended = max(now, self.handshake.ended or now)
        return self._found()

    def _found(self) -> list[Finding]:
        each = (*self.said.values(), *(step.findings for step in self.steps), self._judge.whole())
        return sorted((one for findings in each for one in findings), key=lambda f: (f.exchange or 0, RANK[f.severity]))

    def _noted(self, report: Report) -> Report:
        return report.model_copy(update={"notes": (*report.notes, *self.notes)}) if self.notes else report
