"""The report as one page: no file beside it, nothing from outside, opens from disk.

The page is in `templates`. It allows only the style and the script that are in it, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from markupsafe import Markup

from oauthtap.model.exchange import Exchange
from oauthtap.render.html.environment import asset, render
from oauthtap.render.html.rows import rows
from oauthtap.render.labels import outcome
from oauthtap.render.sequence import lay_out
from oauthtap.render.verdict import headline
from oauthtap.report.model import Report

MANY = 150
"""From so many exchanges on, rows out of sight are not laid out."""


def html(report: Report, exchanges: Sequence[Exchange] = (), /) -> str:
    """A whole document. `exchanges`: those the report is about, secrets struck out; without them rows say less."""
    drawn = lay_out(report)
    style, script = f"{asset('page.css')}{lanes_style(len(drawn.lanes))}", script_of_page()
    return render(
        "report.html.j2", report=report, exchanges=exchanges, title=title(report), drawn=drawn, many=MANY,
        rows=list(rows(report, exchanges, drawn)), policy=_policy(style, script), style=Markup(style),
        script=Markup(script),
    )  # fmt: skip


def script_of_page() -> str:
    """The script of the page."""
    return asset("rows.js") + asset("page.js")


def title(report: Report) -> str:
    """How it ended, for the window."""
    return f"{outcome(report) if report.sign_ins else headline(report)} · oauthtap"


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def lanes_style(count: int) -> str:
    """The classes that place an arrow between its lanes, from the middle of one to the middle of the other."""
    rules = [f":root {{ --lanes: {count}; }}"]
    for left in range(count):
        for right in range(left, count):
            half = 100 / (right - left + 1) / 2
            rules.append(
                f".l{left}r{right} {{ grid-column: {left + 1} / {right + 2}; margin-inline: {half:.3f}%; }}"
                if right > left
                else f".l{left}r{right} {{ grid-column: {left + 1}; margin-inline: 12%; }}"
            )
    return "\n".join(["", *rules, ""])
