"""Strikes secrets out of a session that was written already: one that was killed was never swept at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from oauthtap.formats import har
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording
from oauthtap.session.paths import FLOWS, HAR, JSONL, STATE, disk_errors, replace
from oauthtap.session.reader import read_jsonl
from oauthtap.session.writer import line

_REPORTS = (STATE, "report.json", "report.md", "report.html", "report.sarif", "report.xml", "report.mmd")


def sweep_session(
    folder: Path,
    strike: Callable[[Exchange], Exchange],
    sweep: Callable[[str], str],
    make_flows: Callable[[Recording], bytes],
) -> None:
    """Write every file of a session anew, and those that a kill kept from being written, each in one step.

    Raises SourceError where it cannot be read, and SessionError where the disk refuses.

    `strike` learns the secrets of an exchange; `sweep` and `make_flows` are those of `SessionWriter`. A torn line is
    left out. That no more came is not claimed: only an `ended` that stands there stays.
    """
    recording = read_jsonl(folder / JSONL)
    for exchange in recording.exchanges:  # what the last one tells may stand in the first
        strike(exchange)
    lines = [line({name: value for name, value in recording.header.items() if name not in ("swept", "notes")})]
    for exchange in recording.exchanges:
        lines.append(strike(exchange).as_json())
        if (body := recording.streams.get(exchange.id)) is not None and exchange.response is not None:
            whole = strike(exchange.replace(response=exchange.response.model_copy(update={"body": body})))
            lines.append(line({"stream": exchange.id, "body": whole.response.body if whole.response else None}))
    if recording.until is not None:
        lines.append(
            line({"ended": recording.until, **({"notes": recording.all_notes} if recording.all_notes else {})})
        )
    lines.append(line({"swept": time.time()}))
    with disk_errors(folder):
        replace(folder / JSONL, ("\n".join(map(sweep, lines)) + "\n").encode())
        swept = read_jsonl(folder / JSONL)
        replace(folder / FLOWS, make_flows(swept))
        replace(folder / HAR, sweep(har.write(swept, {})).encode())
        for name in _REPORTS:
            if (folder / name).exists():
                replace(folder / name, sweep((folder / name).read_text("utf-8", "replace")).encode())
