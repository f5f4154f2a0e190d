"""What the page says above and below the exchanges: how far it got, and each finding once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.render.labels import STAGE
from oauthtap.report.model import Report

MILESTONES = {
    "mcp-challenge": "401",
    "prm-discovery": "resource metadata",
    "as-discovery": "server metadata",
    "client-registration": "registration",
    "authorization-request": "authorize",
    "authorization-response": "redirect back",
    "token-request": "token",
}
"""The stages of a sign-in that everybody knows, with short names."""


def milestones(report: Report) -> Iterator[tuple[str, str]]:
    """The stages of a sign-in in order, each with what became of it: `passed`, `stopped`, `missing` or `tried`."""
    seen = {stage for step in report.exchanges for stage in step.stages}
    known = dict(MILESTONES)
    if report.exchanges and not report.works:
        known.setdefault(report.reached, STAGE[report.reached])
    stopped = False
    for stage, name in known.items():
        if stage == report.reached and not report.works:
            stopped = True
            yield name, "stopped"
        else:
            yield name, "missing" if stage not in seen else "tried" if stopped else "passed"
    yield "connected", "passed" if report.connected else "missing"


def alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    """The findings, the worst first, those that say the same of several exchanges together."""
    ranked = sorted(findings, key=lambda f: (f.consequence_of is not None, RANK[f.severity]))
    found: dict[tuple[str | None, ...], list[Finding]] = {}
    for finding in ranked:
        said = re.sub(r":\d+", ":", finding.message)  # ports are new with every run of a client
        found.setdefault((finding.rule, finding.severity, finding.consequence_of, said), []).append(finding)
    return list(found.values())
