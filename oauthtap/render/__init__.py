"""Reports put into words. Each format is one function from a report, and the exchanges it is about, to text."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from oauthtap.model.exchange import Exchange
from oauthtap.report.model import Report


class Renderer(Protocol):
    """Gives the whole text of a report.

    `exchanges`: what the tap judged, secrets struck out (`Step.exchange`). Without them a
    format shows what the report itself says of each exchange.
    """

    def __call__(self, report: Report, exchanges: Sequence[Exchange] = (), /) -> str: ...


def _renderer(name: str) -> Renderer:
    """The function of that name in the module of that name, imported when it is called."""

    def render(report: Report, exchanges: Sequence[Exchange] = (), /) -> str:
        return cast(Renderer, getattr(import_module(f"{__name__}.{name}"), name))(report, exchanges)

    return render


FORMATS: dict[str, Renderer] = {
    name: _renderer(name) for name in ("console", "json", "markdown", "html", "sarif", "junit", "mermaid", "har")
}
"""Format name to renderer."""

FILES = {
    "console": "report.txt", "json": "report.json", "markdown": "report.md", "html": "report.html",
    "sarif": "report.sarif", "junit": "report.xml", "mermaid": "report.mmd", "har": "session.har",
}  # fmt: skip
"""Format name to what its file is called."""
