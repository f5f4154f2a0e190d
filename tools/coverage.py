"""Holds a coverage report against the list of modules below the floor, which can only shrink.

CONTRIBUTING says how the report is made. `python -m tools.coverage REPORT` says what has to be done; with `--shrink` it
takes out of the list what may leave it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

FLOOR = 90.0
"""Per cent of a module's lines that the tests have to reach."""
BELOW = Path(__file__).parent.parent / "tests" / "data" / "below_90.txt"
"""The modules that do not reach it yet, one a line."""


def percentages(report: str) -> dict[str, float]:
    """Covered lines in per cent by file, of the JSON report of coverage.py. Raises KeyError for anything else."""
    return {path: file["summary"]["percent_covered"] for path, file in json.loads(report)["files"].items()}


def complaints(covered: Mapping[str, float], below: set[str]) -> list[str]:
    """What has to be done: a module that fell below the floor, or one that may leave the list."""
    fallen = [
        f"{path} is covered to {part:.0f} %: test it up to {FLOOR:.0f} %. The list of those below it does not grow."
        for path, part in covered.items()
        if part < FLOOR and path not in below
    ]
    risen = [f"{path} is covered to {covered[path]:.0f} %: take it out of {BELOW.name}."
             for path in below if covered.get(path, 0) >= FLOOR]  # fmt: skip
    gone = [f"{path} is no module any more: take it out of {BELOW.name}." for path in below if path not in covered]
    return sorted(fallen) + sorted(risen) + sorted(gone)


def shrunk(covered: Mapping[str, float], below: set[str]) -> set[str]:
    """The list without what rose above the floor, and without what is gone. Nothing comes in."""
    return {path for path in below if covered.get(path, FLOOR) < FLOOR}


def main() -> int:
    """Exit code 1 where something has to be done."""
    covered = percentages(Path(sys.argv[1]).read_text(encoding="utf-8"))
    below = set(BELOW.read_text(encoding="utf-8").split())
    if "--shrink" in sys.argv:
        below = shrunk(covered, below)
        BELOW.write_text("".join(f"{path}\n" for path in sorted(below)), encoding="utf-8")
    said = complaints(covered, below)
    print("\n".join(said) or f"{len(covered)} modules: none fell below {FLOOR:.0f} % of its lines.")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
