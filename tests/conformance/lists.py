"""What the suite said, as docs/conformance keeps it: a folder for each release, a file for each way."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.conformance import WAYS
from tests.conformance.suite import RELEASES

LISTS = Path(__file__).parent.parent.parent / "docs" / "conformance"
Said = dict[str, Any]
"""`suite`, `date`, and under `clients` and `servers`: name → scenario → checks."""


def fresh(release: str) -> Said:
    """A list with nothing in it yet."""
    return {"suite": release, "date": time.strftime("%Y-%m-%d"), "clients": {}, "servers": {}}


def read(file: Path) -> Said:
    """The list in a file."""
    said: Said = json.loads(file.read_text())
    return said


def write(file: Path, said: Said) -> None:
    """Put the list into a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(said, indent=1) + "\n")


def kept(lists: Path = LISTS) -> dict[str, dict[str, Said]]:
    """Release → way → list, as far as they are there; a release that was not asked directly has nothing to compare."""
    files = {release: {way: lists / release / f"{way}.json" for way in WAYS} for release in RELEASES}
    return {
        release: {way: read(file) for way, file in ways.items() if file.exists()}
        for release, ways in files.items()
        if ways["direct"].exists()
    }
