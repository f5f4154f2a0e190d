"""The report as JSON: the contract that scripts rely on (`report.schema.json`)."""

from __future__ import annotations

from oauthtap.report import Report


def json(report: Report) -> str:
    """One JSON object, indented, with a line end."""
    return report.model_dump_json(indent=1) + "\n"
