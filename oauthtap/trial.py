"""Would it be enough? Lays fixes over a recording and judges again. What was never requested stays unknown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oauthtap.findings import Finding
from oauthtap.fixes import Fix, holds_alias, of_patch
from oauthtap.fixes import When as FixWhen
from oauthtap.fixfile import FixError, chosen
from oauthtap.mending import Fixes
from oauthtap.report import Report
from oauthtap.tap import Step, Tap
from oauthtap.wire import Exchange

NewTap = Callable[[], Tap]
"""A tap that has heard nothing, for the server and client of the recording."""
_MOST = 8


@dataclass(frozen=True)
class Trial:
    """What becomes of a recording with some fixes on."""

    fixes: tuple[Fix, ...]
    report: Report
    tap: Tap
    touched: tuple[int, ...]
    """Exchanges of the recording that the fixes changed."""
    left_out: tuple[int, ...]
    """What the client did after the last of these: with another answer it would have done something else."""

    @property
    def enough(self) -> bool:
        """Nothing that was recorded stands in the way any more."""
        return self.report.connected or (self.report.cause is None and bool(self.touched))


def lay_over(new_tap: NewTap, steps: Sequence[Step], fixes: Sequence[Fix]) -> Trial:
    """Judge the exchanges as they would have been with these fixes on.

    Everything after the last touched exchange is left out, unless the client had connected anyway.
    Requests are not changed: what the upstream would have answered to another one, nobody knows.
    """
    made, touched = [], []
    old = new_tap()
    on = Fixes(fixes=tuple(fixes))
    for step in steps:
        heard = old.feed(step.exchange)
        exchange = step.exchange
        if exchange.response is not None and exchange.actor in ("client", "reporter"):
            after, names = on.answer(heard, exchange.request, exchange.response, old.handshake)
            if names:
                touched.append(exchange.id)
                members = {name: getattr(exchange, name) for name in Exchange.model_fields}
                exchange = Exchange(**{**members, "response": after, "shown": None})
        made.append(exchange)
    connected = old.handshake.authorized is not None
    last = max(touched, default=0)
    kept = [one for one in made if connected or not touched or one.id <= last or one.actor == "reporter"]
    tap = new_tap()
    for exchange in kept:
        tap.feed(exchange)
    left = tuple(one.id for one in made if one not in kept)
    return Trial(tuple(fixes), tap.report(), tap, tuple(touched), left)


def proposals(step: Step | None, finding: Finding) -> tuple[Fix, ...]:
    """What may cure a finding: the patch of its rule for this exchange, else presets that need no value."""
    if finding.patch is not None and step is not None and not holds_alias(finding.patch):
        asked = step.exchange.request
        when = FixWhen(stage=(finding.stage,), method=asked.method, url=_literal(asked.bare_url))
        return (of_patch(finding.rule, finding.patch, when),)
    try:
        return chosen(finding.rule)
    except FixError:
        return ()


def smallest(new_tap: NewTap, steps: Sequence[Step], begin: Sequence[Fix] = ()) -> tuple[Trial, Finding | None]:
    """The fewest fixes after which nothing recorded stands in the way, and the finding nobody had a fix for.

    One cause after the other is taken away, as a person would; then whatever proved needless is left out.
    """
    fixes = tuple(begin)
    trial = lay_over(new_tap, steps, fixes)
    stuck: Finding | None = None
    for _ in range(_MOST):
        finding = cause_of(trial)
        if finding is None:
            break
        step = next((one for one in trial.tap.steps if one.exchange.id == finding.exchange), None)
        new = proposals(step, finding)
        after = lay_over(new_tap, steps, (*fixes, *new)) if new else trial
        now = cause_of(after)
        if not new or (now is not None and (now.rule, now.exchange) == (finding.rule, finding.exchange)):
            stuck = finding
            break
        fixes, trial = (*fixes, *new), after
    return (_fewer(new_tap, steps, trial, len(begin)), None) if trial.enough else (trial, stuck)


def cause_of(trial: Trial) -> Finding | None:
    """The finding behind the cause that a trial's report names."""
    cause = trial.report.cause
    if cause is None:
        return None
    return next(f for f in trial.report.findings if (f.rule, f.exchange) == (cause.rule, cause.exchange))


def _fewer(new_tap: NewTap, steps: Sequence[Step], trial: Trial, given: int) -> Trial:
    for fix in trial.fixes[given:]:
        less = lay_over(new_tap, steps, tuple(one for one in trial.fixes if one is not fix))
        trial = less if less.enough and set(less.touched) == set(trial.touched) else trial
    return trial


def _literal(url: str) -> str:
    """The URL as a pattern that means nothing else."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in url)
