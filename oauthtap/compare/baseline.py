"""What is known to be wrong for each client, and a later report held against it: new, fixed, unchanged.

A cause is known by its rule, a finding by its rule and its place. What is known is accepted; what is new is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

from oauthtap.report.model import BaselineCheck, KnownProblem, Report

_INDEX = re.compile(r"\[\d+\]")


class ClientBaseline(BaseModel):
    """What is known of one client at this server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    works: bool
    problems: tuple[KnownProblem, ...] = ()


class Baseline(BaseModel):
    """The file that `--update-baseline` writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    oauthtap_baseline: Literal[1] = 1
    clients: dict[str, ClientBaseline] = {}


def held_against(report: Report, known: Baseline, unnamed: str) -> Report:
    """The report with what is new, fixed and unchanged for each of its clients.

    `unnamed`: what a client is called of which nothing tells the name.
    """
    checks = tuple(_check(name, one, known) for name, one in by_client(report, unnamed))
    return report.model_copy(update={"baseline": checks})


def updated(known: Baseline, report: Report, unnamed: str) -> Baseline:
    """The baseline with this report's clients as they are now; the others stay."""
    now = {
        name: ClientBaseline(works=one.works, problems=tuple(_problems(one)))
        for name, one in by_client(report, unnamed)
    }  # fmt: skip
    return Baseline(clients=dict(sorted({**known.clients, **now}.items())))


def by_client(report: Report, unnamed: str) -> Iterator[tuple[str, Report]]:
    """Each client's name, and the report about it alone. The last sign-in of a client counts."""
    alone = [report.alone(one) for one in report.sign_ins] or [report]
    names = (one.client.name if one.client else unnamed for one in alone)
    yield from dict(zip((re.sub(r"[^a-z0-9@._]+", "-", name.lower()) for name in names), alone, strict=True)).items()


def _check(name: str, report: Report, known: Baseline) -> BaselineCheck:
    was = known.clients.get(name)
    before, now = _by_key(was.problems if was else ()), _by_key(_problems(report))
    first = report.cause.rule if report.cause else None
    new = [one for key, one in now.items() if key not in before and (one.kind != "cause" or one.rule == first)]
    return BaselineCheck(
        client=name,
        worked=was.works if was else None,
        works=report.works,
        new=tuple(new),
        fixed=tuple(one for key, one in before.items() if key not in now),
        unchanged=tuple(one for key, one in now.items() if key in before),
    )


def _problems(report: Report) -> Iterator[KnownProblem]:
    """The causes in their order, then errors and warnings; a note is no problem."""
    for cause in report.causes:
        yield KnownProblem(kind="cause", rule=cause.rule, title=cause.title)
    for found in report.findings:
        if found.severity in ("error", "warning"):
            place = _INDEX.sub("[]", found.at or "")
            yield KnownProblem(kind=found.severity, rule=found.rule, at=place, title=found.title)


def _by_key(problems: Iterable[KnownProblem]) -> dict[tuple[bool, str, str], KnownProblem]:
    """A finding that is now a cause is another thing; one that changed its severity is not."""
    return {(one.kind == "cause", one.rule, one.at): one for one in problems}
