"""The few words beside an underlined value: what is wrong with it."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

from oauthtap import rules
from oauthtap.diagnosis.findings import Finding
from oauthtap.model.sanitize import escape_controls

_PREDICATE = re.compile(r" (?:is|are|has|have) ((?:not?|only|neither|empty|missing) .{2,40}|empty|missing)$")


@cache
def marks() -> dict[str, str]:
    """The words by rule, with `{expected}` in them."""
    return tomllib.loads(files(rules).joinpath("marks.toml").read_text("utf-8"))


def mark(finding: Finding) -> str:
    """What stands beside the value of a finding; empty where its rule says nothing short."""
    expected = escape_controls(finding.expected, limit=200) if finding.expected else ""
    words = marks().get(finding.rule, "")
    if words and (expected or "{expected}" not in words):
        actual = escape_controls(finding.actual or "", limit=80)
        return words.replace("{expected}", expected).replace("{actual}", actual)
    if expected:
        return f"expected: {expected}"
    told = _PREDICATE.search(finding.title)
    return told[1] if told else ""
