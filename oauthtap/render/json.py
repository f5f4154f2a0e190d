"""The report as JSON: the contract that scripts rely on (`report.schema.json`)."""

from __future__ import annotations

from collections.abc import Sequence

from oauthtap.model.exchange import Exchange
from oauthtap.report.model import Report


def json(report: Report, _: Sequence[Exchange] = (), /) -> str:
    """One JSON object, indented, with a line end."""
    return report.model_dump_json(indent=1) + "\n"
