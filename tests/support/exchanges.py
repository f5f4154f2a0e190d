"""Hand-written exchanges through the whole engine: what most tests of rules and stages need."""

from __future__ import annotations

import re

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.rules import Rule

RESOURCE = "https://mcp.example.com/mcp"
QUIET = 600.0
"""Seconds that pass after the last exchange of a text, so that absence can be judged."""


def judge(text: str, *, revision: str | None = None, resource: str | None = None) -> Report:
    """The report on exchanges in notation. A line `# mcp: URL` names the MCP URL the client was given."""
    named = re.search(r"^# mcp: (\S+)$", text, re.M)
    tap = SessionAnalyzer(resource=resource or (named[1] if named else RESOURCE), revision=revision)
    end = notation.START
    for exchange in notation.parse(text):
        tap.add(exchange)
        end = exchange.ended or end
    return build(tap, now=end + QUIET)


def found(text: str, *, revision: str | None = None, resource: str | None = None) -> set[str]:
    """The ids of all rules that fire on exchanges in notation."""
    return {finding.rule for finding in judge(text, revision=revision, resource=resource).findings}


def revision_for(rule: Rule) -> str:
    """2025-11-25 where the rule belongs to it, else the nearest revision that it does belong to."""
    if rule.applies_to("2025-11-25"):
        return "2025-11-25"
    return rule.until or rule.since or "2025-11-25"
