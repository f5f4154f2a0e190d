"""Builds the report: of the diagnosis of each client, and of what fixes, faults and client profiles say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from oauthtap.clients.forecast import forecasts
from oauthtap.clients.profile import Profile
from oauthtap.diagnosis.analyzer import ClientAnalysis
from oauthtap.diagnosis.evidence import Candidate, experiment
from oauthtap.diagnosis.fault_attribution import FaultRecord, fault_records
from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.diagnosis.multi.attribution import is_library
from oauthtap.diagnosis.root_cause import Verdict
from oauthtap.diagnosis.session_analyzer import LETTERS, SessionAnalyzer
from oauthtap.diagnosis.stall_hints import later_hint
from oauthtap.faults.model import named
from oauthtap.fixes.attempts import attempts
from oauthtap.fixes.change_log import changes
from oauthtap.fixes.deploy_plan import Deploy, deploy
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Interaction,
    Mcp,
    Registration,
    ServerMetadata,
    Stage,
    TokenEndpoint,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import requirements, urls
from oauthtap.model.sanitize import escape_controls
from oauthtap.report.model import (
    Cause,
    Client,
    ClientReport,
    Evidence,
    ExchangeRow,
    NotChecked,
    RankedCause,
    Refused,
    Report,
)
from oauthtap.report.out_of_sight import without_blame


def build(
    analyzer: SessionAnalyzer, now: float | None = None, today: date | None = None, *, story: bool = True
) -> Report:
    """The report on a session, so far.

    `now`: seconds since 1970 up to which nothing else came, for what only its
    absence tells; the end of the last exchange when None. `today` decides which
    client profiles are stale. `story`: tell every exchange; a look in between needs none of them.
    """
    reports = [_of_client(analyzer, client, now, today, story=story) for client in analyzer.clients]
    report = _merged(reports) if analyzer.has_several_clients else reports[0]
    if not analyzer.notes and analyzer.walk is None:
        return report
    return report.model_copy(update={"notes": (*report.notes, *analyzer.notes), "walk": analyzer.walk})


def _of_client(
    analyzer: SessionAnalyzer, client: ClientAnalysis, now: float | None, today: date | None, *, story: bool
) -> Report:
    handshake, periods = client.handshake, analyzer.fix_periods(client)
    handshake.over = analyzer.probe_goal is not None
    found = client.findings_until(now)
    since = periods[-1].since
    verdict = client.verdict(found, analyzer.probe_goal, since, _profile(handshake, analyzer.profiles, analyzer.client))
    report = Report(
        upstream=handshake.resource,
        client=_client(handshake, analyzer.profiles, analyzer.client),
        revision=handshake.revision_named,
        judged_by=handshake.revision,
        reached=verdict.reached,
        connected=verdict.connected,
        complete=verdict.complete,
        ending=verdict.ending,
        refusal=_refusal(verdict),
        causes=tuple(_ranked(handshake, candidate) for candidate in verdict.causes),
        cause=_cause(verdict),
        standstill=later_hint(verdict.standstill, analyzer.told_step),
        attempts=attempts(client, periods, found),
        injected_faults=_injected_faults(handshake),
        exchanges=_story(handshake) if story else (),
        findings=verdict.findings,
        not_checked=tuple(NotChecked(rule=rule, because=reason) for rule, reason in client.rules.not_checked().items()),
        deploy=_deploy(handshake, since, proved=verdict.connected) if story else None,
        clients=forecasts(analyzer.profiles, handshake, today) if handshake.stages else (),
        secrets_kept=analyzer.keeps_secrets,
        notes=tuple(_notes(handshake)),
        same_origin=_same_origin(handshake),
    )
    return without_blame(report, handshake, analyzer.notes)


def _same_origin(handshake: Handshake) -> bool:
    """The endpoints of the sign-in are at the MCP server's own origin, all of them that were met."""
    kinds = (ServerMetadata, Registration, AuthorizationRequest, TokenEndpoint)
    met = {urls.origin(stage.url) for kind in kinds for stage in handshake.all(kind)}
    return met == {urls.origin(handshake.resource or "")}


