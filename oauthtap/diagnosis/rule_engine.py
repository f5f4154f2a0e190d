"""The rule engine: each rule is asked about the stages it is for, and a rule that crashes stops no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import repeat

from oauthtap import rules
from oauthtap.diagnosis.findings import Finding, Problem, Severity, finding
from oauthtap.handshake.stages import STAGES, Certainty, Stage, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import is_stand_in, strict
from oauthtap.model.requirements import practice
from oauthtap.rules import Rule

_CRASHED = practice("oauthtap", "https://modelcontextprotocol.io/specification")


class RuleEngine:
    """The rules before one handshake. `ours`: it is a walk of our own, and no client's."""

    def __init__(self, handshake: Handshake, *, ours: bool = False) -> None:
        self._handshake, self._ours = handshake, ours
        self._chosen: dict[tuple[type[Stage], str], tuple[Rule, ...]] = {}
        """Kind of stage and revision, to the rules that are asked."""
        self._not_checked: dict[str, str] = {}
        """Rules that could not see what they look at, and why."""
        self._looked_at: set[str] = set()
        self._of_absence = rules.of_absence()

    @cached_property
    def _rules(self) -> dict[type, list[Rule]]:
        """By what they are about. Loaded when they are first asked: a tap listens before it has read its rules."""
        table: dict[type, list[Rule]] = defaultdict(list)
        for rule in rules.load().values():
            for subject in rule.subjects:
                table[subject].append(rule)
        return table

    def check_exchange(self, stages: tuple[Stage, ...]) -> tuple[Finding, ...]:
        """What is wrong with one exchange, of which these are the stages."""
        found: list[Finding] = []
        with strict():
            for rule, stage in self._asked(stages):
                if not (self._ours and self._our_request(rule, stage)):
                    found += self._run(rule, stage, stage, self._handshake)
        return tuple(found)

    def check_handshake(self) -> list[Finding]:
        """What is wrong with the handshake as a whole, as far as it has come."""
        found: list[Finding] = []
        with strict():
            for rule in self._rules[Handshake]:
                if rule.applies_to(self._handshake.revision):
                    found += self._run(rule, None, self._handshake)
        return found

    def not_checked(self) -> dict[str, str]:
        """Every rule that was not applicable, to the reason: silence must not look like a pass."""
        reasons = {}
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
            reasons[rule.id] = reason
        return reasons

    def _asked(self, stages: tuple[Stage, ...]) -> Iterator[tuple[Rule, Stage]]:
        """Each rule that is about one of the stages, once, with the first stage it is about."""
        revision = self._handshake.revision
        if len(stages) == 1:
            yield from zip(self._rules_for(type(stages[0]), revision), repeat(stages[0]))
            return
        done: set[str] = set()
        for stage in stages:
            for rule in self._rules_for(type(stage), revision):
                if rule.id not in done:
                    done.add(rule.id)
                    yield rule, stage

    def _rules_for(self, kind: type[Stage], revision: str) -> tuple[Rule, ...]:
        if (known := self._chosen.get((kind, revision))) is None:
            every = (rule for base in kind.__mro__ for rule in self._rules[base])
            found = {rule.id: rule for rule in every if rule.applies_to(revision)}
            self._chosen[kind, revision] = known = tuple(found.values())
        return known

    # Inside `strict`: a rule that asks for what the recording does not show has nothing to say.
    def _run(self, rule: Rule, stage: Stage | None, *asked: Stage | Handshake) -> Iterable[Finding]:
        if rule.id in self._of_absence and self._among_others(stage):
            self._not_checked.setdefault(rule.id, "the recording tells of some exchanges only")
            return ()
        try:
            problems = list(rule.check(*asked))
        except Unseen as unseen:
            self._not_checked.setdefault(rule.id, str(unseen))
            return ()
        except (Exception, SystemExit) as crash:  # the debugger must never be the bug, nor a rule of the user's own
            self._looked_at.add(rule.id)
            return (_crashed(rule, crash, stage),)
        if not problems:  # nearly always, and asked some fifty times for each exchange
            self._looked_at.add(rule.id)
            return ()
        if any(_of_stand_in(problem, stage) for problem in problems):
            self._not_checked.setdefault(rule.id, "the recording does not show the URL")
            problems = [problem for problem in problems if not _of_stand_in(problem, stage)]
        else:
            self._looked_at.add(rule.id)
        return self._findings(rule, stage, problems)

    def _among_others(self, stage: Stage | None) -> bool:
        """The recording may have left exchanges out."""
        newest = stage or next(reversed(self._handshake.stages), None)
        return newest is not None and newest.exchange.excerpt

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

    def _our_request(self, rule: Rule, stage: Stage) -> bool:
        """A request that our own walk sent beyond the client's way; the rule blames its sender or its refusal."""
        return stage.exchange.actor == "reporter" and (rule.who == "client" or rule.symptom or rule.echo)

    def _stage_of(self, problem: Problem, stage: Stage | None) -> str:
        if stage is not None:
            return stage.slug
        stages = self._handshake.of(problem.exchange or 0)
        return stages[0].slug if stages else "any"


def _of_stand_in(problem: Problem, stage: Stage | None) -> bool:
    """It compares a URL that a reader put where the recording shows none: what the client used is unseen."""
    compared = (problem.actual or "", problem.expected or "")
    asked = stage.request.url if stage is not None and problem.at.startswith("request.url") else ""
    return any(is_stand_in(value) for value in (*compared, asked))


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
