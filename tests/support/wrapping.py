"""The installed `oauthtap run` with a child under it, run to its end: what it said, and what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.bed import Bed
from tests.support.running import COMMAND, LIMIT, environment, to_the_bed


@dataclass(frozen=True)
class Ran:
    """One run that has ended."""

    code: int
    out: str
    err: str
    session: Path
    temporary: Path
    """Where it had its own temporary folder."""

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        """The session's exchanges, as they are recorded."""
        lines = (self.session / "session.jsonl").read_text().splitlines()
        return [value for line in lines if "request" in (value := json.loads(line))]

    @property
    def urls(self) -> list[str]:
        return [exchange["request"]["url"] for exchange in self.exchanges]

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.session / "report.json").read_text())
        return found

    @property
    def left_behind(self) -> list[Path]:
        """What is left of its temporary folders."""
        return list(self.temporary.glob("oauthtap-run-*"))


def wrapped(
    *child: str, home: Path, bed: Bed | None = None, flags: Sequence[str] = (), typed: str = "", **env: str
) -> Ran:
    """Run a child under `oauthtap run`, with the flags that lead to the bed."""
    temporary = home / "t"
    temporary.mkdir(parents=True, exist_ok=True)
    words = ["run", "--session", str(home / "session"), *(to_the_bed(bed) if bed else ()), *flags, "--", *child]
    ran = subprocess.run(
        [str(COMMAND), *words],
        env=surroundings(home) | env,
        input=typed,
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
        cwd=home,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr, home / "session", temporary)


def surroundings(home: Path) -> dict[str, str]:
    """An environment without proxy and without browser, and with a temporary folder of its own."""
    gone = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "browser", "ssl_cert_file", "node_extra_ca_certs")
    kept = {name: value for name, value in environment(home).items() if name.lower() not in gone}
    return kept | {"TMPDIR": str(home / "t")}


def python(text: str) -> tuple[str, ...]:
    """A child that is a few lines of Python, with the tests' own modules at hand."""
    before = f"import sys; sys.path.insert(0, {os.fspath(Path(__file__).parents[2])!r})\n"
    return (sys.executable, "-c", before + text)
