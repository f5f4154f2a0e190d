"""The steps of a sign-in, and at which of them the cause is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from oauthtap.report.model import ExchangeRow, Report

State = Literal["passed", "failed", "open"]


@dataclass(frozen=True)
class Step:
    """One step: its name in three lengths, and what became of it."""

    names: tuple[str, str, str]
    """The longest first."""
    state: State


_STEPS: tuple[tuple[tuple[str, str, str], frozenset[str]], ...] = (
    (("challenge", "challenge", "401"), frozenset({"mcp-challenge", "cors-preflight"})),
    (("resource metadata", "PRM", "PRM"), frozenset({"prm-discovery"})),
    (("server metadata", "AS metadata", "AS"), frozenset({"as-discovery", "jwks-fetch"})),
    (("registration", "registration", "client"), frozenset({"client-registration", "client-metadata-fetch"})),
    (
        ("login", "login", "login"),
        frozenset({
            "pushed-authorization", "authorization-request", "authorization-interaction", "authorization-response",
            "device-authorization",
        }),
    ),
    (
        ("token", "token", "token"),
        frozenset({"token-request", "token-refresh", "token-other-grant", "token-maintenance"}),
    ),
    (
        ("MCP", "MCP", "MCP"),
        frozenset({
            "mcp-initialize", "mcp-discover", "mcp-request", "mcp-stream", "mcp-session-end", "legacy-sse",
            "mcp-token-rejected", "mcp-step-up",
        }),
    ),
)  # fmt: skip


def steps(report: Report) -> tuple[Step, ...]:
    """The steps in order. `failed` is the step of the cause; without a cause, the one at which a sign-in stopped."""
    rows = [row for row in report.exchanges if row.actor != "reporter"] or list(report.exchanges)
    failed = _failed(report, rows)
    return tuple(
        Step(names, "failed" if place == failed else "passed" if _passed(place, rows, report) else "open")
        for place, (names, _) in enumerate(_STEPS)
    )


def _failed(report: Report, rows: list[ExchangeRow]) -> int | None:
    if report.works or not rows:
        return None
    if report.cause is not None:
        number = report.cause.exchange
        own = next((row.stage for row in report.exchanges if row.id == number), None)
        found = next((f.stage for f in report.findings if f.rule == report.cause.rule and f.exchange == number), None)
        for stage in (own, found):
            if stage is not None and (place := _place(stage)) is not None:
                return place
        return _place(report.reached)
    return None if report.ending == "nothing-arrived" else _place(report.reached)


def _place(stage: str) -> int | None:
    return next((place for place, (_, slugs) in enumerate(_STEPS) if stage in slugs), None)


def _passed(place: int, rows: list[ExchangeRow], report: Report) -> bool:
    """An exchange of the step was answered as it should be."""
    slugs = _STEPS[place][1]
    if place == len(_STEPS) - 1:
        return report.connected
    return any(_is_good(row) for row in rows if slugs & set(row.stages))


def _is_good(row: ExchangeRow) -> bool:
    if row.stage == "mcp-challenge":
        return row.status == 401
    if row.stage.startswith("authorization-") and row.status is None:
        return row.error is None  # the browser goes on by itself
    return row.status is not None and row.status < 400
