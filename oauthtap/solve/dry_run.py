"""Would it be enough? Lays fixes over a recording and judges again. What was never requested stays unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from oauthtap import rules
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding, Patch
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.model import Fix, When, from_patch, holds_alias, with_values
from oauthtap.fixes.toml_io import FixError, presets_for
from oauthtap.model.exchange import Exchange
from oauthtap.report.build import build
from oauthtap.report.model import Report

NewTap = Callable[[], SessionAnalyzer]
"""A tap that has heard nothing, for the server and client of the recording."""
_MOST = 8


@dataclass(frozen=True)
class Trial:
    """What becomes of a recording with some fixes on."""

    fixes: tuple[Fix, ...]
    report: Report
    tap: SessionAnalyzer
    touched: tuple[int, ...]
    """Exchanges of the recording that the fixes changed."""
    left_out: tuple[int, ...]
    """What the client did because of the answers as they were: with others it would have done something else."""

    patched: tuple[Exchange, ...] = ()
    """Those that the fixes changed, with what they made of them."""
    tolerated_rules: frozenset[str] = frozenset()
    """Rules whose findings the client went past in the recording: they are not in its way."""

    @property
    def enough(self) -> bool:
        """No blocking problem is left in the recording."""
        return self.report.works or (cause_of(self) is None and bool(self.touched))


def simulate(new_tap: NewTap, steps: Sequence[AnalyzedExchange], fixes: Sequence[Fix]) -> Trial:
    """Judge the exchanges as they would have been with these fixes on.

    What followed only from the answers as they were is left out, unless the client had connected anyway.
    Requests are not changed: what the upstream would have answered to another one, nobody knows.
    """
    made, touched, patched = [], [], []
    old = new_tap()
    on = ActiveFixes(fixes=tuple(fixes))
    for step in steps:
        exchange = step.exchange.replace(
            delivered_response=None, forwarded_request=None, applied_fixes=(), active_fixes=None
        )
        heard = old.add(exchange)
        if exchange.response is not None and exchange.actor in ("client", "reporter"):
            after, names = on.apply(heard, exchange.request, exchange.response)
            if names:
                touched.append(exchange.id)
                patched.append(exchange.replace(delivered_response=after, applied_fixes=names))
                exchange = exchange.replace(response=after)
        made.append(exchange)
    survived = _survived(old)
    kept = _without_consequences(new_tap, made, touched)
    tap = _heard(new_tap, kept)
    trial = Trial(tuple(fixes), build(tap), tap, tuple(touched), _missing(made, kept), tuple(patched), survived)
    finding = cause_of(trial)
    if (
        finding is not None
        and finding.responsible == "client"
        and (finding.exchange or 0) > min(touched, default=0) > 0
    ):
        # With another answer the client would have done something else: what it did is no evidence.
        kept = [one for one in kept if one.id <= max(touched)]
        tap = _heard(new_tap, kept)
        trial = Trial(tuple(fixes), build(tap), tap, tuple(touched), _missing(made, kept), tuple(patched), survived)
    return trial


def _survived(old: SessionAnalyzer) -> frozenset[str]:
    """Rules that found something before the cause, or in an answer that the client made use of."""
    cause = build(old).cause
    if cause is None or cause.exchange is None:
        return frozenset()
    used = {step.initiator.exchange for step in old.steps if step.initiator is not None and not step.initiator.guess}
    passed = [one for one in old.steps if one.exchange.id < cause.exchange or one.exchange.id in used]
    return frozenset(finding.rule for step in passed for finding in step.findings) - {cause.rule}


def _without_consequences(new_tap: NewTap, made: Sequence[Exchange], touched: Sequence[int]) -> list[Exchange]:
    """What was asked only because of an answer that now reads otherwise is left out: nothing names it any more."""
    kept = list(made)
    while touched:
        tap = _heard(new_tap, kept)
        gone = {
            step.exchange.id
            for step in tap.steps
            if step.initiator is not None and step.initiator.guess and step.exchange.id > touched[0]
        } - set(touched)
        if not gone or tap.handshake.authorized is not None:
            break
        kept = [one for one in kept if one.id not in gone]
    return kept


def _heard(new_tap: NewTap, exchanges: Sequence[Exchange]) -> SessionAnalyzer:
    tap = new_tap()
    for exchange in exchanges:
        tap.add(exchange)
    return tap


def _missing(made: Sequence[Exchange], kept: Sequence[Exchange]) -> tuple[int, ...]:
    there = {one.id for one in kept}
    return tuple(one.id for one in made if one.id not in there)


def recorded(tap: SessionAnalyzer) -> dict[str, str]:
    """What stands for placeholders and is known from the recording, so that a proposal need not find it out again."""
    metadata = tap.handshake.metadata
    return {"issuer": (metadata.issuer if metadata else None) or tap.handshake.issuer or ""}


def proposals(step: AnalyzedExchange | None, finding: Finding) -> tuple[Fix, ...]:
    """What may cure a finding: the patch of its rule for this exchange, else presets that need no value."""
    if finding.patch is not None and step is not None and not holds_alias(finding.patch):
        return (from_patch(finding.rule, finding.patch, _where(step, finding.stage, finding.patch)),)
    try:
        return tuple(fix for fix in presets_for(finding.rule) if not fix.by_hand)
    except FixError:
        return ()


def minimal_fixes(
    new_tap: NewTap, steps: Sequence[AnalyzedExchange], begin: Sequence[Fix] = ()
) -> tuple[Trial, Finding | None]:
    """The fewest fixes after which no recorded problem blocks the sign-in, and the finding without a fix.

    One cause after the other is taken away, as a person would; then whatever proved needless is left out.
    A fix that changes requests ends it: what would have been answered to another one, nobody knows.
    """
    fixes = tuple(begin)
    trial = simulate(new_tap, steps, fixes)
    known = recorded(trial.tap)
    stuck: Finding | None = None
    for _ in range(_MOST):
        finding = cause_of(trial)
        if finding is None:
            break
        step = next((one for one in trial.tap.steps if one.exchange.id == finding.exchange), None)
        new = tuple(with_values(fix, known) for fix in proposals(step, finding))
        after = simulate(new_tap, steps, (*fixes, *new)) if new else trial
        if any(fix.request is not None for fix in new):
            return after, None
        now = cause_of(after)
        if not new or (now is not None and (now.rule, now.exchange) == (finding.rule, finding.exchange)):
            stuck = finding
            break
        fixes, trial = (*fixes, *new), after
    return (_fewer(new_tap, steps, trial), None) if trial.enough else (trial, stuck)


def strict_fixes(new_tap: NewTap, steps: Sequence[AnalyzedExchange], begin: Sequence[Fix] = ()) -> Trial:
    """The fixes for problems that this client tolerates but others do not: each removes a finding that is an error."""
    trial = simulate(new_tap, steps, begin)
    for rule in dict.fromkeys(finding.rule for finding in trial.report.findings if _weighs(finding)):
        finding = next((one for one in trial.report.findings if one.rule == rule), None)
        step = next((one for one in trial.tap.steps if finding and one.exchange.id == finding.exchange), None)
        new = tuple(with_values(fix, recorded(trial.tap)) for fix in proposals(step, finding)) if finding else ()
        after = simulate(new_tap, steps, (*trial.fixes, *new)) if new else trial
        if all(one.rule != rule for one in after.report.findings):
            trial = after
    return trial


def _weighs(finding: Finding) -> bool:
    known = rules.RULES.get(finding.rule)
    return known is not None and known.severity == "error" and not known.symptom and finding.severity != "note"


def cause_of(trial: Trial) -> Finding | None:
    """The finding behind the cause that a trial's report names; None when the client went past it before."""
    cause = trial.report.cause
    if cause is None or cause.rule in trial.tolerated_rules:
        return None
    return next(f for f in trial.report.findings if (f.rule, f.exchange) == (cause.rule, cause.exchange))


def _fewer(new_tap: NewTap, steps: Sequence[AnalyzedExchange], trial: Trial) -> Trial:
    reached = {slug for step in steps for slug in (stage.slug for stage in step.stages)}
    for fix in trial.fixes:
        tried = not fix.when.stage or any(fnmatchcase(slug, one) for slug in reached for one in fix.when.stage)
        if fix.request is None and tried:
            less = simulate(new_tap, steps, tuple(one for one in trial.fixes if one is not fix))
            trial = less if less.enough else trial
    return trial


def _where(step: AnalyzedExchange, stage: str, patch: Patch) -> When:
    """The place of the exchange; where the patch says nothing of the place, all that are answered alike.

    A client told that one metadata place is empty goes on to the next, which was never requested so far.
    """
    asked, response = step.exchange.request, step.exchange.response
    status = (response.status,) if response is not None else ()
    if response is None or patch.merge is not None or patch.body is not None or patch.headers:
        return When(stage=(stage,), method=asked.method, url=_literal(asked.bare_url), status=status)
    return When(stage=(stage,), method=asked.method, status=status, media_type=(response.media_type,))


def _literal(url: str) -> str:
    """The URL as a pattern that means nothing else."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in url)
