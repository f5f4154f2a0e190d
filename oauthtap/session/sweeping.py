"""Strikes secrets out of a session that was written already: one that was killed was never swept at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oauthtap.formats import har
from oauthtap.model.exchange import Exchange
from oauthtap.session.paths import FLOWS, HAR, JSONL, disk_errors, replace
from oauthtap.session.reader import read_jsonl

_REPORTS = ("report.json", "report.md", "report.html", "report.sarif", "report.xml", "report.mmd")


def sweep_session(
    folder: Path,
    strike: Callable[[Exchange], Exchange],
    sweep: Callable[[str], str],
    sweep_flows: Callable[[bytes, dict[str, Any]], bytes],
) -> None:
    """Write every file of a session anew, each in one step. Raises SourceError where it cannot be read, and
    SessionError where the disk refuses.

    `strike` learns the secrets of an exchange; `sweep` and `sweep_flows` are those of `SessionWriter`. A torn line is
    left out. That no more came is not claimed: only an `ended` that stands there stays.
    """
    recording = read_jsonl(folder / JSONL)
    for exchange in recording.exchanges:  # what the last one tells may stand in the first
        strike(exchange)
    lines = [_line({name: value for name, value in recording.header.items() if name not in ("swept", "notes")})]
    lines += [strike(exchange).as_json() for exchange in recording.exchanges]
    if recording.until is not None:
        lines.append(
            _line({"ended": recording.until, **({"notes": recording.all_notes} if recording.all_notes else {})})
        )
    lines.append(_line({"swept": time.time()}))
    with disk_errors(folder):
        replace(folder / JSONL, ("\n".join(map(sweep, lines)) + "\n").encode())
        swept = read_jsonl(folder / JSONL)
        if (folder / FLOWS).exists():
            header = dict(swept.header) | ({"ended": swept.until} if swept.until is not None else {})
            replace(folder / FLOWS, sweep_flows((folder / FLOWS).read_bytes(), header))
        if (folder / HAR).exists():
            replace(folder / HAR, sweep(har.write(swept, {})).encode())
        for name in _REPORTS:
            if (folder / name).exists():
                replace(folder / name, sweep((folder / name).read_text("utf-8", "replace")).encode())


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