def _deploy(handshake: Handshake, since: int, *, proved: bool) -> Deploy | None:
    newest = [stages[0].exchange for stages in handshake.exchanges() if stages[0].exchange.id >= since]
    return deploy(newest, handshake, proved=proved)


def _story(handshake: Handshake) -> tuple[ExchangeRow, ...]:
    """Every exchange of the handshake as a line; also those of which no more than that was kept."""
    rows = [exchange_row(stages) for stages in handshake.exchanges()]
    if handshake.compacted:
        alike: dict[int, ExchangeRow] = {}
        for exchange, at, took, like, url, because, _ in handshake.compacted:
            number = like[0].exchange.id
            template = alike[number] if number in alike else alike.setdefault(number, exchange_row(like))
            own = {"id": exchange, "started_at": at, "duration": took, "url": url, "initiator": because}
            rows.append(ExchangeRow.model_construct(**{**template.__dict__, **own}))
        rows.sort(key=lambda step: step.id)
    return tuple(rows)


def _injected_faults(handshake: Handshake) -> tuple[FaultRecord, ...]:
    made = fault_records(handshake)
    return tuple(one.model_copy(update={"says": fault.says}) if (fault := named(one.name)) else one for one in made)


def _notes(handshake: Handshake) -> Iterator[str]:
    named = handshake.revision_named
    if named is None and handshake.stages:
        yield f"No MCP revision was negotiated; checked by {handshake.revision}."
    elif named is not None and named not in requirements.REVISIONS:
        yield f"MCP {escape_controls(named, limit=40)} is not known to this oauthtap; judged by {handshake.revision}."


def _cause(verdict: Verdict) -> Cause | None:
    return None if verdict.cause is None else Cause(**_told(verdict.cause))


def _ranked(handshake: Handshake, candidate: Candidate) -> RankedCause:
    return RankedCause(
        **_told(candidate.finding),
        confidence=candidate.confidence,
        subject=candidate.subject,
        evidence=tuple(Evidence(exchange=one.exchange, sentence=one.sentence) for one in candidate.evidence),
        experiment=experiment(candidate, handshake),
    )


def _told(finding: Finding) -> dict[str, Any]:
    """What a cause tells of its finding."""
    return {name: getattr(finding, name) for name in ("rule", "responsible", "exchange", "title", "message", "fix")}


def _refusal(verdict: Verdict) -> Refused | None:
    said = verdict.refusal
    if said is None:
        return None
    return Refused(
        exchange=said.exchange,
        responsible=said.who,
        at=said.at,
        status=said.status,
        code=said.code,
        words=said.words,
        subject=said.subject,
    )


def exchange_row(stages: tuple[Stage, ...]) -> ExchangeRow:
    """One exchange, given its stages, as the report tells it."""
    exchange, because = stages[0].exchange, stages[0].initiator
    if exchange.excerpt and because is not None and because.guess:
        because = None  # what named it may stand in the part that is not shown
    return ExchangeRow(
        id=exchange.id,
        stage=stages[0].slug,
        stages=tuple(stage.slug for stage in stages),
        method=exchange.request.method,
        url=exchange.request.url,
        status=exchange.status,
        error=exchange.error,
        actor=exchange.actor,
        started_at=exchange.started_at,
        duration=exchange.duration,
        initiator=because,
        applied_fixes=exchange.applied_fixes,
        patched=changes(exchange),
        injected_fault=exchange.injected_fault,
        excerpt=exchange.excerpt,
    )


