"""The exchanges of a report as rows of the page: an arrow between two lanes, and what was said, folded up behind it."""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal
from urllib.parse import urlsplit

from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.model.exchange import Exchange
from oauthtap.render.html.message import Piece, pieces
from oauthtap.render.html.message_lines import Line, differing, request_lines, response_lines
from oauthtap.render.sequence import Lane, Layout
from oauthtap.report.model import ExchangeRow, Report

Part = Literal["broken", "after", ""]
"""`broken`: here it went wrong; `after`: it only follows from that."""


@dataclass(frozen=True)
class Column:
    """A message, or what there is in its place."""

    title: str
    pieces: Sequence[Piece] = ()
    kind: str = ""
    text: str = ""
    findings: Sequence[Finding] = ()


@dataclass(frozen=True)
class Row:
    """All that is known about one exchange."""

    step: ExchangeRow
    exchange: Exchange | None
    findings: Sequence[Finding]
    part: Part
    whose: str
    """The letter of its client, where there were several."""
    clock: str
    ends: tuple[int, int]
    """The places of sender and receiver among the lanes."""
    lanes: tuple[Lane, Lane]

    @property
    def likeness(self) -> str:
        """The same for rows whose line says the same, but for number and time."""
        said = (self.part, self.whose, self.step.stage, self.step.method, self.path, *self.status, *self.counts)
        return f"{zlib.crc32(repr(said).encode('utf-8', 'replace')):x}"

    @property
    def took(self) -> str:
        """How long the answer took; empty where that is not known."""
        took = self.step.duration
        return "" if took is None else f"{took * 1000:.0f} ms" if took < 10 else f"{took:.1f} s"

    @property
    def when(self) -> str:
        """When the request was sent, and how long the answer took."""
        if self.step.started_at is None:
            return ""
        try:
            sent = f"{datetime.fromtimestamp(self.step.started_at, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
        except (ValueError, OverflowError, OSError):
            return ""
        return f"{sent} UTC{f', answered after {self.took}' if self.took else ''}"

    @property
    def arrow(self) -> str:
        """The classes that place the arrow: the page allows no inline style."""
        sender, receiver = self.ends
        left, right = sorted(self.ends)
        return f"l{left}r{right} {'self' if sender == receiver else 'right' if sender < receiver else 'left'}"

    @property
    def path(self) -> str:
        """The path of a URL; all of it where it is none."""
        return urlsplit(self.step.url).path or "/" if "://" in self.step.url else self.step.url

    @property
    def status(self) -> tuple[str, str]:
        """The status as text, and the class of its colour."""
        status, error = self.step.status, self.step.error
        if status is not None:
            return str(status), f"s{status // 100}"
        return ("no answer", "none") if error else ("not seen", "unseen")

    @property
    def counts(self) -> Iterator[tuple[str, str]]:
        """Errors and warnings in few words, each with its class; notes are for those who open the row."""
        if self.part == "broken":
            yield "the cause", "error"
        if self.step.patched:
            yield "patched", "patch"
        found = [finding.severity for finding in self.findings if finding.severity != "note"]
        for kind in sorted(set(found), key=lambda severity: RANK[severity]):
            number = found.count(kind)
            yield f"{number} {kind}{'' if number == 1 else 's'}", kind

    @cached_property
    def placed(self) -> list[Finding]:
        """The findings that stand at a place of a message that is there to see."""
        return [f for f in self.findings if self.exchange and f.at.startswith(("request", "response"))]

    @property
    def columns(self) -> Iterator[Column]:
        """Request and response; where a fix changed one, as it was and as it became."""
        exchange = self.exchange
        if exchange is None:
            return
        asked = [finding for finding in self.placed if finding.at.startswith("request")]
        answered = [finding for finding in self.placed if finding.at.startswith("response")]
        sent = request_lines(exchange.forwarded_request) if exchange.forwarded_request else None
        yield from _columns(
            "Request",
            request_lines(exchange.request),
            asked,
            sent,
            ("as the client sent it", "as the server received it"),
        )
        if exchange.response is not None:
            shown = response_lines(exchange.delivered_response) if exchange.delivered_response else None
            names = ("as the server sent it", "as the client received it")
            yield from _columns("Response", response_lines(exchange.response), answered, shown, names)
        elif exchange.injected_fault and exchange.delivered_response:
            yield Column("Injected response", pieces(response_lines(exchange.delivered_response), ()))
        else:
            why = exchange.error or "No response was recorded, or it is still under way."
            yield Column("No response", text=why, findings=answered)


def _columns(
    title: str, lines: Sequence[Line], findings: Sequence[Finding], patched: Sequence[Line] | None, names: Sequence[str]
) -> Iterator[Column]:
    """A message alone, or before and after a fix; findings are about what it was before."""
    if patched is None:
        yield Column(title, pieces(lines, findings))
        return
    gone, new = differing(lines, patched)
    yield Column(f"{title}, {names[0]}", pieces(lines, findings, gone), "before")
    yield Column(f"{title}, {names[1]} (patched)", pieces(patched, (), new), "after-patch")


def rows(
    report: Report, exchanges: Sequence[Exchange], drawn: Layout, only: Container[int] | None = None
) -> Iterator[Row]:
    """A row for each exchange of the report, in its order. `only`: for these ids alone."""
    start = min((step.started_at for step in report.exchanges if step.started_at is not None), default=None)
    seen = {exchange.id: exchange for exchange in exchanges}
    found: dict[int | None, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.exchange, []).append(finding)
    parts, letters = _parts(report), report.letters
    for step in report.exchanges:
        if only is not None and step.id not in only:
            continue
        ends, number = drawn.ends[step.id], step.id
        clock = f"{step.started_at - start:+.2f} s" if step.started_at is not None and start is not None else ""
        lanes = (drawn.lanes[ends[0]], drawn.lanes[ends[1]])
        part, letter = parts.get(number, ""), letters.get(number, "")
        yield Row(step, seen.get(number), found.get(number, []), part, letter, clock, ends, lanes)


def _parts(report: Report) -> dict[int, Part]:
    """The broken step, and everything that was only sent or only failed because of it."""
    if report.cause is None or report.cause.exchange is None:
        return {}
    broken = report.cause.exchange
    parts: dict[int, Part] = {broken: "broken"}
    follows = {finding.exchange for finding in report.findings if finding.consequence_of == report.cause.rule}
    for step in report.exchanges:
        told_by = step.initiator.exchange if step.initiator else None
        if step.id > broken and (step.id in follows or told_by in parts):
            parts[step.id] = "after"
    return parts
