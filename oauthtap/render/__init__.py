"""Reports put into words. Each format is one function from a report to text."""

from __future__ import annotations

from collections.abc import Callable

from oauthtap.render.console import console
from oauthtap.render.json import json
from oauthtap.render.markdown import markdown
from oauthtap.report import Report

FORMATS: dict[str, Callable[[Report], str]] = {"console": console, "json": json, "markdown": markdown}
"""Format name to renderer. A renderer takes the report and gives the whole text."""
