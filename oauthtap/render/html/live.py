"""The page while the session goes on, in pieces, so that only what changed is drawn and sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from oauthtap.model.exchange import Exchange
from oauthtap.render.html import about, began, head, lanes, lanes_style, part_of_page, rows, title, tools
from oauthtap.render.html.exchange import row
from oauthtap.render.html.sections import below
from oauthtap.render.html.tags import join, tag
from oauthtap.render.sequence import lay_out
from oauthtap.report.model import Report

NEWEST = 500
"""Rows of a live page. The page in the session folder has all."""
_MOST_LANES = 24


@dataclass(frozen=True)
class Pieces:
    """A state of the page."""

    title: str
    lanes: int
    order: tuple[str, ...]
    """The ids of the rows from top to bottom."""
    pieces: dict[str, Markup]
    """`head`, `lanes`, `below`: what is inside these elements; a row's id: the whole row."""

    @property
    def digests(self) -> dict[str, str]:
        """Piece to a short digest of it: who has the same has the same piece."""
        return {name: hashlib.sha256(text.encode()).hexdigest()[:12] for name, text in self.pieces.items()}


class LivePage:
    """Draws a row once, and again only when something about it has changed."""

    def __init__(self) -> None:
        self._drawn: dict[int, tuple[object, Markup]] = {}

    def draw(self, report: Report, exchanges: Sequence[Exchange]) -> Generator[None, None, Pieces]:
        """Stops after each row that had to be drawn, so that others can work meanwhile; returns the pieces."""
        waits = all(step.actor == "reporter" for step in report.exchanges)
        if waits:
            report = report.model_copy(update={"cause": None})
        drawn, start = lay_out(report), began(report)
        shown = newest(report)
        kept: dict[int, tuple[object, Markup]] = {}
        for one in rows(shown, exchanges):
            ends = [drawn.lanes[place] for place in drawn.ends[one.step.id]]
            about_it = (one, drawn.ends[one.step.id], ends, start)
            known = self._drawn.get(one.step.id)
            if known is None or known[0] != about_it:
                known = (about_it, row(one, drawn, start))
                yield
            kept[one.step.id] = known
        self._drawn = kept
        pieces = {
            "head": join(_waiting(report) if waits else head(report)),
            "lanes": join(lanes(drawn)),
            "below": join([_missing(report, shown), *below(shown)]),
        }
        pieces |= {f"x{number}": text for number, (_, text) in kept.items()}
        return Pieces(title(report), len(drawn.lanes), tuple(f"x{number}" for number in kept), pieces)


def newest(report: Report) -> Report:
    """The report with its newest exchanges and the broken one, and with the findings about these."""
    broken = report.cause.exchange if report.cause else None
    recent = report.exchanges[-NEWEST:]
    old = tuple(step for step in report.exchanges[:-NEWEST] if step.id == broken)
    ids = {None, *(step.id for step in (*old, *recent))}
    found = tuple(finding for finding in report.findings if finding.exchange in ids)
    return report.model_copy(update={"exchanges": old + recent, "findings": found})


def _waiting(report: Report) -> list[Markup]:
    """Nothing from the client yet: no verdict, whatever our own look has found."""
    return [
        tag("p", tag("b", "oauthtap"), " handshake report", class_="brand"),
        tag("h1", "Waiting for the client's first request."),
        tag("p", tag("code", report.upstream or "unknown server"), class_="fine"),
    ]


def _missing(report: Report, shown: Report) -> Markup | None:
    count = len(report.exchanges)
    if count == len(shown.exchanges):
        return None
    return tag(
        "p",
        f"Live, only the newest {NEWEST} of {count} exchanges are shown, with their findings. report.html in the "
        "session folder has all of them.",
        class_="fine",
    )


def document(state: Pieces, folder: str) -> str:
    """The whole page. `folder`: the path below which style, scripts and updates are served, with a slash at its end."""
    page = state.pieces
    top = tag(
        "head",
        *about(state.title),
        tag("link", rel="stylesheet", href=f"{folder}page.css?lanes={state.lanes}"),
        tag("script", src=f"{folder}page.js", defer=True),
        tag("script", src=f"{folder}live.js", defer=True),
    )
    body = tag(
        "body",
        tag(
            "header",
            tag("div", page["head"], id="head"),
            tag("p", tag("span", "Not live: this needs JavaScript.", id="live", role="status"), " ",
                tag("a", "All requests in mitmweb", href="/"), class_="live"),
        ),
        tag(
            "main",
            tag("h2", "What was said"),
            tools(),
            tag("div", tag("div", page["lanes"], class_="lanes", id="lanes"), *(page[name] for name in state.order),
                class_="sequence"),
            tag("div", page["below"], id="below"),
        ),
        data_pieces=json.dumps(state.digests),
        data_updates=f"{folder}updates",
    )  # fmt: skip
    return f"<!doctype html>\n{tag('html', top, body, lang='en')}\n"


def style(count: int) -> str:
    """The style sheet. It has room for lanes that are yet to come, because no style may be added later."""
    room = lanes_style(max(count, _MOST_LANES))
    return f"{part_of_page('page.css')}{room}:root {{ --lanes: {count}; }}\n{part_of_page('live.css')}"


def script(name: str) -> str:
    """The script of that name: `page.js` or `live.js`."""
    return part_of_page(name)
