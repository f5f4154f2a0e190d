"""The report and the live lines on a terminal. Colours are the caller's choice; upstream text is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap

from oauthtap.diagnosis.findings import RANK, Finding, Severity
from oauthtap.handshake.stages import Initiator
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.labels import (  # fmt: skip
    MARK,
    STAGE,
    attempts,
    client,
    cured,
    faults,
    no_cause,
    others,
    outcome,
    patched,
    runners_up,
    said,
    whose,
)
from oauthtap.report.model import SECRETS_KEPT, ExchangeRow, Report

_COLOURS = {
    "error": "[31m",
    "warning": "[33m",
    "note": "[2m",
    "good": "[32m",
    "bold": "[1m",
}
_OFF = "[0m"
_WIDTH = 100


@dataclass(frozen=True)
class Ink:
    """Colours, or none of them."""

    on: bool = False
    mark: str = ""
    """Stands behind every ESC, for a stream that lets pass no other."""

    def __call__(self, style: str, text: str) -> str:
        escape = f"\x1b{self.mark}"
        return f"{escape}{_COLOURS[style]}{text}{escape}{_OFF}" if self.on and style in _COLOURS else text


PLAIN = Ink()


def console(report: Report, _: Sequence[Exchange] = (), /, *, ink: Ink = PLAIN) -> str:
    """The whole report: the four answers first, then the exchanges with their findings."""
    lines = [*summary(report, ink), ""]
    by_exchange: dict[int | None, list[Finding]] = {}
    for finding in report.findings:
        by_exchange.setdefault(finding.exchange, []).append(finding)
    letters = report.letters
    for step in report.exchanges:
        lines.append(line(step, ink, letters.get(step.id, "")))
        lines += [*(_finding(f, ink) for f in by_exchange.pop(step.id, [])), *patched_below(step, ink)]
    for rest in by_exchange.values():
        lines += [_finding(finding, ink) for finding in rest]
    for heading, rows in others(report):
        lines += [
            "",
            f"{heading}:",
            *(wrapped for row in rows for wrapped in _wrapped(escape_controls(row), "  ", "    ")),
        ]
    lines += ["", *_closing(report)]
    return "\n".join(lines) + "\n"


def summary(report: Report, ink: Ink = PLAIN) -> Iterator[str]:
    """How far did it get; what is the cause; whose is it; what to change. Of several clients, for each."""
    if report.secrets_kept:
        yield from (ink("error", line) for line in _wrapped(f"RECORDED WITH SECRETS: {SECRETS_KEPT}", ""))
        yield ""
    yield ink("good" if report.works else "bold", outcome(report))
    if report.attempts:
        yield from _wrapped(_sentence(escape_controls(attempts(report), limit=900)), "", "  ")
    for finding in cured(report):
        yield ""
        yield ink(
            "error", f"Only with a fix: {escape_controls(finding.title)} (exchange {finding.exchange}, {finding.rule})"
        )
        yield from _wrapped(finding.fix, "Change: ", "        ")
    for one in report.sign_ins:
        yield ""
        yield ink("bold", f"Client {one.letter}: {escape_controls(client(one.client), limit=80)}")
        yield from summary(report.alone(one), ink)
    if not report.sign_ins:
        yield from _answers(report, ink)


def _answers(report: Report, ink: Ink) -> Iterator[str]:
    if report.refusal is not None:
        yield ""
        yield from _wrapped(said(report.refusal), "", "  ")
    if report.cause:
        cause = report.cause
        where = f" (exchange {cause.exchange})" if cause.exchange else ""
        yield ""
        yield ink("error", f"Cause: {escape_controls(cause.title)}{where}")
        yield from _wrapped(escape_controls(cause.message), "  ")
        if report.causes:
            yield f"How sure: {report.causes[0].confidence}"
        yield f"Whose: {whose(report, cause.who)}"
        yield from _wrapped(escape_controls(cause.fix), "Change: ", "        ")
        for other in runners_up(report):
            yield from _wrapped(f"Or: {escape_controls(other, limit=300)}", "", "    ")
        if report.causes and report.causes[0].experiment:
            yield f"Try it: {escape_controls(report.causes[0].experiment)}"
        yield f"More: oauthtap explain {cause.rule}"
        for finding in report.findings:
            if finding.consequence_of == cause.rule:
                yield from _wrapped(f"Follows from it: {escape_controls(finding.message)}", "  ")
    elif report.exchanges and report.ending not in ("connected", "signed-in") and not report.complete:
        yield no_cause(report)
    yield from map(escape_controls, faults(report))
    if report.standstill and report.exchanges:
        still = report.standstill
        yield ""
        yield from _wrapped(f"It stands still at {STAGE[still.stage]}; next it was to {still.was_to}.", "", "  ")
        yield from _wrapped(f"Not to be seen from here: {still.unknown}.", "", "  ")
        yield from _wrapped(f"Look at: {still.look}.", "", "  ")
    away = {finding.rule for finding in cured(report)}
    remaining = Counter[Severity](f.severity for f in report.findings if f.severity != "note" and f.rule not in away)
    if report.works and remaining:
        yield f"Other clients may be stricter: {_counted(remaining)}, below."


def line(step: ExchangeRow, ink: Ink = PLAIN, whose: str = "") -> str:
    """One exchange on one line: number, whose of several clients, stage, method, upstream URL, status, time, why."""
    passed_on = "→" if step.stage.startswith("authorization-") else "…"  # what the browser was shown is out of sight
    status = str(step.status) if step.status is not None else "no answer" if step.error else passed_on
    style = "good" if step.status and step.status < 400 else "bold" if step.status in (401, 403) else "warning"
    took = f"{step.took * 1000:6.0f} ms" if step.took is not None else " " * 9
    mark = "  (a guess)" if step.because and step.because.guess else ""
    if step.actor == "reporter":
        mark = "  (by hand)" if step.excerpt else "  (our own look)"
    mark += f"  (injected: {escape_controls(step.injected)})" if step.injected else ""
    url = escape_controls(step.url, limit=110)
    return f"{step.id:>4}{whose:<1} {step.stage:<24} {step.method:<6} {ink(style, status)} {took}  {url}{mark}"


def _finding(finding: Finding, ink: Ink) -> str:
    follows = f"  [follows from {finding.consequence_of}]" if finding.consequence_of else ""
    head = ink(finding.severity, f"{MARK[finding.severity]} {finding.rule}")
    return f"        {head}: {escape_controls(finding.message, limit=400)}{follows}"


def findings_below(findings: tuple[Finding, ...], ink: Ink) -> Iterator[str]:
    """The lines that stand under a live exchange: notes are left to the report."""
    for finding in sorted(findings, key=lambda f: RANK[f.severity]):
        if finding.severity != "note":
            yield _finding(finding, ink)


def patched_below(step: ExchangeRow, ink: Ink) -> Iterator[str]:
    """The lines that say what fixes changed in an exchange."""
    yield from (f"        {ink('bold', text)}" for text in patched(step))


def reason(because: Initiator | None) -> str:
    """Why a request was sent, in words; empty where the user started it."""
    if because is None:
        return ""
    if because.guess:
        return f"a guess: {because.fallback}"
    return f"exchange {because.exchange}, {because.at}"


def _closing(report: Report) -> Iterator[str]:
    found = Counter(finding.severity for finding in report.findings)
    unseen = len(report.not_checked)
    yield f"{len(report.exchanges)} exchanges; {_counted(found)}; {unseen} rules had nothing to look at."
    yield from report.notes or (f"Judged by MCP {report.judged_by}.",)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _counted(found: Mapping[Severity, int]) -> str:
    words = [f"{n} {s}{'s' if n != 1 else ''}" for s in RANK if (n := found.get(s, 0))]
    return ", ".join(words) or "no findings"


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    return wrap(text, _WIDTH, initial_indent=first, subsequent_indent=first if rest is None else rest)
