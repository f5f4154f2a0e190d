"""The session of a proxy as it happens: written so that nothing it does touches the traffic."""

from __future__ import annotations

import importlib.metadata
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from oauthtap import __version__
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording
from oauthtap.model.sanitize import escape_controls
from oauthtap.redaction.redactor import Redactor
from oauthtap.report.build import build
from oauthtap.report.model import SECRETS_KEPT, Report
from oauthtap.session import SessionError, SessionWriter
from oauthtap.session.writer import FIRST, LARGEST

REPORTS = {"report.json": "json", "report.md": "markdown", "report.html": "html"}
"""File in the session folder to report format."""

_FULL = (
    f"The session reached {LARGEST >> 20} MB: its first {FIRST >> 20} MB and the newest exchanges are kept, what lies "
    "between is left out."
)
FLOWS = 2000
"""How many flows mitmweb keeps, and we with it."""


def redacting(arguments: Namespace) -> dict[str, Any]:
    """What `--redact` and `--keep-secrets` mean for a `SessionAnalyzer`."""
    return {"redactor": Redactor(claims=arguments.redact == "claims"), "keeps_secrets": arguments.keep_secrets}


class SessionRecorder:
    """Writes down what a proxy hears. Making one raises SessionError when the folder cannot be had.

    `warn`: told, once each, what could not be written.
    """

    def __init__(
        self,
        tap: SessionAnalyzer,
        folder: Path,
        upstream: str | None,
        arguments: Namespace,
        warn: Callable[[str], None],
    ) -> None:
        self.tap, self.folder, self._warn = tap, folder, warn
        self._warned: set[str] = set()
        self._flows: dict[int, tuple[Any, AnalyzedExchange]] = {}
        """The newest flows, by the number of their exchange, where there is a mitmweb that shows them."""
        versions = {"oauthtap": __version__, "mitmproxy": importlib.metadata.version("mitmproxy")}
        chosen = {"client": arguments.client, "revision": arguments.revision, "goal": tap.probe_goal}
        chosen |= {"secrets": tap.keeps_secrets and "kept", "redact": arguments.redact}
        known = upstream and tap.redactor.strike_url(upstream)
        header = {"upstream": known, "versions": versions, **{k: v for k, v in chosen.items() if v}}
        self._sweep = str if tap.keeps_secrets else tap.redactor.redact_known
        news = (lambda: None) if tap.keeps_secrets else tap.redactor.news
        self._writer = SessionWriter(folder, header, sweep=self._sweep, make_flows=self._make_flows, news=news)
        if tap.keeps_secrets:
            warn(f"--keep-secrets: {SECRETS_KEPT}")

    def _make_flows(self, recording: Recording) -> bytes:
        from oauthtap.proxy import flow_file  # mitmproxy takes a second to import: only when needed

        return flow_file.write(recording, self.tap.steps, self._sweep)

    def guarded(self, work: Callable[[], object]) -> None:
        """What we write and say must not touch the traffic: a full disk is said once, and the client goes on."""
        try:
            work()
        except Exception as problem:
            self._warn_once(
                str(problem) if isinstance(problem, SessionError) else f"{type(problem).__name__}: {problem}"
            )

    def _warn_once(self, words: str) -> None:
        if words not in self._warned:
            self._warned.add(words)
            self._warn(escape_controls(words, limit=300))

    def add(self, step: AnalyzedExchange) -> None:
        """One exchange, as it was judged: it is handed to the system, in one write, before this returns."""
        self.guarded(lambda: self._write(step.unredacted or step.exchange))

    def _write(self, exchange: Exchange) -> None:
        self._writer.add(exchange.as_json())
        if self._writer.left_out and _FULL not in self.tap.notes:
            self.tap.notes.append(_FULL)
            self._warn_once(_FULL)

    def add_stream(self, step: AnalyzedExchange, body: str) -> None:
        """All that came down the event stream of an exchange that was judged, and written, at its first event."""
        self.guarded(lambda: self._writer.add_stream(step.exchange.id, self._without_secrets(step, body)))

    def _without_secrets(self, step: AnalyzedExchange, body: str) -> str:
        if step.unredacted is not None or step.exchange.response is None:
            return body
        whole = step.exchange.response.model_copy(update={"body": body})
        redacted = self.tap.redactor.redact(step.exchange.replace(response=whole)).response
        return (redacted and redacted.body) or ""

    def keep_flow(self, flow: Any, step: AnalyzedExchange) -> None:
        """The flow that carried it is complete. Where mitmweb shows it, later findings are written onto it, too."""
        from oauthtap.proxy.flow_annotations import flows_are_shown

        if flows_are_shown():
            self._flows[step.exchange.id] = (flow, step)
            self._flows.pop(step.exchange.id - FLOWS, None)

    def record_own_request(
        self, exchange: Exchange, tell: Callable[[AnalyzedExchange], None], fixes: ActiveFixes | None = None
    ) -> Exchange:
        """An exchange that did not pass the proxy: judged and written like every other. `tell` gets its step.

        `fixes`: applied to the answer. Gives the exchange as whoever asked is to get it.
        """
        analyzed, shown, names = self.tap.analyze(exchange), exchange.response, tuple[str, ...]()
        if fixes is not None and shown is not None and exchange.actor != "reporter":
            shown, names = fixes.apply(analyzed, exchange.request, shown)
        tell(self.tap.record_delivery(analyzed, shown if names else None, names))
        return exchange.replace(response=shown) if names else exchange

    def annotate_flows(self, news: list[Finding]) -> None:
        """Findings that only the whole handshake tells, shown in mitmweb where they belong."""
        from oauthtap.proxy.flow_annotations import annotate_later

        for number in {finding.exchange for finding in news if finding.exchange in self._flows}:
            flow, step = self._flows[number or 0]
            step = replace(step, findings=(*step.findings, *(f for f in news if f.exchange == number)))
            self._flows[number or 0] = (flow, step)
            annotate_later(flow, step)

    def end(self, now: float) -> Report:
        """Write what is left to write, and give the report: nothing else came until `now` (seconds since 1970)."""
        from oauthtap.render import FORMATS  # every format there is: only when needed
        from oauthtap.render.har import comments

        report = build(self.tap, now=now, today=date.today())
        exchanges = tuple(step.exchange for step in self.tap.steps)
        # Swept once more: a secret may have been learned after it was said.
        sweep = self.tap.redactor.redact_known if self.tap.keeps_secrets else str  # else the writer does
        files = {name: sweep(FORMATS[format](report, exchanges)) for name, format in REPORTS.items()}
        self._writer.close(files, ended=now, comments=comments(report), notes=self.tap.notes)
        return report

    def discard(self) -> None:
        """There was nothing to write down: leave no empty session behind."""
        self._writer.discard()
