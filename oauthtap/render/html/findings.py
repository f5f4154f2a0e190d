"""The findings as the page lists them below the exchanges: each once."""

from __future__ import annotations

import re
from collections.abc import Iterable

from oauthtap.diagnosis.findings import RANK, Finding


def alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    """The findings, the worst first, those that say the same of several exchanges together."""
    ranked = sorted(findings, key=lambda f: (f.consequence_of is not None, RANK[f.severity]))
    found: dict[tuple[str | None, ...], list[Finding]] = {}
    for finding in ranked:
        said = re.sub(r":\d+", ":", finding.message)  # ports are new with every run of a client
        found.setdefault((finding.rule, finding.severity, finding.consequence_of, said), []).append(finding)
    return list(found.values())
