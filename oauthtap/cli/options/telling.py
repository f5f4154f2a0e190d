"""`--format`, `--brief`, `--limit` and `--events`: what is printed, how much of it, and where the rest goes."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TextIO

from oauthtap.cli.errors import UsageError
from oauthtap.model.exchange import Exchange
from oauthtap.render import FORMATS
from oauthtap.report.brief import brief, limited
from oauthtap.report.model import Report


def bounded(report: Report, arguments: Namespace) -> Report:
    """As many rows of the report as `--limit` leaves."""
    return limited(report, arguments.limit) if arguments.limit else report


def written(report: Report, exchanges: Sequence[Exchange], arguments: Namespace) -> str:
    """The report in a format for machines, as much of it as `--brief` and `--limit` leave."""
    told = bounded(brief(report) if arguments.brief else report, arguments)
    kept = {one.id for one in told.exchanges}
    return FORMATS[arguments.format](told, tuple(one for one in exchanges if one.id in kept))


def event_stream(arguments: Namespace) -> TextIO | None:
    """Where events go: standard output with `--events`, which then holds nothing else. Raises Usage."""
    if arguments.events and arguments.format != "console":
        raise UsageError("--events and --format both want standard output. Try: --events, whose last line has the end")
    return sys.stdout if arguments.events else None


def narration(arguments: Namespace) -> TextIO:
    """Where all goes that a person reads while it runs."""
    return sys.stdout if arguments.format == "console" and not arguments.events else sys.stderr
