"""A recording read from a file and analyzed: what every command begins with that works on one."""

from __future__ import annotations

import re
import sys
from datetime import date

from oauthtap.cli.errors import NothingRead, UsageError
from oauthtap.clients import profiles
from oauthtap.diagnosis.multi.split_servers import split_by_server
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.formats.loader import SourceError
from oauthtap.model.recording import Recording
from oauthtap.model.sanitize import escape_controls
from oauthtap.redaction.redactor import Redactor
from oauthtap.report.build import build
from oauthtap.report.model import Report


def analyze_recording(
    path: str,
    *,
    revision: str | None = None,
    client: str | None = None,
    claims: bool = False,
    today: date | None = None,
) -> tuple[SessionAnalyzer, Report]:
    """A file or session folder fed to the engine, and the report. Raises Usage when it cannot be read.

    `claims`: strike out persons too, whether or not the recording was made so. `today`: the day by which
    client profiles grow stale; the present one when None.
    """
    try:
        recording = loader.read(path)
    except SourceError as problem:
        raise (UsageError(str(problem)) if problem.text is None else NothingRead(str(problem), problem.text)) from None
    told = [_told(story, revision, client, claims, today or date.today()) for story in split_by_server(recording)]
    for note in recording.notes:  # a log's own words stand in some of them
        print(f"oauthtap: {escape_controls(told[0][0].redactor.redact_known(note), limit=400)}", file=sys.stderr)
    if len(told) == 1:
        return told[0]
    tap, report = next((one for one in told if not one[1].works), told[0])
    return tap, report.model_copy(update={"notes": (*report.notes, _of_several(report, [one for _, one in told]))})


def _told(
    recording: Recording, revision: str | None, client: str | None, claims: bool, today: date
) -> tuple[SessionAnalyzer, Report]:
    tap = SessionAnalyzer(
        recording.upstream, revision or recording.revision, client or recording.client, profiles(), recording.goal,
        Redactor(claims=claims or recording.redacts_claims), recording.keeps_secrets,
    )  # fmt: skip
    tap.notes += [*recording.all_notes, *(note for note in recording.notes if CLIENT_SAYS.match(note))]
    tap.told_step = recording.told_step
    for exchange in recording.exchanges:
        tap.add(exchange)
    return tap, build(tap, now=recording.until, today=today)


CLIENT_SAYS = re.compile(r"[A-Z][\w .-]{1,30} says: |mcp-remote says: ")
"""A note that has the client's own words, which belong to the report."""


def _of_several(report: Report, every: list[Report]) -> str:
    """Which MCP servers the recording has, how each went, and which one is told here."""
    went = [f"{one.upstream} ({'connected' if one.connected else f'stopped at {one.reached}'})" for one in every]
    return f"The recording holds {len(every)} MCP servers: {', '.join(went)}. Told here: {report.upstream}."
