"""The page while the session goes on, in pieces, so that only what changed is drawn and sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from oauthtap.fixes.offers import Offers
from oauthtap.model.exchange import Exchange
from oauthtap.render import FILES
from oauthtap.render.html import lanes_style, script_of_page, title
from oauthtap.render.html.environment import asset, part, render
from oauthtap.render.html.rows import Row, rows
from oauthtap.render.sequence import lay_out
from oauthtap.report.model import Report

NEWEST = 500
"""Rows that are sent by themselves. The page asks for older ones, so many at a time."""
_MOST_LANES = 24


@dataclass(frozen=True)
class Pieces:
    """A state of the page."""

    title: str
    lanes: int
    total: int
    """How many exchanges there are."""
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

    def draw(
        self, report: Report, exchanges: Sequence[Exchange], offers: Offers | None = None
    ) -> Generator[None, None, Pieces]:
        """`offers`: the fixes that can be switched; None where none can. Stops after each row that had to be
        drawn, so that others can work meanwhile; returns the pieces.
        """
        waits = all(step.actor == "reporter" for step in report.exchanges)
        if waits:
            report = report.model_copy(update={"cause": None})
        drawn, shown = lay_out(report), newest(report)
        kept: dict[int, tuple[Row, Markup]] = {}
        for one in rows(report, exchanges, drawn, shown):
            known = self._drawn.get(one.step.id)
            if known is None or known[0] != one:
                known = (one, part("row.html.j2", "row", one))
                yield
            kept[one.step.id] = known
        self._drawn = kept
        missing = len(report.exchanges) - len(shown)
        found = tuple(finding for finding in report.findings if finding.exchange is None or finding.exchange in shown)
        pieces = {
            "head": part("head.html.j2", *(("waiting", report) if waits else ("head", report, exchanges, offers))),
            "lanes": part("lanes.html.j2", "lanes", drawn.lanes),
            "below": part("below.html.j2", "below", report.model_copy(update={"findings": found}), missing, NEWEST),
        }
        pieces |= {f"x{number}": text for number, (_, text) in kept.items()}
        order = tuple(f"x{number}" for number in kept)
        return Pieces(title(report), len(drawn.lanes), len(report.exchanges), order, pieces)


def newest(report: Report) -> frozenset[int]:
    """The ids of the newest exchanges, and of the broken one."""
    broken = report.cause.exchange if report.cause else None
    recent = (step.id for step in report.exchanges[-NEWEST:])
    return frozenset((*recent, *([broken] if broken else [])))


def earlier(report: Report, exchanges: Sequence[Exchange], before: int) -> Generator[None, None, Markup]:
    """The rows before that exchange, `NEWEST` of them; stops after each, and returns them."""
    only = frozenset([step.id for step in report.exchanges if step.id < before][-NEWEST:])
    made = []
    for one in rows(report, exchanges, lay_out(report), only):
        made.append(part("row.html.j2", "row", one))
        yield
    return Markup("").join(made)


def document(state: Pieces, folder: str) -> str:
    """The whole page. `folder`: the path below which style, scripts and updates are served, with a slash at its end."""
    digests = json.dumps(state.digests)
    return render(
        "live.html.j2", title=state.title, state=state, folder=folder, digests=digests, newest=NEWEST, files=FILES
    )


def style(count: int) -> str:
    """The style sheet. It has room for lanes that are yet to come, because no style may be added later."""
    room = lanes_style(max(count, _MOST_LANES))
    return f"{asset('page.css')}{room}:root {{ --lanes: {count}; }}\n{asset('live.css')}"


def script(name: str) -> str:
    """The script of that name: `page.js` or `live.js`."""
    return script_of_page() if name == "page.js" else asset(name)
