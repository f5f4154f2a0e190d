"""The exit code of the commands that judge."""

from __future__ import annotations

from oauthtap.diagnosis.findings import RANK
from oauthtap.report.model import Report
from oauthtap.report.out_of_sight import is_out_of_sight


def reaches(report: Report, fail_on: str | None) -> bool:
    """A finding is at least as bad as `fail_on`; never, where that is None."""
    return fail_on is not None and any(RANK[finding.severity] <= RANK[fail_on] for finding in report.findings)  # type: ignore[index]


def exit_code(report: Report, fail_on: str | None = None) -> int:
    """The exit code of every command that judges.

    0 it works (connected, or signed in); 1 it stopped, or a finding is at least as bad as `fail_on`; 3 nothing arrived,
    or it ended out of sight, at a server without a public name.
    """
    if is_out_of_sight(report):
        return 1 if reaches(report, fail_on) else 3
    if report.ending == "nothing-arrived" and not report.complete:
        return 1 if report.cause is not None else 3
    return int(reaches(report, fail_on) or not report.works)
