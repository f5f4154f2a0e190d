"""The exchanges as a HAR, with the findings as comments on their entries. The format: `oauthtap.formats.har`."""

from __future__ import annotations

from collections.abc import Sequence

from oauthtap import __version__
from oauthtap.formats import har as format
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording
from oauthtap.model.sanitize import escape_controls
from oauthtap.report.model import Report


def har(report: Report, exchanges: Sequence[Exchange] = (), /) -> str:
    """A HAR that opens in every browser, and that oauthtap reads again. Without `exchanges` it has no entries."""
    chosen = {"upstream": report.upstream, "revision": report.revision, "versions": {"oauthtap": __version__}}
    header = {name: value for name, value in chosen.items() if value}
    return format.write(Recording(tuple(exchanges), header), comments(report)) + "\n"


def comments(report: Report) -> dict[int, str]:
    """The findings about each exchange, a line each, by the exchange's number."""
    found: dict[int, list[str]] = {}
    for finding in report.findings:
        if finding.exchange:
            words = f"{finding.severity}: {finding.rule}: {escape_controls(finding.message)}"
            follows = f" (follows from {finding.consequence_of})" if finding.consequence_of else ""
            found.setdefault(finding.exchange, []).append(words + follows)
    return {number: "\n".join(lines) for number, lines in found.items()}
