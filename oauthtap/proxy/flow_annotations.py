"""What mitmweb shows of a judged flow in its list: a comment, a marker, words to filter by. Text only."""

from __future__ import annotations

from typing import Any

from mitmproxy import ctx, http

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.model.sanitize import escape_controls
from oauthtap.proxy.flow_state import EXCHANGE
from oauthtap.render.labels import patched
from oauthtap.report.build import exchange_row

MARKERS = {"error": ":x:", "warning": ":warning:", "note": ""}
STEPS: dict[str, AnalyzedExchange] = {}
"""Flow id to what it turned out to be, for the newest flows of this run."""
_KEPT = 2500
_looked_at = [False]
STAGE, FINDINGS, BECAUSE = "oauthtap_stage", "oauthtap_findings", "oauthtap_because"


def keep_steps() -> None:
    """From now on `STEPS` is filled: a content view looks into it. Each step takes some 10 kB."""
    _looked_at[0] = True


def annotate(flow: http.HTTPFlow, step: AnalyzedExchange) -> None:
    """Write a step onto its flow. The exchange goes along without secrets, so that a saved flow can be judged again."""
    if _looked_at[0]:
        STEPS[flow.id] = step
        if len(STEPS) > _KEPT:
            del STEPS[next(iter(STEPS))]
    flow.metadata[EXCHANGE] = step.exchange.as_json()
    put_words(flow, step)


def put_words(flow: http.HTTPFlow, step: AnalyzedExchange) -> None:
    """Comment, marker, and the words to filter by."""
    worst = sorted(step.findings, key=lambda finding: RANK[finding.severity])
    flow.metadata[STAGE] = step.stage
    flow.metadata[FINDINGS] = " ".join(f"{finding.severity}:{finding.rule}" for finding in worst)
    if step.initiator is not None:
        flow.metadata[BECAUSE] = because(step)
    flow.comment = comment(step, worst)
    flow.marked = MARKERS[worst[0].severity] if worst else ""


def flows_are_shown() -> bool:
    """There is a list of flows to look at. Without one, a flow that is done is of no more use."""
    return getattr(getattr(ctx, "master", None), "view", None) is not None


def annotate_later(flow: http.HTTPFlow, step: AnalyzedExchange) -> None:
    """The same for a flow that mitmweb shows already: some findings only the whole handshake tells."""
    annotate(flow, step)
    view: Any = getattr(getattr(ctx, "master", None), "view", None)
    if view is not None:
        view.update([flow])


def comment(step: AnalyzedExchange, worst: list[Finding]) -> str:
    """What matters first: only the beginning fits into the list. The worst rule's id; else what came of it."""
    changed = list(patched(exchange_row(step.stages))) if step.exchange.applied_fixes else []
    if fault := step.exchange.injected_fault:
        changed = [f"injected by oauthtap: {escape_controls(fault)}", *changed]
    first = worst[0].rule if worst and worst[0].severity != "note" else came_of(step)
    lines = [" · ".join([first, *(["patched"] if changed else []), step.stage]), *changed]
    lines += [f"{finding.severity}: {escape_controls(finding.message)} [{finding.rule}]" for finding in worst]
    return "\n".join(lines)


def came_of(step: AnalyzedExchange) -> str:
    """`ok` for what was answered as it should be; else the status, or that no answer came."""
    exchange = step.exchange
    if exchange.response is None:
        return "no answer" if exchange.error else "sent on" if step.stage.startswith("authorization-") else "not seen"
    good = exchange.response.status < 400 or (step.stage == "mcp-challenge" and exchange.response.status == 401)
    return "ok" if good else str(exchange.response.status)


def because(step: AnalyzedExchange) -> str:
    """Why the client sent this request, in words."""
    reason = step.initiator
    if reason is None:
        return ""
    if reason.guess:
        return f"not advertised ({reason.fallback})" if reason.fallback else "not advertised"
    return f"{reason.at} in exchange {reason.exchange}" if reason.exchange else reason.at
