"""The one cause of a stop, and its consequences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from oauthtap import rules
from oauthtap.clients.profile import Profile
from oauthtap.diagnosis import fault_attribution
from oauthtap.diagnosis.causality import Place, causal_chain, downgrade_retried, guess_ancestors, same_document_places
from oauthtap.diagnosis.ending import GOOD, Ending, EndingId, find_ending, heard, went_well
from oauthtap.diagnosis.evidence import Candidate, rank
from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.diagnosis.missing_iss import find_missing_iss
from oauthtap.diagnosis.progress import NEXT_STAGES, STAGE_ORDER, furthest_stage, stop_points
from oauthtap.diagnosis.refusal import Refusal
from oauthtap.diagnosis.refusal_finding import REFUSED, said_by
from oauthtap.diagnosis.refusal_reader import read_refusal
from oauthtap.diagnosis.stall_hints import Manner, StallHint, stall_hint
from oauthtap.diagnosis.subjects import FORM
from oauthtap.handshake.stages import (
    AuthorizationResponse,
    Challenge,
    Document,
    Mcp,
    McpStream,
    ResourceMetadata,
    Stage,
    TokenEndpoint,
    TokenRefresh,
    Unseen,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls


@dataclass(frozen=True)
class Verdict:
    reached: str
    connected: bool
    cause: Finding | None
    findings: tuple[Finding, ...]
    complete: bool = False
    """Not connected, and not meant to be: it came to its goal, and nothing there stops a client."""
    standstill: StallHint | None = None
    """Where it stopped, when nothing says why."""
    ending: EndingId = "nothing-arrived"
    refusal: Refusal | None = None
    """What the one who said no actually said; None where nobody refused."""
    causes: tuple[Candidate, ...] = ()
    """The likely causes, the best first, at most three."""


def diagnose(
    handshake: Handshake,
    found: Sequence[Finding],
    goal: str | None = None,
    since: int = 0,
    profile: Profile | None = None,
) -> Verdict:
    """Weigh all findings of a handshake against how far it got.

    `goal`: the stage at which a walk of our own was meant to end; None when it was meant to connect.
    `since`: the exchange with which the newest attempt begins, when there was one before with other fixes.
    `profile`: what is known of the client.
    """
    end = find_ending(handshake, since)
    if end.id == "connected" and any(_gives_up(one, end) and (one.exchange or 0) >= since for one in found):
        end = replace(end, id="lost-later")
    connected = end.id == "connected"
    if connected:
        found = [*found, *_regained(handshake, found, since)]
    stopped = () if connected else stop_points(handshake, since)
    goal_at = _came_to(goal, stopped[0], handshake) if stopped and goal and end.refusal is None else None
    arrived = goal_at is not None
    if connected:
        cured = _away(found, since)
        found = [finding if finding.rule in cured else _downgrade_tolerated(finding) for finding in found]
    else:
        found = downgrade_retried(found, handshake)
    insisted = None if connected or profile is None else find_missing_iss(handshake, found, profile, since)
    if insisted is not None:
        found = [*(one for one in found if (one.rule, one.exchange) != (insisted.rule, insisted.exchange)), insisted]
    if profile is not None and not connected:
        found = [_as_error(finding) if finding.rule in profile.refuses else finding for finding in found]
    if goal_at:  # nothing is left to explain, but for what a client refuses at the goal itself
        found = [f if f.exchange == goal_at.exchange.id else _downgrade_tolerated(f) for f in found]
    if faults := fault_attribution.fault_records(handshake):
        found = fault_attribution.mark_consequences(found, faults, handshake)
    weighed = [finding for finding in found if finding.severity == "error"] if arrived else found
    weighed = fault_attribution.candidate_causes(weighed, faults) if faults else weighed
    causes: tuple[Candidate, ...] = ()
    if not connected:
        by_rules = insisted or _newest_cause(handshake, stopped, weighed, since)
        end = _settled(end, by_rules, handshake)
        if end.id not in GOOD | {"nothing-arrived"} and not (faults and by_rules is None):
            met = [one for one in weighed if not one.fixed_by and (one.exchange or since) >= since]
            causes = rank(handshake, end, met, by_rules)
    if end.id == "signed-in":
        found = [_downgrade_tolerated(finding) for finding in found]
    cause = causes[0].finding if causes else None
    if cause is not None and cause.rule == REFUSED:
        found = [*found, cause]
    elif cause is not None:  # as it was weighed: its party and what to change may be the refusal's
        found = [cause if _is_same(finding, cause) else finding for finding in found]
    if cause:
        places = set(same_document_places(cause, handshake))
        found = [_consequence(finding, cause, places, handshake) for finding in found]
    complete = arrived and cause is None
    quiet = complete or end.id in GOOD or end.refusal is not None or (faults and cause is None)
    unexplained = None if quiet else _unexplained(stopped, cause, handshake)
    return Verdict(
        furthest_stage(handshake),
        connected,
        cause,
        tuple(found),
        complete,
        unexplained,
        "connected" if connected else end.id,
        None if complete else heard(end, handshake, since, cause.exchange if cause is not None else None),
        causes,
    )


def _is_same(finding: Finding, cause: Finding) -> bool:
    return finding.model_copy(update={"fix": cause.fix, "responsible": cause.responsible}) == cause


def _settled(end: Ending, by_rules: Finding | None, handshake: Handshake) -> Ending:
    """The ending, where a defect shows that the client did not wait, or was not done, but gave up.

    A hosted client has no login command: it goes on to MCP at once, if it can.
    """
    if by_rules is None or _is_symptom(by_rules):
        return end
    last = end.last.exchange.id if end.last else 0
    asked = handshake.authorization
    callback = asked.redirect_uri if asked is not None and asked.request.body is not None else None
    hosted = callback is not None and not urls.is_loopback(callback)
    sure = by_rules.severity == "error"
    if (end.id == "waiting" and sure) or (end.id == "signed-in" and ((sure and by_rules.exchange == last) or hosted)):
        return replace(end, id="abandoned")
    return end


def _gives_up(finding: Finding, end: Ending) -> bool:
    """The client was connected, and threw its token away; or sent its last request without it."""
    at_the_end = end.last is not None and finding.exchange == end.last.exchange.id
    return finding.rule == "token-discarded" or (finding.rule == "bearer-missing-after-login" and at_the_end)


def _regained(handshake: Handshake, found: Sequence[Finding], since: int) -> Iterator[Finding]:
    """Refreshes that failed although nobody called the token dead, so that a person had to sign in once more."""
    told = {finding.exchange for finding in found if finding.severity != "note" and finding.rule not in FORM}
    for stage in handshake.all(TokenRefresh):
        refusal = read_refusal(stage, handshake) if stage.exchange.id >= since else None
        if (
            refusal is None
            or refusal.code == "invalid_grant"
            or (refusal.status in (400, 401) and refusal.subject != "grant")
            or refusal.exchange in told
        ):
            continue
        later = [one for one in handshake.all(TokenEndpoint) if one.exchange.id > refusal.exchange and went_well(one)]
        if later and not isinstance(later[0], TokenRefresh):
            said = said_by(refusal, handshake)
            again = f"The client had to sign in again (exchange {later[0].exchange.id})."
            yield said.model_copy(update={"severity": "warning", "message": f"{said.message} {again}"})


def _came_to(goal: str, stop: Stage, handshake: Handshake) -> Stage | None:
    """That stage, or one behind it, where it was answered well; of a document, the last of its places that has it."""
    if isinstance(stop, Document) and not stop.found:
        had = [one for one in handshake.all(type(stop)) if one.found and one.exchange.actor == stop.exchange.actor]
        stop = had[-1] if had else stop
    answered = stop.found if isinstance(stop, Document) else stop.ok
    return stop if answered and STAGE_ORDER.index(stop.slug) >= STAGE_ORDER.index(goal) else None


def _unexplained(stopped: tuple[Stage, ...], cause: Finding | None, handshake: Handshake) -> StallHint | None:
    if not stopped or (cause is not None and not _is_symptom(cause)):
        return None
    furthest = stopped[-1]
    slug = furthest.slug
    if any(isinstance(one, AuthorizationResponse) and one.code for one in handshake.of(furthest.exchange.id)):
        slug = AuthorizationResponse.slug  # the browser was sent back at once
    return stall_hint(slug, furthest.exchange.id, _manner(furthest, handshake))


def _manner(furthest: Stage, handshake: Handshake) -> Manner | None:
    """What is special about the last thing that the client did."""
    reached = furthest.status is not None and furthest.status < 400
    if isinstance(furthest, AuthorizationResponse):
        return "called-back" if furthest.callback and reached else None
    if isinstance(furthest, McpStream):
        spoke = any(one.bearer is not None and one.request.method == "POST" for one in handshake.all(Mcp))
        return "only-listened" if reached and furthest.bearer is not None and not spoke else None
    if isinstance(furthest, Challenge):
        return "unnamed" if furthest.challenged.bearer is not None and not furthest.metadata_url else None
    if isinstance(furthest, Document) and furthest.exchange.excerpt and furthest.exchange.response is None:
        return "no-document"
    if isinstance(furthest, ResourceMetadata):
        return "slash" if _differs_by_slash(furthest, handshake.resource or "") else None
    return None


def _differs_by_slash(document: ResourceMetadata, url: str) -> bool:
    try:
        stated = document.resource or ""
    except Unseen:
        return False
    return stated != url and stated.rstrip("/") == url.rstrip("/")


def _away(found: Sequence[Finding], since: int) -> set[str]:
    """The rules whose findings only fixes took away: there before, or in the server's own words, and not met since."""
    met = {finding.rule for finding in found if not finding.fixed_by and (finding.exchange or since) >= since}
    before = {finding.rule for finding in found if finding.exchange is not None and finding.exchange < since}
    return ({finding.rule for finding in found if finding.fixed_by} | before) - met


