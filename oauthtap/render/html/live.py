"""The page while the session goes on, in pieces, so that only what changed is drawn and sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from oauthtap.model.exchange import Exchange
from oauthtap.render.html import lanes_style, title
from oauthtap.render.html.environment import asset, part, render
from oauthtap.render.html.rows import Row, rows
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
        self._drawn: dict[int, tuple[Row, Markup]] = {}

    def draw(self, report: Report, exchanges: Sequence[Exchange]) -> Generator[None, None, Pieces]:
        """Stops after each row that had to be drawn, so that others can work meanwhile; returns the pieces."""
        waits = all(step.actor == "reporter" for step in report.exchanges)
        if waits:
            report = report.model_copy(update={"cause": None})
        drawn, shown = lay_out(report), newest(report)
        kept: dict[int, tuple[Row, Markup]] = {}
        for one in rows(shown, exchanges, drawn, report.exchanges):
            known = self._drawn.get(one.step.id)
            if known is None or known[0] != one:
                known = (one, part("row.html.j2", "row", one))
                yield
            kept[one.step.id] = known
        self._drawn = kept
        missing = len(report.exchanges) - len(shown.exchanges)
        pieces = {
            "head": part("head.html.j2", "waiting" if waits else "head", report),
            "lanes": part("lanes.html.j2", "lanes", drawn.lanes),
            "below": part("below.html.j2", "below", shown, missing, NEWEST),
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


def document(state: Pieces, folder: str) -> str:
    """The whole page. `folder`: the path below which style, scripts and updates are served, with a slash at its end."""
    return render("live.html.j2", title=state.title, state=state, folder=folder, digests=json.dumps(state.digests))


def style(count: int) -> str:
    """The style sheet. It has room for lanes that are yet to come, because no style may be added later."""
    room = lanes_style(max(count, _MOST_LANES))
    return f"{asset('page.css')}{room}:root {{ --lanes: {count}; }}\n{asset('live.css')}"


def script(name: str) -> str:
    """The script of that name: `page.js` or `live.js`."""
    return asset(name)
