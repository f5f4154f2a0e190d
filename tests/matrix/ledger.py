"""The results of a matrix: kept in one JSON file, pair by pair, and compared. Runs nothing.

A file that is there is gone on with: runs that it has are not made again.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.matrix.runs import Run, from_json


@dataclass
class Ledger:
    """Runs by client, server and way, with what the clients and servers are made of."""

    runs: dict[tuple[str, str, str], Run] = field(default_factory=dict)
    clients: dict[str, dict[str, str]] = field(default_factory=dict)
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    """`client server way` → how often it was run again, because it differed at first."""
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))
    """The day of the runs; of the first and of the last, where they took more than one."""
    made_with: dict[str, str] = field(default_factory=dict)

    def extend_to(self, day: str) -> None:
        """Runs were made on this day, too."""
        first = self.date.partition(" ")[0]
        self.date = first if first == day else f"{first} and {day}"

    def add(self, run: Run) -> None:
        self.runs[run.client, run.server, run.way] = run

    def pairs(self, way: str) -> Iterator[tuple[Run, Run]]:
        """Each pair that was run both directly and this way: the direct run, and the other."""
        for (client, server, taken), run in self.runs.items():
            if taken == way != "direct" and (straight := self.runs.get((client, server, "direct"))):
                yield straight, run

    def equal(self, way: str) -> tuple[int, int]:
        """How many pairs ended this way as directly, and how many were run."""
        verdicts = [straight.compared == run.compared for straight, run in self.pairs(way)]
        return sum(verdicts), len(verdicts)

    def json(self) -> dict[str, Any]:
        return {
            "date": self.date,
            "made_with": self.made_with or made_with(),
            "clients": self.clients,
            "servers": self.servers,
            "again": self.again,
            "runs": [self.runs[key].json() for key in sorted(self.runs)],
        }

    def save(self, file: Path) -> None:
        """Write the file anew, whole or not at all: hours of runs must not go with whoever is ended in the middle."""
        beside = file.with_name(f"{file.name}.new")
        beside.write_text(json.dumps(self.json(), indent=1) + "\n")
        beside.replace(file)


def loaded(file: Path) -> Ledger:
    """What the file holds; an empty ledger where there is none."""
    if not file.exists():
        return Ledger(made_with=made_with())
    said: Mapping[str, Any] = json.loads(file.read_text())
    kept = {name: said[name] for name in ("clients", "servers", "again", "date", "made_with")}
    ledger = Ledger(**kept)
    for run in said["runs"]:
        ledger.add(from_json(run))
    return ledger


def made_with() -> dict[str, str]:
    """The versions on our side of the comparison."""
    ours = {name: version(name) for name in ("oauthtap", "mitmproxy")}
    return ours | {"python": platform.python_version(), "system": platform.system()}
