"""Several clients at once: a handshake for each, and one report over all. Attributes nothing (`callers.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from oauthtap.findings import RANK, Finding
from oauthtap.report import Report, SignIn

if TYPE_CHECKING:
    from oauthtap.alike import Gone
    from oauthtap.tap import Repair, Step, Tap
    from oauthtap.wire import Exchange


LETTERS = "ABCDEFGHIJKLMNOP"
"""What the clients are called, in the order they came."""


class Several:
    """One tap for each client. `made` makes one."""

    def __init__(self, made: Callable[[], Tap]) -> None:
        self._made = made
        self.taps: list[Tap] = []
        self._nobodys: list[Exchange] = []
        self._switched: Exchange | None = None
        """The newest exchange with which other fixes are on: they are on for all clients."""

    def feed(self, exchange: Exchange, client: int | None, repair: Repair | None = None) -> Step:
        """Judge a struck exchange by its own client's handshake. What is nobody's is known to all of them."""
        if exchange.fixes is not None:
            self._switched = exchange
            for tap in self.taps:
                tap.attempts.switched(exchange, tap.so_far)
        if client is None:
            first, *others = self.taps or [self._tap()]
            step = first.judged(exchange, repair)
            self._nobodys.append(step.exchange)
            for tap in others:  # with what the fixes made of it, which they do once
                tap.judged(step.exchange)
            return step
        while len(self.taps) <= client:
            self._tap()
        return replace(self.taps[client].judged(exchange, repair), client=LETTERS[client])

    def _tap(self) -> Tap:
        """One more client, who has been told of what is nobody's."""
        self.taps.append(made := self._made())
        if self._switched is not None:
            made.attempts.switched(self._switched, made.so_far)
        for exchange in self._nobodys:
            made.judged(exchange)
        return made

    def take_over(self, before: Sequence[tuple[Gone, Mapping[int, tuple[Finding, ...]]]]) -> None:
        """What was let go of before its client was known goes to whoever has the rest of its kind, findings and all."""
        for one, said in ((one, said) for let_go, said in before for one in let_go):
            number = one.like[0].exchange.id
            owner = next((tap for tap in self.taps if tap.handshake.of(number)), self.taps[0])
            owner.handshake.let_go.append(one)
            if one.exchange in said:
                owner.said[one.exchange] = said[one.exchange]

    def report(self, now: float | None, today: date | None, *, story: bool) -> Report:
        """The report over all: it speaks of the first sign-in that stopped, and tells of each by itself."""
        reports = [tap.report(now, today, story=story) for tap in self.taps]
        first = next((report for report in reports if not report.connected), reports[0])
        exchanges = {step.id: step for report in reports for step in report.exchanges}
        unchecked = set.intersection(*({row.rule for row in report.not_checked} for report in reports))
        recorded = {outlook.client for report in reports for outlook in report.clients if outlook.recorded}
        faults = {fault for report in reports for fault in report.injected}
        return first.model_copy(
            update={
                "injected": tuple(sorted(faults, key=lambda fault: fault.exchange)),
                "exchanges": tuple(exchanges[number] for number in sorted(exchanges)),
                "findings": _together([report.findings for report in reports]),
                "not_checked": tuple(row for row in first.not_checked if row.rule in unchecked),
                "clients": tuple(
                    o.model_copy(update={"recorded": True}) if o.client in recorded else o for o in first.clients
                ),
                "sign_ins": tuple(_sign_in(letter, report) for letter, report in zip(LETTERS, reports, strict=False)),
            }
        )


def _together(each: Sequence[Sequence[Finding]]) -> tuple[Finding, ...]:
    """The findings of all, in order; what is nobody's is found by each of them, and told once."""
    found = {(f.rule, f.exchange, f.at, f.message): f for findings in each for f in findings}
    return tuple(sorted(found.values(), key=lambda f: (f.exchange or 0, RANK[f.severity])))


def _sign_in(letter: str, report: Report) -> SignIn:
    own = tuple(step.id for step in report.exchanges if step.actor in ("client", "browser"))
    members = {name: getattr(report, name) for name in SignIn.model_fields if name in Report.model_fields}
    return SignIn(**{**members, "letter": letter, "exchanges": own})
