"""The search: one change after the other, then pairs, until the client connects; then each part is taken out again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from oauthtap.diagnosis.progress import STAGE_ORDER
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.report.model import Report
from oauthtap.solve.model import ChangeSet, Need, Try

_LARGEST = 4
"""Changes that are tried together at most."""
_PAIRED = 3
"""How many of the first changes are tried in pairs where none was enough."""


@dataclass(frozen=True)
class RunResult:
    """What a run came to. `connected`: what the client itself said, or that nothing recorded is in the way."""

    connected: bool
    report: Report
    tap: SessionAnalyzer
    seconds: float = 0.0
    session: str | None = None


class Runner(Protocol):
    """Runs the client with these fixes, in a fresh home, and nothing left over from before."""

    def __call__(self, change: ChangeSet, /) -> RunResult: ...


Propose = Callable[[RunResult], tuple[list[ChangeSet], list[Need]]]
"""What may help after a run, the likeliest first, and what only a person knows."""


class OutOfBudget(Exception):
    """No further run may be made."""


@dataclass
class Search:
    """One search. `tell` hears of each try before it begins (None) and after it."""

    run: Runner
    propose: Propose
    most: int = 10
    """Runs, the one without a change among them."""
    until: float = float("inf")
    """When the last run may begin, on the clock of `now`."""
    now: Callable[[], float] = time.monotonic
    tell: Callable[[int, ChangeSet, str, Try | None], None] = lambda number, change, why, result: None
    tries: list[Try] = field(default_factory=list)
    needs: dict[str, Need] = field(default_factory=dict)
    ran: dict[frozenset[str], tuple[Try, RunResult]] = field(default_factory=dict)
    exhausted: bool = False
    """The budget was over before everything was tried."""

    def solve(self) -> ChangeSet | None:
        """The smallest change with which the client connects: empty where it connects anyway, None where there is
        none. Raises what the runner raises."""
        try:
            change = self._find()
        except OutOfBudget:
            self.exhausted = True
            return None
        if change is not None and len(change.fixes) > 1:
            change = self._smaller(change)
        return change

    def result(self, change: ChangeSet) -> tuple[Try, RunResult]:
        """What came of a change that was tried."""
        return self.ran[change.key]

    def needed_by(self, change: ChangeSet, number: int) -> int | None:
        """The number of the try that shows that a part of the change is needed; None where there is none."""
        less = change.without(change.fixes[number])
        known = self.ran.get(less.key)
        return known[0].number if known and not known[0].connected else None

    # --- up

    def _find(self) -> ChangeSet | None:
        nothing = ChangeSet(fixes=())
        first = self._try(nothing, "as it is")
        if first.connected:
            return nothing
        singles = self._proposed(first)
        waiting: list[tuple[int, int, int, ChangeSet]] = []
        count = itertools.count()
        for change in singles:
            waiting.append((1, 0, next(count), change))
        for one, other in itertools.combinations(singles[:_PAIRED], 2):
            waiting.append((2, 1, next(count), one.plus(other)))
        while waiting:
            waiting.sort(key=lambda one: one[:3])
            size, _, _, change = waiting.pop(0)
            if change.key in self.ran:
                continue
            ran = self._try(change, f"for {', '.join(change.rules)}")
            if ran.connected:
                return change
            if size < _LARGEST and _went_further(first, ran):
                # One cause is gone, and there was another behind it: from here on both.
                more = [change.plus(one) for one in self._proposed(ran) if not one.key <= change.key]
                waiting += [(size + 1, 0, next(count), one) for one in more if one.key != change.key]
        return None

    def _proposed(self, ran: RunResult) -> list[ChangeSet]:
        changes, needs = self.propose(ran)
        for need in needs:
            self.needs.setdefault(need.name, need)
        return changes

    # --- and down again

    def _smaller(self, change: ChangeSet) -> ChangeSet:
        """Without each part that is not needed. Where the budget ends, the rest stays as it is."""
        try:
            for fix in change.fixes:
                less = change.without(fix)
                name = ChangeSet(fixes=(fix,)).names[0]
                if less.key not in self.ran:
                    self._try(less, f"without {name}")
                if self.ran[less.key][1].connected:
                    return self._smaller(less) if len(less.fixes) > 1 else less
        except OutOfBudget:
            self.exhausted = True
        return change

    def _try(self, change: ChangeSet, why: str) -> RunResult:
        if len(self.tries) >= self.most or self.now() >= self.until:
            raise OutOfBudget
        number = len(self.tries) + 1
        self.tell(number, change, why, None)
        ran = self.run(change)
        tried = _told(number, change, ran, why)
        self.tries.append(tried)
        self.ran[change.key] = (tried, ran)
        self.tell(number, change, why, tried)
        return ran


def _went_further(before: RunResult, after: RunResult) -> bool:
    """The client came further than before, or stopped for another cause."""
    if position(after.report) > position(before.report):
        return True
    causes = [ran.report.cause.rule if ran.report.cause else None for ran in (before, after)]
    return causes[0] != causes[1]


def position(report: Report) -> int:
    """How far the client came, as the place of the stage in a sign-in."""
    return STAGE_ORDER.index(report.reached) if report.reached in STAGE_ORDER else -1


def _told(number: int, change: ChangeSet, ran: RunResult, why: str) -> Try:
    report = ran.report
    return Try(
        number=number,
        fixes=change.names,
        connected=ran.connected,
        ending=report.ending,
        reached=report.reached,
        cause=report.cause.rule if report.cause else None,
        title=report.cause.title if report.cause else "",
        refusal=report.refusal,
        exchanges=sum(row.actor != "reporter" for row in report.exchanges) or len(ran.tap.steps),
        seconds=round(ran.seconds, 1),
        session=ran.session,
        why=why,
    )
