"""Reports put into words. Each format is one function from a report, and the exchanges it is about, to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from oauthtap.render.console import console
from oauthtap.render.har import har
from oauthtap.render.html import html
from oauthtap.render.json import json
from oauthtap.render.junit import junit
from oauthtap.render.markdown import markdown
from oauthtap.render.mermaid import mermaid
from oauthtap.render.sarif import sarif
from oauthtap.report import Report
from oauthtap.wire import Exchange


class Renderer(Protocol):
    """Gives the whole text of a report.

    `exchanges`: what the tap judged, secrets struck out (`Step.exchange`). Without them a
    format shows what the report itself says of each exchange.
    """

    def __call__(self, report: Report, exchanges: Sequence[Exchange] = (), /) -> str: ...


FORMATS: dict[str, Renderer] = {
    "console": console,
    "json": json,
    "markdown": markdown,
    "html": html,
    "sarif": sarif,
    "junit": junit,
    "mermaid": mermaid,
    "har": har,
}
"""Format name to renderer."""
