"""The report: what every command prints, and what scripts rely on. Version 1 of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from oauthtap.findings import Finding, Severity, Who
from oauthtap.handshake import Handshake
from oauthtap.stages import Because, Mcp, Stage
from oauthtap.verdict import Verdict, judge


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class Client(_Row):
    name: str
    version: str | None = None


class Cause(_Row):
    """The one finding that ends the search."""

    rule: str
    who: Who
    exchange: int | None
    title: str
    message: str
    fix: str


class Step(_Row):
    """One exchange, as a line of the story."""

    id: int
    stage: str
    stages: tuple[str, ...]
    method: str
    url: str
    status: int | None
    error: str | None = None
    actor: str = "client"
    at: float | None = None
    took: float | None = None
    because: Because | None = None


class NotChecked(_Row):
    rule: str
    because: str


class Report(_Row):
    """How far did it get; what is the cause; whose is it; what to change."""

    version: Literal[1] = 1
    upstream: str | None = None
    client: Client | None = None
    revision: str | None = None
    reached: str = "other"
    connected: bool = False
    cause: Cause | None = None
    exchanges: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding, None without findings."""
        found = {finding.severity for finding in self.findings}
        return next((s for s in ("error", "warning", "note") if s in found), None)


def build(
    handshake: Handshake,
    found: Sequence[Finding],
    not_checked: Sequence[NotChecked],
    *,
    client: str | None = None,
) -> Report:
    """Put together what the handshake, the findings and the verdict say."""
    verdict = judge(handshake, found)
    return Report(
        upstream=handshake.resource,
        client=Client(name=client) if client else _client(handshake),
        revision=handshake.revision_named,
        reached=verdict.reached,
        connected=verdict.connected,
        cause=_cause(verdict),
        exchanges=tuple(_step(stages) for stages in handshake.exchanges()),
        findings=verdict.findings,
        not_checked=tuple(not_checked),
    )


def _cause(verdict: Verdict) -> Cause | None:
    found = verdict.cause
    if found is None:
        return None
    return Cause(
        rule=found.rule,
        who=found.who,
        exchange=found.exchange,
        title=found.title,
        message=found.message,
        fix=found.fix,
    )


def _step(stages: tuple[Stage, ...]) -> Step:
    exchange = stages[0].exchange
    return Step(
        id=exchange.id,
        stage=stages[0].slug,
        stages=tuple(stage.slug for stage in stages),
        method=exchange.request.method,
        url=exchange.request.url,
        status=exchange.status,
        error=exchange.error,
        actor=exchange.actor,
        at=exchange.at,
        took=exchange.took,
        because=stages[0].because,
    )


def _client(handshake: Handshake) -> Client | None:
    """What the client calls itself: `clientInfo`, else the first product of its User-Agent."""
    for stage in handshake.all(Mcp):
        info = stage.params.get("clientInfo") or stage.meta.get("io.modelcontextprotocol/clientInfo")
        if isinstance(info, dict) and isinstance(info.get("name"), str):
            version = info.get("version")
            return Client(name=info["name"], version=version if isinstance(version, str) else None)
    for seen in handshake.stages:
        agent = seen.request.header("user-agent")
        if agent and seen.exchange.actor == "client":
            name, _, version = agent.split()[0].partition("/")
            return Client(name=name, version=version or None)
    return None
