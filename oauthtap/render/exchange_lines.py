"""Exchanges as lines: each as it happens, or all of them folded into as many lines as there is room for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from textwrap import wrap

from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.handshake.stages import Initiator
from oauthtap.model.sanitize import escape_controls
from oauthtap.model.urls import origin, path_of
from oauthtap.render.display import PLAIN, Display, Ink, cut
from oauthtap.render.labels import MARK, patched
from oauthtap.report.model import ExchangeRow, Report

_LONGEST_URL = 110
_LEAST_URL = 12
_ROOMY = 110
"""Columns from which on there is room for the time."""
_LONGEST_LOOP = 12
"""As many requests may make up a loop that is folded."""


def line(step: ExchangeRow, ink: Ink = PLAIN, whose: str = "") -> str:
    """One exchange on one line: number, whose of several clients, stage, method, upstream URL, status, time, why."""
    took = f"{step.duration * 1000:6.0f} ms" if step.duration is not None else " " * 9
    url = escape_controls(step.url, limit=_LONGEST_URL)
    head = f"{step.id:>4}{whose:<1} {step.stage:<24} {step.method:<6} "
    return f"{head}{ink(_style(step), status_word(step))} {took}  {url}{_marks(step)}"


def reason(because: Initiator | None) -> str:
    """Why a request was sent, in words; empty where the user started it."""
    if because is None:
        return ""
    if because.guess:
        return f"not advertised: {because.fallback}"
    return f"exchange {because.exchange}, {because.at}"


def finding_line(finding: Finding, ink: Ink = PLAIN, *, source: bool = False) -> str:
    """What is wrong with the exchange above; `source`: and where it is said."""
    follows = f"  [follows from {finding.consequence_of}]" if finding.consequence_of else ""
    said = f"  ({finding.source})" if source and finding.source else ""
    head = ink(finding.severity, f"{MARK[finding.severity]} {finding.rule}")
    return f"        {head}: {escape_controls(finding.message, limit=400)}{follows}{said}"


def findings_below(findings: Sequence[Finding], ink: Ink, exchange: int | None = None, width: int = 0) -> Iterator[str]:
    """The lines that stand under a live exchange: notes are left to the report.

    `exchange`: the number of that exchange; a finding about another one names it. `width`: of the terminal, where it
    is one.
    """
    for finding in sorted(findings, key=lambda f: RANK[f.severity]):
        if finding.severity != "note":
            other = f"  (exchange {finding.exchange})" if finding.exchange not in (None, exchange) else ""
            first, *rest = _wrapped(f"{finding_line(finding)}{other}", width)
            head = f"{MARK[finding.severity]} {finding.rule}"
            yield first.replace(head, ink(finding.severity, head), 1)
            yield from rest


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, width, subsequent_indent=" " * 10, break_on_hyphens=False) if width else [text]


def patched_below(step: ExchangeRow, ink: Ink) -> Iterator[str]:
    """The lines that say what fixes changed in an exchange."""
    yield from (f"        {ink('bold', text)}" for text in patched(step))


def status_word(step: ExchangeRow) -> str:
    """The status of an exchange, or what stands there without one."""
    passed_on = "→" if step.stage.startswith("authorization-") else "…"  # what the browser was shown is out of sight
    return str(step.status) if step.status is not None else "no answer" if step.error else passed_on


def _style(step: ExchangeRow) -> str:
    return "good" if step.status and step.status < 400 else "bold" if step.status in (401, 403) else "warning"


def _marks(step: ExchangeRow) -> str:
    mark = "  (not advertised)" if step.initiator and step.initiator.guess else ""
    if step.actor == "reporter":
        mark = "  (sent by hand)" if step.excerpt else "  (sent by oauthtap)"
    return mark + (f"  (injected: {escape_controls(step.injected_fault)})" if step.injected_fault else "")


# --- all of them, in as few lines as there is room for


def everything(report: Report, display: Display) -> Iterator[str]:
    """Every exchange with every finding."""
    by_exchange: dict[int | None, list[Finding]] = {}
    for finding in report.findings:
        by_exchange.setdefault(finding.exchange, []).append(finding)
    letters = report.letters
    for step in report.exchanges:
        yield line(step, display.ink, letters.get(step.id, ""))
        yield from (finding_line(f, display.ink, source=True) for f in by_exchange.pop(step.id, []))
        yield from patched_below(step, display.ink)
    for rest in by_exchange.values():
        yield from (finding_line(finding, display.ink, source=True) for finding in rest)


def folded(report: Report, display: Display, room: int) -> list[str]:
    """The exchanges in at most so many lines: those that matter, and how many are between them."""
    told: dict[int | None, list[Finding]] = {}
    for finding in told_above(report):
        told.setdefault(finding.exchange, []).append(finding)
    blocks = [_Block(run, tuple(_below(run, told, display))) for run in runs(report)]
    chosen: set[int] = set()
    for place in _by_weight(blocks, report):
        if _height(blocks, chosen | {place}) <= room:
            chosen.add(place)
        elif _height(blocks, chosen) >= room:
            break
    for place in range(1, len(blocks) - 1):  # a line that says "1 more" takes as much room
        if {place - 1, place + 1} <= chosen and len(blocks[place].run.rows) == 1 and not blocks[place].below:
            chosen.add(place)
    width = max((len(blocks[place].run.rows[0].stage) for place in chosen), default=0)
    return list(_shown(blocks, chosen, report, display, width))


@dataclass(frozen=True)
class Run:
    """Exchanges that are told on one line: the same request again and again, or a loop of several."""

    rows: tuple[ExchangeRow, ...]
    period: int = 1


@dataclass(frozen=True)
class _Block:
    run: Run
    below: tuple[str, ...]


def runs(report: Report) -> Iterator[Run]:
    """The exchanges in order, what repeats itself put together."""
    rows, letters = report.exchanges, report.letters
    kinds = [kind(row, letters.get(row.id, "")) for row in rows]
    place = 0
    while place < len(rows):
        period, times = _repetition(kinds, place)
        yield Run(rows[place : place + period * times], period)
        place += period * times


def _repetition(kinds: Sequence[object], place: int) -> tuple[int, int]:
    """How many requests from here on make up a loop, and how often it is gone through; (1, 1) where there is none."""
    for period in range(1, _LONGEST_LOOP + 1):
        loop = kinds[place : place + period]
        times = next(n for n in count(1) if kinds[place + period * n : place + period * (n + 1)] != loop)
        if times > (1 if period == 1 else 2):
            return period, times
    return 1, 1


def kind(row: ExchangeRow, letter: str) -> object:
    """Equal for exchanges that look the same on their lines, but for number, query and time."""
    guess = bool(row.initiator and row.initiator.guess)
    url = row.url.partition("?")[0]
    return (
        row.stage,
        row.method,
        url,
        row.status,
        row.error,
        row.actor,
        guess,
        row.injected_fault,
        row.applied_fixes,
        letter,
    )


def _by_weight(blocks: Sequence[_Block], report: Report) -> list[int]:
    """The places of the blocks, those first that nobody can do without."""
    cause = {report.cause.exchange} if report.cause else set()
    said = {report.refusal.exchange} if report.refusal else set()

    def weight(place: int) -> tuple[int, int]:
        numbers = {row.id for row in blocks[place].run.rows}
        needed = 0 if numbers & cause else 1 if numbers & said else 2 if blocks[place].below else 3
        return needed, -place

    last = len(blocks) - 1
    return sorted(range(len(blocks)), key=lambda place: (1, 0) if place == last else weight(place))


def _height(blocks: Sequence[_Block], chosen: set[int]) -> int:
    lines, before = 0, -1
    for place in sorted(chosen):
        lines += 1 + len(blocks[place].below) + (place > before + 1)
        before = place
    return lines + (before < len(blocks) - 1)


def _shown(blocks: Sequence[_Block], chosen: set[int], report: Report, display: Display, stage: int) -> Iterator[str]:
    left = 0
    for place, block in enumerate(blocks):
        if place not in chosen:
            left += len(block.run.rows)
            continue
        if left:
            yield _gap(left, display)
        left = 0
        yield _run_line(block.run, report, display, stage)
        yield from block.below
    if left and chosen:
        yield _gap(left, display)


def _gap(number: int, display: Display) -> str:
    return display.ink("note", f"   … {number} more")


def _run_line(run: Run, report: Report, display: Display, stage: int) -> str:
    first, last = run.rows[0], run.rows[-1]
    letter = report.letters.get(first.id, "")
    cause = report.cause.exchange if report.cause else None
    is_cause = cause is not None and any(row.id == cause for row in run.rows)
    mark = "  ✗" if is_cause else ""
    if run.period > 1:
        times = len(run.rows) // run.period
        text = f"exchanges {first.id}-{last.id}{letter}: {times} × the same {run.period} requests, from"
        return cut(f"{text} {first.method} {escape_controls(path_of(first.url))}", display.width - len(mark)) + mark
    if len(run.rows) > 1:
        head = f"exchanges {first.id}-{last.id}{letter}: {len(run.rows)} × {first.method} "
        tail = f"{_marks(first)}{mark}"
        path = cut(escape_controls(path_of(first.url) or "/"), display.width - len(head) - len(tail) - 10)
        return f"{head}{path} {display.ink(_style(first), status_word(first))}{tail}"
    sign = display.ink("error", "✗") if is_cause else display.ink("note", "·")
    return sign + short_line(first, letter, display.ink, display.width - 1, report.upstream or "", stage=stage)


def short_line(row: ExchangeRow, letter: str, ink: Ink, width: int, upstream: str, *, stage: int = 22) -> str:
    """An exchange in `width` columns: of URLs at the upstream the path alone, where there is no room for more.

    `stage`: the width of that column.
    """
    head = f" {row.id:>3}{letter:<1} {row.stage:<{stage}} {row.method:<4} "
    took = f" {row.duration * 1000:5.0f} ms" if row.duration is not None and width >= _ROOMY else ""
    bare, query, _ = row.url.partition("?")
    tail = _marks(row)
    room = width - len(head) - len(status_word(row)) - len(took) - 2 - len(tail)
    if room < _LEAST_URL:
        room, tail = room + len(tail), ""
    own = origin(bare) == origin(upstream)
    place = path_of(bare) if own and len(bare) > room else bare
    url = cut(escape_controls(f"{place}?…" if query else place), max(room, 4))
    return f"{head}{ink(_style(row), status_word(row))}{took}  {url}{tail}"


def _below(run: Run, told: Mapping[int | None, list[Finding]], display: Display) -> Iterator[str]:
    """What stands under a folded line."""
    own = [finding for row in run.rows for finding in told.get(row.id, ())]
    for finding in sorted(own, key=lambda f: RANK[f.severity]):
        words = f"{finding.rule}: {escape_controls(finding.message, limit=400)}"
        mark = display.ink(finding.severity, MARK[finding.severity])
        yield f"        {mark} {cut(words, display.width - 10)}"
    for row in run.rows[:1]:
        yield from (f"        {display.ink('bold', cut(text, display.width - 8))}" for text in patched(row))


def told_above(report: Report) -> list[Finding]:
    """The errors and warnings that stand under the exchanges: not the cause, which the verdict says; what is found
    again only once; of what follows from the cause one of a kind."""
    first: dict[object, Finding] = {}
    for one in report.findings:
        if one.severity != "note" and not (report.cause and one.rule == report.cause.rule):
            first.setdefault(one.rule if one.consequence_of else (one.rule, one.at, one.actual), one)
    return list(first.values())
