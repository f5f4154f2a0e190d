"""The summary on a terminal, the same of every command: exchanges, other clients, and at last the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from textwrap import wrap

from oauthtap.diagnosis.findings import RANK, Severity
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.render import baseline
from oauthtap.render.display import Display, Section, fit
from oauthtap.render.exchange_lines import everything, folded
from oauthtap.render.other_clients import other_clients
from oauthtap.render.verdict import BRIEF, verdict
from oauthtap.report.model import Report

_LEAST = 4
"""Lines of exchanges that are worth showing at all."""


def console(
    report: Report,
    exchanges: Sequence[Exchange] = (),
    /,
    *,
    display: Display | None = None,
    spoken: str = "",
    warnings: Sequence[str] = (),
) -> str:
    """The whole summary. The verdict is its end, so that it stands on the screen when the command is done.

    `exchanges`: those the report is about; without them no line of a document is shown. `spoken`: what the client
    printed, where that was heard. `warnings`: what went wrong while it was recorded.
    """
    display = replace(display or Display(), warned=bool(warnings))
    sections = list(_verdicts(report, exchanges, display, spoken))
    if display.brief:
        return "\n".join(fit(sections, BRIEF, display, airy=0)) + "\n"
    others = [words for words in warnings if words not in report.notes]
    above = [*other_clients(report, display), *_closing(report, display), *_warnings(others, display)]
    most = 10**6 if display.verbose else display.height - 1
    end = list(fit(sections, most, display, airy=most - len(above) - 1))
    if display.verbose:
        told = list(everything(report, display))
    else:
        room = most - sum(map(display.rows, (*end, *above))) - 2
        told = folded(report, display, room) if room >= _LEAST and not display.live else []
    return "\n\n".join("\n".join(block) for block in (told, above, end) if block) + "\n"


def _verdicts(report: Report, exchanges: Sequence[Exchange], display: Display, spoken: str) -> Iterator[Section]:
    """The verdict; of several clients that of each, the one that the report is about last."""
    if not report.sign_ins:
        yield from verdict(report, exchanges, display, spoken)
        return
    count, connected = len(report.sign_ins), sum(one.connected for one in report.sign_ins)
    words = "all" if connected == count else str(connected or "none")
    yield Section((display.ink("bold", f"{count} clients at the same time, of which {words} connected."),))
    stopped = [one for one in report.sign_ins if one.cause == report.cause and not one.connected]
    about = stopped[0] if stopped else report.sign_ins[-1]
    for one in sorted(report.sign_ins, key=lambda one: one is about):
        alone = list(verdict(report.alone(one), exchanges, display, spoken, one.letter))
        yield from alone if one is about else (replace(part, rank=7) if n else part for n, part in enumerate(alone))


def _closing(report: Report, display: Display) -> Iterator[str]:
    """How much there is, and how it was judged."""
    found = Counter(finding.severity for finding in report.findings)
    unseen = f"; {len(report.not_checked)} rules not applicable" if display.verbose else ""
    all_of_it = "" if display.verbose else " (all of it: -v)"
    yield display.ink("note", f"{_counted(len(report.exchanges), 'exchange')}; {_severities(found)}{unseen}{all_of_it}")
    yield from (escape_controls(line, limit=300) for line in baseline.lines(report.baseline))
    notes = report.notes or ((f"Judged by MCP {report.judged_by}.",) if display.verbose else ())
    for note in notes:
        yield from (display.ink("note", line) for line in wrap(escape_controls(note), display.width))


def _warnings(warnings: Sequence[str], display: Display) -> Iterator[str]:
    for words in dict.fromkeys(warnings):
        first, *rest = wrap(f"! {escape_controls(words)}", display.width, subsequent_indent="  ")
        yield from (display.ink("warning", line) for line in (first, *rest))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _severities(found: Mapping[Severity, int]) -> str:
    return ", ".join(_counted(n, s) for s in RANK if (n := found.get(s, 0))) or "no findings"