def _newest_cause(
    handshake: Handshake, stopped: tuple[Stage, ...], found: Sequence[Finding], since: int
) -> Finding | None:
    """The cause of the newest attempt. What a fix took away is no cause.

    Where the fixes changed nothing, it may lie in an attempt before: clients keep what they were told.
    """
    met = [finding for finding in found if not finding.fixed_by]
    newer = [finding for finding in met if (finding.exchange or since) >= since]
    exchanges = (stages[0].exchange for stages in handshake.exchanges())
    untouched = bool(since) and not any(one.applied_fixes for one in exchanges if one.id >= since)
    return _cause(handshake, stopped, newer) or (_cause(handshake, stopped, met) if untouched else None)


def _downgrade_tolerated(finding: Finding) -> Finding:
    """This client evidently tolerated it; others may not."""
    return finding.model_copy(update={"severity": "warning"}) if finding.severity == "error" else finding


def _as_error(finding: Finding) -> Finding:
    """This client was seen to stop at it; others tolerate it."""
    return finding.model_copy(update={"severity": "error"})


def _cause(handshake: Handshake, stopped: tuple[Stage, ...], found: Sequence[Finding]) -> Finding | None:
    """The finding that explains the stop: a defect before a symptom, a certain one before a likely one.

    Among errors the earliest link that broke; among warnings, which break a chain only
    sometimes, the one nearest to the stop.
    """
    chain = causal_chain(handshake, stopped)

    def place(finding: Finding) -> tuple[int, bool, int]:
        number = finding.exchange or 0
        return RANK[finding.severity], number not in chain, number if finding.severity == "error" else -number

    weighty = [finding for finding in found if finding.severity != "note" and _stops_somebody(finding, stopped)]
    able = [finding for finding in weighty if _explains(finding, stopped, handshake)]
    defects = [finding for finding in able if not _is_symptom(finding)]
    broken = [finding for finding in weighty if finding.severity == "error" and not _is_symptom(finding)]
    telling = [finding for finding in able if not _is_echo(finding)]
    return min(defects or telling or able or broken, key=place, default=None)


