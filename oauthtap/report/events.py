"""What happens while a command runs, as JSON lines: `--events`. One object a line, its kind in `event`.

    (every line has `time`, seconds since 1970)
    ready      the tap stands: `url` for the client, `ports` (local origin to upstream origin), `session`, `pid`
    listener   a further upstream origin got a local port
    exchange   one exchange, as a row of the report has it
    finding    what a rule found in it, without notes
    cause      the cause named now; another one, or null, replaces it
    fix        which fixes are on
    ending     how it ended so far; `over` when nothing more is expected; `exit` in the last line, and only there
    note       something the person should know

A new kind and a new member may be added; what is here stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oauthtap.diagnosis.findings import Finding
from oauthtap.report.model import ExchangeRow, RankedCause, Report

KINDS = ("ready", "listener", "exchange", "finding", "cause", "fix", "ending", "note")


def of_exchange(row: ExchangeRow, client: str = "") -> dict[str, Any]:
    """An exchange. `client`: its letter, where there are several."""
    members = row.model_dump(mode="json", exclude_none=True, exclude={"stages", "patched"}, exclude_defaults=True)
    return {"event": "exchange", **members, **({"client": client} if client else {})}


def of_findings(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Each finding that is no mere note."""
    wanted = ("rule", "severity", "responsible", "exchange", "at", "message", "expected", "actual", "fix")
    return [
        {"event": "finding", **one.model_dump(mode="json", include=set(wanted), exclude_none=True)}
        for one in findings
        if one.severity != "note"
    ]


def of_cause(cause: RankedCause | None) -> dict[str, Any]:
    """The cause; `rule` is null where none is named any more."""
    if cause is None:
        return {"event": "cause", "rule": None}
    return {"event": "cause", **cause.model_dump(mode="json", exclude_none=True)}


def of_ending(report: Report, *, over: bool, code: int | None = None) -> dict[str, Any]:
    """How it ended so far. `code`: the exit code of the command, with its last line."""
    said: Mapping[str, Any] = report.model_dump(mode="json", include={"ending", "connected", "reached", "refusal"})
    return {"event": "ending", **said, "works": report.works, "over": over, **({} if code is None else {"exit": code})}
