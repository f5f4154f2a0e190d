"""A report held against a baseline, in words: what is new, fixed and unchanged for each client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oauthtap.report.model import BaselineCheck, KnownProblem


def lines(checks: Sequence[BaselineCheck]) -> Iterator[str]:
    """For a terminal: a line for each client, and one for each problem that is new or fixed."""
    for check in checks:
        yield f"{check.client}: {went(check)}; {_counted(check)} (--baseline)"
        yield from (f"  new    {_named(one)}" for one in check.new)
        yield from (f"  fixed  {_named(one)}" for one in check.fixed)


def went(check: BaselineCheck) -> str:
    """Whether it works, and whether that is new."""
    now = "works" if check.works else "does not work"
    if check.worked is None:
        return f"{now} (not in the baseline)"
    return now if check.worked == check.works else f"{now}, {'did' if check.worked else 'did not'} before"


def _counted(check: BaselineCheck) -> str:
    return f"{len(check.new)} new, {len(check.fixed)} fixed, {len(check.unchanged)} unchanged"


def _named(one: KnownProblem) -> str:
    return f"{one.kind}: {one.rule}{f' ({one.at})' if one.at else ''}"