def _is_symptom(finding: Finding) -> bool:
    known = rules.RULES.get(finding.rule)
    return known is None or known.symptom


def _is_echo(finding: Finding) -> bool:
    known = rules.RULES.get(finding.rule)
    return known is not None and known.echo


def _stops_somebody(finding: Finding, stopped: tuple[Stage, ...]) -> bool:
    """Its rule does not say that it stops nobody, or nobody at this stage."""
    known = rules.RULES.get(finding.rule)
    only = known.stops_only_at if known else None
    return only is None or bool({stop.slug for stop in stopped} & set(only))


def _explains(finding: Finding, stopped: tuple[Stage, ...], handshake: Handshake) -> bool:
    """The handshake stopped at the finding's stage, at the next one, or where its rule says it shows.

    An exchange may have two stages: an authorization request that is redirected at once
    is the authorization response as well, and the stop is at both. A stop at a guess is
    explained as well by what made the client guess.
    """
    if not stopped:
        return True
    known = rules.RULES.get(finding.rule)
    slugs = {stage.slug for stop in stopped for stage in (stop, *handshake.of(stop.exchange.id))}
    slugs |= {stage.slug for stop in stopped for stage in guess_ancestors(stop, handshake)}
    if finding.stage in (*slugs, "any") or (known and slugs & set(known.stops_at)):
        return True
    return bool(slugs & NEXT_STAGES.get(finding.stage, frozenset()))


def _consequence(finding: Finding, cause: Finding, places: set[Place], handshake: Handshake) -> Finding:
    """What comes after the cause follows from it when it only says that a step failed, was found at a
    guess, where the very member at fault sent the client, or behind a place the client should not have
    gone to. It is nothing of its own to repair, so it is no error. `places`: where the cause stands.
    """
    after, of_cause = finding.exchange or 0, cause.exchange or 0
    if finding == cause or finding.severity == "note" or after < of_cause:
        return finding
    stages = handshake.of(after)
    because = stages[0].initiator if stages else None
    guessed = because is not None and because.guess
    sent_there = because is not None and (because.exchange, because.at) in places
    astray = cause.at == "request.url" and bool(stages) and of_cause in causal_chain(handshake, stages[:1])
    follows = _is_symptom(finding) or (after > of_cause and (guessed or sent_there or astray))
    if finding.fixed_by or not follows:
        return finding
    milder = "warning" if finding.severity == "error" else finding.severity
    return finding.model_copy(update={"consequence_of": cause.rule, "severity": milder})
