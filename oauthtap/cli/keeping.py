"""A session as it happens: each exchange is judged, written and told, and at the end there is a report."""

from __future__ import annotations

import importlib.metadata
import time
from argparse import Namespace
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from oauthtap import __version__
from oauthtap.clients import profiles
from oauthtap.render import FORMATS
from oauthtap.report import Report
from oauthtap.session import SessionWriter, default_folder
from oauthtap.tap import Step, Tap
from oauthtap.wire import Exchange

REPORTS = {"report.json": "json", "report.md": "markdown"}
"""File in the session folder to report format."""


class Keeping:
    """One session of exchanges that we made ourselves. Every method raises SessionError when the disk refuses.

    `tell`: gets each exchange as it is judged; `goal`: see `Tap`.
    """

    def __init__(self, upstream: str, arguments: Namespace, tell: Callable[[Step], None], goal: str | None) -> None:
        self.tap = Tap(upstream, arguments.revision, arguments.client, profiles(), goal)
        self.folder = Path(arguments.session) if arguments.session else default_folder(upstream)
        self._tell = tell
        versions = {"oauthtap": __version__, "mitmproxy": importlib.metadata.version("mitmproxy")}
        chosen = {"client": arguments.client, "revision": arguments.revision, "goal": goal}
        header = {
            "upstream": upstream,
            "versions": versions,
            **{name: value for name, value in chosen.items() if value},
        }
        self._writer = SessionWriter(self.folder, header, sweep=self.tap.redactor.sweep, sweep_flows=self._sweep_flows)

    def take(self, exchange: Exchange) -> None:
        """The next exchange."""
        from oauthtap.mitm import flowfile  # mitmproxy takes a second to import: only when needed

        step = self.tap.feed(exchange)
        self._writer.add(step.exchange)
        state = flowfile.redacted_state(flowfile.flow_from(step.exchange), self.tap.redactor, step.exchange)
        self._writer.add_flow(flowfile.record(state))
        self._tell(step)

    def end(self) -> Report:
        """Write what is left to write."""
        now = time.time()
        report = self.tap.report(now=now, today=date.today())
        exchanges = tuple(step.exchange for step in self.tap.steps)
        files = {name: FORMATS[format](report, exchanges) for name, format in REPORTS.items()}
        self._writer.close(files, ended=now, comments=_comments(report))
        return report

    def _sweep_flows(self, data: bytes, header: dict[str, Any]) -> bytes:
        from oauthtap.mitm import flowfile

        return flowfile.finished(data, self.tap.redactor, header)


def _comments(report: Report) -> dict[int, str]:
    """The findings of each exchange, for the HAR."""
    lines: dict[int, list[str]] = {}
    for finding in report.findings:
        if finding.exchange:
            lines.setdefault(finding.exchange, []).append(f"{finding.severity}: {finding.rule}: {finding.message}")
    return {number: "\n".join(found) for number, found in lines.items()}
