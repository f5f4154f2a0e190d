"""The handshake as a Mermaid sequence diagram, for issues and wikis that draw them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from oauthtap.handshake.stages import Initiator
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.labels import MARK, outcome
from oauthtap.render.sequence import Lane, lay_out
from oauthtap.report.model import ExchangeRow, Report

_UNSAFE = re.compile(r"[^\w ./:?=&,()'‹›…✗!·-]|(?i:\bend\b)")
_MOST = 100
"""Beyond this no renderer draws a diagram a person could read."""


def mermaid(report: Report, _: Sequence[Exchange] = (), /) -> str:
    """A `sequenceDiagram`: the cause in a red box, findings as notes, guesses marked."""
    lines = ["sequenceDiagram"]
    drawn = lay_out(report)
    lines += [f"    participant {lane.key} as {_participant(lane)}" for lane in drawn.lanes]
    for step in report.exchanges[:_MOST]:
        sender, receiver = (drawn.lanes[place].key for place in drawn.ends[step.id])
        lines += _step(report, step, sender, receiver)
    left = len(report.exchanges) - _MOST
    words = f"{left} more exchanges. {outcome(report)}" if left > 0 else outcome(report)
    if report.cause:
        words = f"{words} Cause: {report.cause.title}"
    lines.append(f"    Note over client,{drawn.lanes[-1].key}: {escaped(words)}")
    return "\n".join(lines) + "\n"


def _participant(lane: Lane) -> str:
    return escaped(lane.name) + (f"<br/>{escaped(urlsplit(lane.origin).netloc)}" if lane.origin else "")


def _step(report: Report, step: ExchangeRow, sender: str, receiver: str) -> Iterator[str]:
    broken = report.cause is not None and report.cause.exchange == step.id
    if broken:
        yield "    rect rgba(220, 50, 40, 0.15)"
    path = urlsplit(step.url).path or "/"
    yield f"    {sender}->>{receiver}: {escaped(f'{step.id}. {step.method} {path}{_why(step.initiator)}')}"
    if step.status is None and step.error:
        yield f"    {receiver}--x{sender}: {escaped(step.error)}"
    elif step.status is None:
        yield f"    {receiver}-->>{sender}: (not seen)"
    else:
        yield f"    {receiver}-->>{sender}: {step.status}"
    for finding in report.findings:
        if finding.exchange == step.id and finding.severity != "note":
            yield f"    Note over {receiver}: {escaped(f'{MARK[finding.severity]} {finding.rule}')}"
    if broken:
        yield "    end"


def _why(because: Initiator | None) -> str:
    if because is None:
        return ""
    if because.guess:
        return " (not advertised)"
    return f" (because of {because.exchange})" if because.exchange else ""


def escaped(text: str) -> str:
    """Text in which nothing is notation: entities for everything else, and for the word that ends a block."""
    shown = escape_controls(text, limit=160)
    return _UNSAFE.sub(lambda m: "".join(f"#{ord(c)};" for c in m[0]), shown)
