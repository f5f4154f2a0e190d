"""The official conformance suite, `@modelcontextprotocol/conformance`: its scenarios, and what it says in one.

Knows the suite's command line and the `checks.json` it leaves; nothing of oauthtap.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.clients.installed import from_npm, node

RELEASES = ("0.1.16", "0.2.0-alpha.12")
"""What npm calls the latest one, and the newest that goes beyond it."""
LIMIT = 120.0
"""Seconds for the client of one scenario, as the suite counts them."""

Checks = list[str]
"""`STATUS check-id`, each once, sorted: what a scenario says in the end."""


@dataclass(frozen=True)
class Suite:
    """One release of the suite."""

    release: str

    def command(self) -> Path:
        """The suite's own command."""
        package = f"@modelcontextprotocol/conformance@{self.release}"
        return from_npm(f"conformance-{self.release}", package) / ".bin" / "conformance"

    def scenarios(self, kind: str) -> list[str]:
        """The names of all scenarios for a `client` or a `server` that are no extension of the protocol."""
        said = self._run(["list"], surroundings())
        part = said[said.index(f"{kind.capitalize()} scenarios") :].partition("\n\n")[0]
        return [name for name, revisions in re.findall(r"^  - (\S+) \[(.*)\]", part, re.M) if revisions != "extension"]

    def client(self, scenario: str, words: Sequence[str], env: Mapping[str, str]) -> Checks:
        """What the suite says of the client that these words start; it puts its server's URL behind them."""
        timeout = str(int(LIMIT * 1000))
        return self._checks(
            ["client", "--command", shlex.join(words), "--scenario", scenario, "--timeout", timeout], env
        )

    def server(self, scenario: str, url: str) -> Checks:
        """What the suite says of the server at this URL."""
        return self._checks(["server", "--url", url, "--scenario", scenario], surroundings())

    def _checks(self, words: list[str], env: Mapping[str, str]) -> Checks:
        with tempfile.TemporaryDirectory(prefix="oauthtap-conformance-") as folder:
            said = self._run([*words, "--output-dir", folder], env)
            found = list(Path(folder).rglob("checks.json"))
            if not found:
                raise RuntimeError(f"the suite said nothing of {' '.join(words)}:\n{said[-2000:]}")
            checks = [check for file in found for check in json.loads(file.read_text())]
        return sorted({f"{check['status']} {check['id']}" for check in checks if check["status"] != "INFO"})

    def _run(self, words: list[str], env: Mapping[str, str]) -> str:
        done = subprocess.run(
            [str(self.command()), *words], env=dict(env), capture_output=True, text=True, timeout=3 * LIMIT, check=False
        )
        return done.stdout + done.stderr


def surroundings() -> dict[str, str]:
    """What the suite itself needs."""
    return {"PATH": f"{node(22)}:{os.environ['PATH']}", "HOME": tempfile.gettempdir(), "NO_COLOR": "1"}
