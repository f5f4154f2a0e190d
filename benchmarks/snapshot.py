"""The reports of all recordings, a line each: `uv run python -m benchmarks.snapshot [--check]`.

Writes `benchmarks/snapshot.jsonl`: for every recording below `tests/recordings` what `oauthtap check`
says of it, reduced to the members that a reader acts on. A change of the code that is not meant to
change a diagnosis leaves this file as it is; `--check` writes nothing and exits with 1 when it would not.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.score import RECORDINGS
from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.errors import UsageError
from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.report.model import Report

SNAPSHOT = Path(__file__).with_name("snapshot.jsonl")
TODAY = date(2026, 11, 29)
"""Profiles of clients grow stale with the date, so it is fixed."""
_NO_RECORDINGS = ("labels.json", "index.json", "README.md")


def lines() -> list[str]:
    """One line of JSON per recording, sorted by its path."""
    paths = sorted(path for path in RECORDINGS.rglob("*") if path.is_file() and path.name not in _NO_RECORDINGS)
    return [json.dumps(_line(path), ensure_ascii=False, separators=(",", ":")) for path in paths]


def _line(path: Path) -> dict[str, Any]:
    name = {"recording": path.relative_to(RECORDINGS).as_posix()}
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            _, report = analyze_recording(str(path), today=TODAY)
    except UsageError as problem:
        return name | {"unreadable": str(problem).replace(str(RECORDINGS), "")}
    return name | reduced(report)


def reduced(report: Report) -> dict[str, Any]:
    """The members of a report that decide what a reader does."""
    cause = report.cause
    return {
        "client": report.client and f"{report.client.name} {report.client.version or ''}".strip(),
        "revision": report.revision,
        "connected": report.connected,
        "reached": report.reached,
        "cause": cause and [cause.rule, cause.responsible, cause.exchange],
        "standstill": report.standstill and report.standstill.model_dump(mode="json"),
        "stages": " ".join(f"{step.id}:{'+'.join(step.stages)}" for step in report.exchanges),
        "findings": sorted(map(_finding, report.findings)),
        "not_checked": len(report.not_checked),
        "clients": " ".join(f"{one.slug}:{one.outcome}:{one.stage}" for one in report.clients),
        "notes": len(report.notes),
        "sign_ins": [[one.letter, one.connected, one.reached] for one in report.sign_ins],
    }


def _finding(finding: Finding) -> str:
    follows = f" <{finding.consequence_of}" if finding.consequence_of else ""
    place = f"{finding.exchange or 0:03} {RANK[finding.severity]}"
    return f"{place} {finding.rule} {finding.responsible} {finding.at}{follows}"


def main() -> int:
    """Write the file, or compare with it. Gives 1 when `--check` finds a difference."""
    now = lines()
    if "--check" not in sys.argv[1:]:
        SNAPSHOT.write_text("\n".join(now) + "\n", encoding="utf-8")
        return 0
    before = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    changed = sorted(set(before) ^ set(now))
    sys.stdout.write("".join(f"{'-' if line in before else '+'} {line}\n" for line in changed))
    return int(bool(changed))


if __name__ == "__main__":
    raise SystemExit(main())
