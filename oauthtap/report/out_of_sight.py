"""What a report says where a server of the sign-in has no public name (`--public-url`): nobody is blamed for our names.

The client is told the tunnel's name as `resource` and that server's own name, so it asks a server for tokens that are
out of sight and for a resource that no server knows. Where it stops then, or what its token is, is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.stall_hints import StallHint
from oauthtap.handshake.stages import TokenEndpoint, TokenRejected
from oauthtap.handshake.state import Handshake
from oauthtap.report.model import Report
from oauthtap.rewriting.public_url import unnamed

_BEFORE = ("prm-discovery", "as-discovery")
"""The last stages that are seen of a client which is then sent to a server without a public name."""


def is_out_of_sight(report: Report) -> bool:
    """It ended where the recording cannot tell why: at a server without a public name, or with a token from there."""
    return not report.works and report.cause is None and report.standstill is not None and bool(unnamed(report.notes))


def without_blame(report: Report, handshake: Handshake, notes: Sequence[str]) -> Report:
    """The report, and where it ended out of sight, without a cause and with what is missing in its place."""
    origins = " and ".join(unnamed(notes))
    if not origins or report.works:
        return report
    if report.refusal is None or report.ending == "abandoned":
        if report.ending != "abandoned" or report.cause is not None or report.reached not in _BEFORE:
            return report
        step, at = f"sign in at {origins}", None
    else:
        stages = handshake.of(report.refusal.exchange)
        if not (stages and isinstance(stages[0], TokenRejected)) or any(handshake.all(TokenEndpoint)):
            return report
        step, at = "sign in again, through a second tunnel", report.refusal.exchange
    hint = StallHint(
        stage="mcp-token-rejected" if at else report.reached,
        exchange=at,
        next_step=step,
        unknown=f"what was sent to {origins}, and whether it accepted the tunnel's name as `resource`",
        where_to_look="a second tunnel to the local port that the note names; then start oauthtap with both names",
    )
    refused = {stage.exchange.id for stage in handshake.all(TokenRejected)}
    found = tuple(_ours(one) if one.exchange in refused else one for one in report.findings)
    return report.model_copy(update={"cause": None, "causes": (), "standstill": hint, "findings": found})


def _ours(finding: Finding) -> Finding:
    return finding.model_copy(update={"severity": "note", "consequence_of": "--public-url"})
