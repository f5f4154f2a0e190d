"""A recording fed to the engine: what every command begins with that works on one."""

from __future__ import annotations

import sys
from datetime import date

from oauthtap import sources
from oauthtap.cli.errors import Usage
from oauthtap.clients import profiles
from oauthtap.report import Report
from oauthtap.sources import SourceError
from oauthtap.tap import Tap


def heard(path: str, *, revision: str | None = None, client: str | None = None) -> tuple[Tap, Report]:
    """A file or session folder fed to the engine, and the report. Raises Usage when it cannot be read."""
    try:
        recording = sources.read(path)
    except SourceError as problem:
        raise Usage(str(problem)) from None
    for note in recording.notes:
        print(f"oauthtap: {note}", file=sys.stderr)
    tap = Tap(
        recording.upstream, revision or recording.revision, client or recording.client, profiles(), recording.goal
    )
    tap.notes += recording.said
    for exchange in recording.exchanges:
        tap.feed(exchange)
    return tap, tap.report(now=recording.until, today=date.today())
