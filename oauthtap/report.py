"""The report: what every command prints, and what scripts rely on. Version 1 of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Literal

from pydantic import ConfigDict, SerializerFunctionWrapHandler, model_serializer

from oauthtap import specs
from oauthtap.findings import Finding, Severity, Who
from oauthtap.handshake import Handshake
from oauthtap.injections.faulted import Injected, injected
from oauthtap.plain import plain
from oauthtap.profiles import Outlook, Profile, outlooks
from oauthtap.repair.attempts import Attempt, Attempts
from oauthtap.repair.deploying import Deploy, deploy
from oauthtap.repair.patched import Patched, changes
from oauthtap.stages import Because, Mcp, Stage
from oauthtap.standstill import Standstill
from oauthtap.verdict import Verdict, judge
from oauthtap.wire import Value

SECRETS_KEPT = (
    "session.jsonl, flows.mitm and session.har hold every token, code and password as it is. "
    "Whoever has the folder can use them: do not pass it on."
)
"""The sentence for a session that was recorded with `--keep-secrets`."""


class _Row(Value):
    model_config = ConfigDict(defer_build=True)


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
    patched_by: tuple[str, ...] = ()
    """The fixes that changed it."""
    patched: tuple[Patched, ...] = ()
    """What they changed: the upstream said one thing, the client saw another."""
    injected: str | None = None
    """The fault that oauthtap itself put here (`--inject`)."""
    excerpt: bool = False
    """Read from a log or from pasted lines, which leave things out: what is not there may have happened."""


class NotChecked(_Row):
    rule: str
    because: str


class SignIn(_Row):
    """One of several clients at once: the same answers, for it alone."""

    letter: str
    """`A` for the client that came first."""
    client: Client | None = None
    revision: str | None = None
    judged_by: str = specs.NEWEST
    reached: str = "other"
    connected: bool = False
    cause: Cause | None = None
    standstill: Standstill | None = None
    exchanges: tuple[int, ...] = ()
    """The ids of its own."""
    findings: tuple[Finding, ...] = ()


class Promise(_Row):
    """One answer that a lock holds, and what became of it."""

    pointer: str
    """RFC 6901, into the lock file: `/contract/3`."""
    stage: str
    answer: str
    """Which answer: `root GET https://…`."""
    kept: bool | None
    """None: nobody asked for it this time."""


class Report(_Row):
    """How far did it get; what is the cause; whose is it; what to change."""

    version: Literal[1] = 1
    upstream: str | None = None
    client: Client | None = None
    revision: str | None = None
    """The MCP revision as it was negotiated, announced, or named by the user."""
    judged_by: str = specs.NEWEST
    """The revision whose rules were applied: the newest known one that is not newer."""
    reached: str = "other"
    connected: bool = False
    complete: bool = False
    """Not connected, but as far as a probe was asked to go, with nothing on the way that stops clients."""
    cause: Cause | None = None
    standstill: Standstill | None = None
    """What to look at next, where the wire shows only the step and not the cause."""
    attempts: tuple[Attempt, ...] = ()
    """What came of each sign-in, where fixes were on: without and with them, the newest last."""
    injected: tuple[Injected, ...] = ()
    """The faults that oauthtap itself made, as it was asked to; nothing of them is laid on anybody."""
    exchanges: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()
    not_checked: tuple[NotChecked, ...] = ()
    deploy: Deploy | None = None
    """What to change on the server so that the fixes of the newest sign-in are not needed; None where none was at work.
    """
    promises: tuple[Promise, ...] = ()
    """What became of each answer of the lock it was held against; empty without one."""
    clients: tuple[Outlook, ...] = ()
    """Who else would get through, and who would stop where."""
    secrets_kept: bool = False
    """The recording itself was made with `--keep-secrets`; no secret is in the report."""
    notes: tuple[str, ...] = ()
    """What the reader should know about how this was judged."""
    sign_ins: tuple[SignIn, ...] = ()
    """Each client by itself, where there were several at once; what stands above is about the first of
    them that stopped (else the first), `exchanges` and `findings` are those of all. Left out for one client."""

    @model_serializer(mode="wrap")
    def _without_needless(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        if not self.sign_ins:
            del written["sign_ins"]
        return written

    @property
    def letters(self) -> dict[int, str]:
        """Whose each exchange is, where there were several clients."""
        return {number: one.letter for one in self.sign_ins for number in one.exchanges}

    def alone(self, sign_in: SignIn) -> Report:
        """The report as it would be about this one client."""
        own = set(sign_in.exchanges)
        members = {name: getattr(sign_in, name) for name in SignIn.model_fields if name in Report.model_fields}
        told = tuple(step for step in self.exchanges if step.id in own)
        faults = tuple(fault for fault in self.injected if fault.exchange in own)
        return self.model_copy(update={**members, "exchanges": told, "injected": faults, "sign_ins": ()})

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding, None without findings."""
        found = {finding.severity for finding in self.findings}
        return next((s for s in ("error", "warning", "note") if s in found), None)