def _client(handshake: Handshake, profiles: Sequence[Profile], forced: str | None) -> Client | None:
    """The profile that fits, else what the client calls itself: `clientInfo`, or its User-Agent."""
    named = _of_client_info(handshake) or _of_user_agent(handshake)
    version = named.version if named else None
    if named and _of_client_info(handshake) is None and is_library(named.name):
        version = None  # the library's own
    if forced:
        return Client(name=forced, version=version)
    if fits := _profile(handshake, profiles, forced):
        return Client(name=fits.slug, version=version)
    excerpt = any(stage.exchange.excerpt for stage in handshake.stages[:1])
    # Of a pasted text a runtime alone tells no client: there was one, and the text does not name it.
    return None if excerpt and named and not _of_client_info(handshake) and _is_runtime(named.name) else named


def _profile(handshake: Handshake, profiles: Sequence[Profile], forced: str | None) -> Profile | None:
    """What is known of the client, by the name it was given or by what it shows."""
    return next((one for one in profiles if (one.slug == forced if forced else one.is_client(handshake))), None)


def _is_runtime(product: str) -> bool:
    return is_library(product) or product.lower() in ("curl", "wget", "httpie", "xh", "postmanruntime")


def _of_client_info(handshake: Handshake) -> Client | None:
    for stage in handshake.all(Mcp):
        info = stage.params.get("clientInfo") or stage.meta.get("io.modelcontextprotocol/clientInfo")
        if isinstance(info, dict) and isinstance(info.get("name"), str):
            version = info.get("version")
            return Client(name=info["name"], version=version if isinstance(version, str) else None)
    return None


_BY_BROWSER = (AuthorizationRequest, AuthorizationResponse, Interaction)
"""Requests of whatever opened the authorization endpoint, also where its User-Agent is no browser's."""


def _of_user_agent(handshake: Handshake) -> Client | None:
    """The first that is the client's own; where there is none, that of the library or runtime it is made with."""
    sent = [one for one in handshake.stages if one.exchange.actor == "client" and not isinstance(one, _BY_BROWSER)]
    agents = [one.request.header("user-agent") or "" for one in sent]
    products = [agent.split()[0].partition("/") for agent in agents if agent.split()]
    own = next((product for product in products if not is_library(product[0])), next(iter(products), None))
    return Client(name=own[0], version=own[2] or None) if own else None


def _merged(reports: Sequence[Report]) -> Report:
    """One report over several clients: it speaks of the first that stopped, and tells of each by its letter."""
    first = next((report for report in reports if not report.works), reports[0])
    exchanges = {step.id: step for report in reports for step in report.exchanges}
    unchecked = set.intersection(*({row.rule for row in report.not_checked} for report in reports))
    recorded = {outlook.client for report in reports for outlook in report.clients if outlook.recorded}
    faults = {fault for report in reports for fault in report.injected_faults}
    return first.model_copy(
        update={
            "injected_faults": tuple(sorted(faults, key=lambda fault: fault.exchange)),
            "exchanges": tuple(exchanges[number] for number in sorted(exchanges)),
            "findings": _findings_of_all([report.findings for report in reports]),
            "not_checked": tuple(row for row in first.not_checked if row.rule in unchecked),
            "clients": tuple(
                o.model_copy(update={"recorded": True}) if o.client in recorded else o for o in first.clients
            ),
            "sign_ins": tuple(_sign_in(letter, report) for letter, report in zip(LETTERS, reports, strict=False)),
        }
    )


def _findings_of_all(each: Sequence[Sequence[Finding]]) -> tuple[Finding, ...]:
    """The findings of all, in order; those of exchanges without a client are reported once."""
    found = {(f.rule, f.exchange, f.at, f.message): f for findings in each for f in findings}
    return tuple(sorted(found.values(), key=lambda f: (f.exchange or 0, RANK[f.severity])))


def _sign_in(letter: str, report: Report) -> ClientReport:
    own = tuple(step.id for step in report.exchanges if step.actor in ("client", "browser"))
    members = {name: getattr(report, name) for name in ClientReport.model_fields if name in Report.model_fields}
    return ClientReport(**{**members, "letter": letter, "exchanges": own})
