"""Asks rules what they have to say, each where it has anything to say. Remembers which were asked, and no exchange."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from functools import cached_property
from itertools import repeat
from typing import cast

from oauthtap import rules
from oauthtap.findings import Finding, Problem, Severity, finding
from oauthtap.handshake import Handshake
from oauthtap.report import NotChecked
from oauthtap.rules import Rule
from oauthtap.specs import practice
from oauthtap.stages import STAGES, Certainty, Stage, Unseen

_CRASHED = practice("oauthtap", "https://modelcontextprotocol.io/specification")


class Judge:
    """The rules before one handshake. `ours`: it is a walk of our own, and no client's."""

    def __init__(self, handshake: Handshake, *, ours: bool = False) -> None:
        self._handshake, self._ours = handshake, ours
        self._chosen: dict[Hashable, tuple[Rule, ...]] = {}
        """Kind of stage, revision, facts, and whether it is one more of many alike: to the rules that are asked."""
        self._not_checked: dict[str, str] = {}
        """Rules that could not see what they look at, and why."""
        self._looked_at: set[str] = set()

    @cached_property
    def _rules(self) -> dict[type, list[Rule]]:
        """By what they are about. Loaded when they are first asked: a tap listens before it has read its rules."""
        table: dict[type, list[Rule]] = defaultdict(list)
        for rule in rules.load().values():
            for subject in rule.subjects:
                table[subject].append(rule)
        return table

    def of(self, stages: tuple[Stage, ...], *, again: bool = False) -> tuple[Finding, ...]:
        """What is wrong with one exchange, of which these are the stages.

        `again`: rules know all there is to know of it, but for those that are asked each time.
        """
        found: list[Finding] = []
        for rule, stage in self._asked(stages, again):
            found += self._run(rule, stage)
        return tuple(found)

    def whole(self) -> list[Finding]:
        """What is wrong with the handshake as a whole, as far as it has come."""
        found: list[Finding] = []
        for rule in self._rules[Handshake]:
            if rule.applies_to(self._handshake.revision):
                found += self._run(rule, self._handshake)
        return found

    def not_checked(self) -> list[NotChecked]:
        """Every rule that had nothing to look at, with the reason: silence must not look like a pass."""
        rows = []
        for rule in rules.RULES.values():
            if rule.id in self._looked_at:
                continue
            if not rule.applies_to(self._handshake.revision):
                reason = f"not part of MCP {self._handshake.revision}"
            elif rule.id in self._not_checked:
                reason = self._not_checked[rule.id]
            else:
                slugs = [kind.slug for kind in STAGES if issubclass(kind, rule.subjects)]
                reason = f"no {' or '.join(slugs)} exchange was seen"
            rows.append(NotChecked(rule=rule.id, because=reason))
        return rows

    def _asked(self, stages: tuple[Stage, ...], again: bool) -> Iterator[tuple[Rule, Stage]]:
        """Each rule that may have something to say of an exchange, once, with the first stage it is about."""
        true, revision = rules.facts(stages[0].exchange), self._handshake.revision
        if len(stages) == 1:
            yield from zip(self._rules_for(type(stages[0]), revision, true, again), repeat(stages[0]))
            return
        done: set[str] = set()
        for stage in stages:
            for rule in self._rules_for(type(stage), revision, true):
                if rule.id not in done:
                    done.add(rule.id)
                    yield rule, stage

    def _rules_for(
        self, kind: type[Stage], revision: str, true: tuple[rules.Fact, ...], again: bool = False
    ) -> tuple[Rule, ...]:
        key = (kind, revision, true, again)
        if (known := self._chosen.get(key)) is None:
            every = (rule for base in kind.__mro__ for rule in self._rules[base])
            found = {rule.id: rule for rule in every if rule.applies_to(revision)}
            asked = (rule for rule in found.values() if rule.needs is None or rule.needs in true)
            self._chosen[key] = known = tuple(rule for rule in asked if rule.each_time or not again)
            # The others were looked at: what they need was not there.
            self._looked_at |= {rule.id for rule in found.values() if rule.needs is not None and rule.needs not in true}
        return known

    def _run(self, rule: Rule, subject: Stage | Handshake) -> Iterable[Finding]:
        stage = None if subject is self._handshake else cast(Stage, subject)
        try:
            problems = list(rule.check(subject, self._handshake) if stage else rule.check(subject))
        except Unseen as unseen:
            self._not_checked.setdefault(rule.id, str(unseen))
            return ()
        except (Exception, SystemExit) as crash:  # the debugger must never be the bug, nor a rule of the user's own
            self._looked_at.add(rule.id)
            return (_crashed(rule, crash, stage),)
        self._looked_at.add(rule.id)
        return self._findings(rule, stage, problems) if problems else ()

    def _findings(self, rule: Rule, stage: Stage | None, problems: list[Problem]) -> Iterator[Finding]:
        certainty: Certainty = stage.certainty if stage else "likely"
        for problem in problems:
            yield finding(
                problem,
                rule=rule.id,
                title=rule.title,
                requirement=rule.requirement,
                who=rule.who,
                severity="note" if self._our_own(rule) else _capped(problem.severity or rule.severity, certainty),
                fix=rule.repair,
                stage=self._stage_of(problem, stage),
                exchange=stage.exchange.id if stage else None,
            )

    def _our_own(self, rule: Rule) -> bool:
        """Something that our own walk did because of a defect: the defect is the news."""
        return self._ours and rule.who == "client" and rule.symptom

    def _stage_of(self, problem: Problem, stage: Stage | None) -> str:
        if stage is not None:
            return stage.slug
        stages = self._handshake.of(problem.exchange or 0)
        return stages[0].slug if stages else "any"


def _capped(severity: Severity, certainty: Certainty) -> Severity:
    """An exchange recognized by its path alone proves nothing."""
    return "note" if certainty == "guess" else severity


def _crashed(rule: Rule, crash: BaseException, stage: Stage | None) -> Finding:
    where = f"{type(crash).__name__} in rule {rule.id}"
    return finding(
        Problem(
            message=f"oauthtap could not finish this rule ({where}); the traffic is not affected",
            at="oauthtap",
        ),
        rule="internal-error",
        title="A rule of oauthtap failed",
        requirement=_CRASHED,
        who="config",
        severity="note",
        fix="Report it with the session: the fault is oauthtap's, not the server's.",
        stage=stage.slug if stage else "any",
        exchange=stage.exchange.id if stage else None,
    )
