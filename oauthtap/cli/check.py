"""`oauthtap check FILE`: the diagnosis of a recording."""

from __future__ import annotations

import sys
from argparse import Namespace

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.errors import UsageError
from oauthtap.cli.lock import read_lock
from oauthtap.cli.terminal import mark_of
from oauthtap.compare.lock_check import check_lock
from oauthtap.diagnosis.findings import RANK
from oauthtap.render import FORMATS
from oauthtap.render.console import Ink, console
from oauthtap.render.issue_templates import tracker
from oauthtap.report.model import Report
from oauthtap.rules import plugins


def check(arguments: Namespace) -> int:
    """Print the report on a recording. Gives 1 when a finding reaches `--fail-on`."""
    if arguments.tracker and arguments.format not in ("console", "markdown"):
        raise UsageError(f"--for writes Markdown; leave --format {arguments.format} out")
    plugins.load_rule_files(arguments.rules)
    tap, report = analyze_recording(
        arguments.file, revision=arguments.revision, client=arguments.client, claims=arguments.redact == "claims"
    )
    if arguments.against:
        report = check_lock(report, read_lock(arguments.against), tap.handshake)
    exchanges = tuple(step.exchange for step in tap.steps)
    if arguments.tracker:
        text = tracker(report, arguments.tracker)
    elif arguments.format == "console":
        text = console(report, ink=Ink(sys.stdout.isatty(), mark_of(sys.stdout)))
    else:
        text = FORMATS[arguments.format](report, exchanges)
    # Swept once more: in somebody else's recording a secret may stand before the place that tells it is one.
    sys.stdout.write(tap.redactor.redact_known(text))
    return exit_code(report, arguments.fail_on)


def exit_code(report: Report, fail_on: str | None) -> int:
    """1 when the worst finding is at least as bad as `fail_on`, or the handshake stopped for a cause; else 0."""
    if fail_on is None:
        return 0
    stopped = report.cause is not None
    return int(stopped or any(RANK[finding.severity] <= RANK[fail_on] for finding in report.findings))  # type: ignore[index]
