"""`oauthtap check FILE`: the diagnosis of a recording."""

from __future__ import annotations

import sys
from argparse import Namespace

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.error_message import explained
from oauthtap.cli.errors import NothingRead, UsageError
from oauthtap.cli.lock import read_lock
from oauthtap.cli.options.baseline import baseline_code, with_baseline
from oauthtap.cli.options.newest import newest_session
from oauthtap.cli.options.rule_files import load_rule_files
from oauthtap.cli.options.summary import display, session_word
from oauthtap.cli.options.telling import bounded, written
from oauthtap.compare.lock_check import check_lock
from oauthtap.diagnosis.findings import RANK
from oauthtap.render.console import console
from oauthtap.render.issue_templates import tracker
from oauthtap.report.model import Report
from oauthtap.report.out_of_sight import is_out_of_sight


def check(arguments: Namespace) -> int:
    """Print the report on a recording. Gives `exit_code`."""
    if arguments.tracker and arguments.format not in ("console", "markdown"):
        raise UsageError(f"--for writes Markdown; leave --format {arguments.format} out")
    load_rule_files(arguments.rules)
    file = arguments.file or newest_session()
    try:
        tap, report = analyze_recording(
            file, revision=arguments.revision, client=arguments.client, claims=arguments.redact == "claims"
        )
    except NothingRead as refusal:
        raise explained(refusal, arguments.format) from None
    if arguments.against:
        report = check_lock(report, read_lock(arguments.against), tap.handshake)
    report = with_baseline(report, arguments)
    exchanges = tuple(step.exchange for step in tap.steps)
    if arguments.tracker:
        text = tracker(report, arguments.tracker)
    elif arguments.format == "console":
        text = console(
            bounded(report, arguments), exchanges, display=display(sys.stdout, arguments, session_word(file), of=file)
        )
    else:
        text = written(report, exchanges, arguments)
    # Swept once more: in somebody else's recording a secret may stand before the place that tells it is one.
    sys.stdout.write(tap.redactor.redact_known(text))
    if arguments.against:
        return int(report.cause is not None or reaches(report, arguments.fail_on))
    return baseline_code(report, arguments, exit_code(report, arguments.fail_on), stopped=not report.works)


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
