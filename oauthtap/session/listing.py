"""Lists the sessions of a folder."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oauthtap.formats.untrusted_file import read_bytes
from oauthtap.model.recording import SourceError
from oauthtap.session.paths import JSONL, home
from oauthtap.session.reader import object_in

_LARGEST_REPORT = 100_000_000
_LATEST = 253402300800.0
"""The year 10000, which no calendar of ours has."""


@dataclass(frozen=True)
class Listed:
    """One recorded session, as a line of the list."""

    folder: Path
    started: float | None
    upstream: str | None
    connected: bool | None
    ending: str | None
    """None: the session has no report, so it was cut off."""
    cause: str | None
    """The rule id of the cause; None without one."""
    complete: bool = False
    """Not connected, and not meant to be: a probe that only read."""
    probe: bool = False
    """oauthtap asked, and no client."""
    secrets: bool = False
    """Recorded with `--keep-secrets`."""


def sessions(below: Path | None = None) -> list[Listed]:
    """Every session below a folder (`home()` when None), newest first. Broken ones are left out."""
    root = home() if below is None else below
    found = []
    for lines in root.glob(f"*/{JSONL}") if root.is_dir() else ():
        try:
            header = object_in(_first_line(lines))
        except (SourceError, OSError, ValueError, RecursionError):
            continue
        found.append(_listed(lines.parent, header))
    return sorted(found, key=lambda one: (one.started or 0.0, one.folder.name), reverse=True)


def _first_line(path: Path) -> str:
    """Of a regular file: a pipe that a stranger put there would keep us waiting."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ValueError("no file")
    with path.open("rb") as file:
        return file.readline(1_000_000).decode()


def _listed(folder: Path, header: dict[str, Any]) -> Listed:
    try:
        report = object_in(read_bytes(folder / "report.json", follow=False, largest=_LARGEST_REPORT).decode())
    except (SourceError, ValueError, RecursionError):
        report = {}
    cause, started, upstream = report.get("cause"), header.get("started"), header.get("upstream")
    return Listed(
        folder=folder,
        started=started if isinstance(started, int | float) and 0 <= started < _LATEST else None,
        upstream=upstream if isinstance(upstream, str) else None,
        connected=bool(report["connected"]) if "connected" in report else None,
        ending=str(report["ending"]) if "ending" in report else None,
        complete=report.get("complete") is True,
        probe="goal" in header,
        secrets=header.get("secrets") == "kept",
        cause=str(cause["rule"]) if isinstance(cause, dict) and "rule" in cause else None,
    )
