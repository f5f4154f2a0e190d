"""One exchange as a row of the page: an arrow between two lanes, and what was said, folded up behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from markupsafe import Markup

from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.handshake.stages import Initiator
from oauthtap.model.exchange import Exchange
from oauthtap.render.html.message import Line, differing, note, request_lines, response_lines, sheet
from oauthtap.render.html.tags import Child, tag, words
from oauthtap.render.labels import STAGE, patched
from oauthtap.render.sequence import Layout
from oauthtap.report.model import ExchangeRow

Part = Literal["broken", "after", ""]
"""`broken`: here it went wrong; `after`: it only follows from that."""


@dataclass(frozen=True)
class Row:
    """All that is known about one exchange."""

    step: ExchangeRow
    exchange: Exchange | None
    findings: Sequence[Finding]
    part: Part
    whose: str = ""
    """The letter of its client, where there were several."""


def row(one: Row, drawn: Layout, start: float | None) -> Markup:
    """A `details` element: closed it is one line of the sequence, open it is the whole exchange."""
    step = one.step
    told_by = step.because.exchange if step.because else None
    return tag(
        "details",
        tag(
            "summary",
            tag("span", f"{step.id} {one.whose}".rstrip(), class_="number"),
            tag("span", _clock(step, start), class_="clock"),
            tag("span", tag("b", STAGE[step.stage]), _counts(one), tag("small", _short(step.because)), class_="stage"),
            _wire(step, drawn),
        ),
        tag("div", *_inside(one), class_="inside"),
        class_=f"exchange {one.part}".strip(),
        id=f"x{step.id}",
        open=one.part == "broken",
        data_because=told_by,
        data_guess=bool(step.because and step.because.guess),
        data_found=bool(one.findings),
    )


def _clock(step: ExchangeRow, start: float | None) -> str:
    return f"{step.at - start:+.2f} s" if step.at is not None and start is not None else ""


def _counts(one: Row) -> list[Child]:
    """Errors and warnings as small words; notes are for those who open it."""
    found = [finding.severity for finding in one.findings if finding.severity != "note"]
    kinds = sorted(dict.fromkeys(found), key=lambda severity: RANK[severity])
    cause = [tag("span", "the cause", class_="count error")] if one.part == "broken" else []
    cause += [tag("span", "patched", class_="count patch")] if one.step.patched else []
    return [" ", *cause, *(tag("span", _counted(found.count(kind), kind), class_=f"count {kind}") for kind in kinds)]


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _short(because: Initiator | None) -> str:
    if because is None:
        return ""
    if because.guess:
        return "a guess, advertised by nobody"
    return f"because of {because.exchange}: {because.at.rpartition('.')[2]}"


def _wire(step: ExchangeRow, drawn: Layout) -> Markup:
    """The arrow. The lanes are columns; which ones it spans is a class, because the page allows no inline style."""
    sender, receiver = drawn.ends[step.id]
    left, right = sorted((sender, receiver))
    heads = "self" if sender == receiver else "right" if sender < receiver else "left"
    parts = urlsplit(step.url) if "://" in step.url else None
    path = (parts.path or "/") if parts else step.url
    status = str(step.status) if step.status is not None else "no answer" if step.error else "not seen"
    kind = f"s{step.status // 100}" if step.status is not None else "none" if step.error else "unseen"
    return tag(
        "span",
        tag(
            "span",
            tag("span", f"from {drawn.lanes[sender].name} to {drawn.lanes[receiver].name}: ", class_="spoken"),
            tag("span", tag("b", step.method), " ", path, class_="label"),
            tag("span", status, class_=f"status {kind}"),
            class_=f"leg l{left}r{right} {heads}",
        ),
        class_="wire",
    )


# --- unfolded


def _inside(one: Row) -> list[Child]:
    step, exchange = one.step, one.exchange
    pieces: list[Child] = [_told(step)]
    placed = [f for f in one.findings if exchange and f.at.startswith(("request", "response"))]
    pieces += [note(finding) for finding in one.findings if finding not in placed]
    if exchange is None:
        return pieces
    asked = [finding for finding in placed if finding.at.startswith("request")]
    answered = [finding for finding in placed if finding.at.startswith("response")]
    pieces += [tag("ul", *(tag("li", words(text)) for text in patched(step)), class_="patches")] if step.patched else []
    columns = [*_requests(exchange, asked), *_answers(exchange, answered)]
    if exchange.response is None and exchange.injected and exchange.shown:
        columns.append(_column("What the client got (injected)", sheet(response_lines(exchange.shown), ())))
    elif exchange.response is None:
        why = exchange.error or "The answer did not pass here, or is still under way."
        columns.append(_column("No answer", [tag("p", why), *map(note, answered)]))
    elif exchange.error:
        pieces.append(tag("p", f"Broken off: {exchange.error}"))
    if exchange.injected:
        pieces.append(tag("p", f"oauthtap itself put this fault here (--inject {exchange.injected})."))
    return [*pieces, tag("div", *columns, class_="columns")]


def _requests(exchange: Exchange, findings: Sequence[Finding]) -> list[Child]:
    """The request as it came and, where a fix was on, as it went on."""
    sent = request_lines(exchange.sent) if exchange.sent else None
    return _columns("Request", request_lines(exchange.request), findings, sent, ("as it came", "as it went on"))


def _answers(exchange: Exchange, findings: Sequence[Finding]) -> list[Child]:
    """The answer as the server gave it and, where a fix was on, as the client got it."""
    if exchange.response is None:
        return []
    shown = response_lines(exchange.shown) if exchange.shown else None
    words = ("as the server gave it", "as the client got it")
    return _columns("Answer", response_lines(exchange.response), findings, shown, words)


def _columns(
    title: str,
    lines: Sequence[Line],
    findings: Sequence[Finding],
    patched: Sequence[Line] | None,
    words: tuple[str, str],
) -> list[Child]:
    """A message alone, or before and after a fix; findings are about what it was before."""
    if patched is None:
        return [_column(title, sheet(lines, findings))]
    gone, new = differing(lines, patched)
    before, after = words
    return [
        _column(f"{title}, {before}", sheet(lines, findings, gone), "before"),
        _column(f"{title}, {after} (patched)", sheet(patched, (), new), "after-patch"),
    ]


def _column(title: str, content: Child, kind: str = "") -> Markup:
    return tag("section", tag("h3", title), content, class_=f"column {kind}".strip())


def _told(step: ExchangeRow) -> Markup:
    """Why the client sent it, with the way there."""
    where = tag("code", step.url)
    if step.because is None:
        return tag("p", where, tag("br"), "Sent by the client of its own accord.", class_="told")
    source = step.because.exchange
    link = tag("a", f"exchange {source}", href=f"#x{source}") if source else None
    if step.because.guess:
        after = [" after ", link] if link else None
        reason: list[Child] = ["Advertised by nobody: a guess", after, f" ({step.because.fallback})."]
    else:
        reason = ["Because of ", tag("code", step.because.at), " in ", link, "."]
    return tag("p", where, tag("br"), *reason, class_="told")