def build(
    handshake: Handshake,
    found: Sequence[Finding],
    not_checked: Sequence[NotChecked],
    attempts: Attempts,
    *,
    profiles: Sequence[Profile] = (),
    client: str | None = None,
    goal: str | None = None,
    today: date | None = None,
    story: bool = True,
    secrets_kept: bool = False,
) -> Report:
    """Put together what the handshake, the findings, the verdict and the client profiles say.

    `client`: what the user says it is; `goal`: the stage at which a probe was meant to end;
    `today` decides which profiles are stale; `story`: tell every exchange;
    `secrets_kept`: the recording has its secrets in it.
    """
    verdict = judge(handshake, found, goal, attempts.since)
    return Report(
        upstream=handshake.resource,
        client=_client(handshake, profiles, client),
        revision=handshake.revision_named,
        judged_by=handshake.revision,
        reached=verdict.reached,
        connected=verdict.connected,
        complete=verdict.complete,
        cause=_cause(verdict),
        standstill=verdict.standstill,
        attempts=attempts.all(found),
        injected=injected(handshake),
        exchanges=_story(handshake) if story else (),
        findings=verdict.findings,
        not_checked=tuple(not_checked),
        deploy=_deploy(handshake, attempts, proved=verdict.connected) if story else None,
        clients=outlooks(profiles, handshake, today) if handshake.stages else (),
        secrets_kept=secrets_kept,
        notes=tuple(_notes(handshake)),
    )


def _deploy(handshake: Handshake, attempts: Attempts, *, proved: bool) -> Deploy | None:
    newest = [stages[0].exchange for stages in handshake.exchanges() if stages[0].exchange.id >= attempts.since]
    return deploy(newest, handshake, proved=proved)


def _story(handshake: Handshake) -> tuple[Step, ...]:
    """Every exchange of the handshake as a line; also those of which no more than that was kept."""
    rows = [row(stages) for stages in handshake.exchanges()]
    if handshake.let_go:
        alike: dict[int, Step] = {}
        for exchange, at, took, like in handshake.let_go:
            number = like[0].exchange.id
            template = alike[number] if number in alike else alike.setdefault(number, row(like))
            rows.append(Step.of(**{**template.__dict__, "id": exchange, "at": at, "took": took}))
        rows.sort(key=lambda step: step.id)
    return tuple(rows)


def _notes(handshake: Handshake) -> Iterator[str]:
    named = handshake.revision_named
    if named is None and handshake.stages:
        yield f"Nobody named an MCP revision; judged by {handshake.revision}."
    elif named is not None and named not in specs.REVISIONS:
        yield f"MCP {plain(named, limit=40)} is not known to this oauthtap; judged by {handshake.revision}."


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


def row(stages: tuple[Stage, ...]) -> Step:
    """One exchange, given its stages, as the report tells it."""
    exchange = stages[0].exchange
    return Step.of(
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
        patched_by=exchange.patched_by,
        patched=changes(exchange),
        injected=exchange.injected,
        excerpt=exchange.excerpt,
    )


def _client(handshake: Handshake, profiles: Sequence[Profile], forced: str | None) -> Client | None:
    """The profile that fits, else what the client calls itself: `clientInfo`, or its User-Agent."""
    named = _self_named(handshake)
    if forced:
        return Client(name=forced, version=named.version if named else None)
    fits = next((profile for profile in profiles if profile.is_client(handshake)), None)
    return Client(name=fits.slug, version=named.version if named else None) if fits else named


def _self_named(handshake: Handshake) -> Client | None:
    for stage in handshake.all(Mcp):
        info = stage.params.get("clientInfo") or stage.meta.get("io.modelcontextprotocol/clientInfo")
        if isinstance(info, dict) and isinstance(info.get("name"), str):
            version = info.get("version")
            return Client(name=info["name"], version=version if isinstance(version, str) else None)
    for seen in handshake.stages:
        agent = seen.request.header("user-agent")
        if agent and agent.split() and seen.exchange.actor == "client":
            name, _, version = agent.split()[0].partition("/")
            return Client(name=name, version=version or None)
    return None
