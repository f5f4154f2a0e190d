"""How far the handshake got, and the one cause of its stop. Weighs findings; makes none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oauthtap import rules
from oauthtap.findings import RANK, Finding
from oauthtap.handshake import Handshake
from oauthtap.stages import (
    STAGES,
    AuthorizationResponse,
    Challenge,
    Document,
    Mcp,
    McpStream,
    SessionEnd,
    Stage,
    StepUp,
    TokenRejected,
    TokenRequest,
)
from oauthtap.standstill import Standstill, standstill

WALK: tuple[str, ...] = tuple(kind.slug for kind in STAGES)
"""Stage ids in the order of a healthy handshake."""

BESIDE = {
    "cors-preflight",
    "jwks-fetch",
    "client-metadata-fetch",
    "token-maintenance",
    "mcp-session-end",
    "other",
}
"""Stages beside the walk: where a handshake never stops."""


@dataclass(frozen=True)
class Verdict:
    reached: str
    connected: bool
    cause: Finding | None
    findings: tuple[Finding, ...]
    complete: bool = False
    """Not connected, and not meant to be: it came to its goal, and nothing there stops a client."""
    standstill: Standstill | None = None
    """Where it stopped, when nothing says why."""


def judge(handshake: Handshake, found: Sequence[Finding], goal: str | None = None, since: int = 0) -> Verdict:
    """Weigh all findings of a handshake against how far it got.

    `goal`: the stage at which a walk of our own was meant to end; None when it was meant to connect.
    `since`: the exchange with which the newest attempt begins, when there was one before with other fixes.
    """
    connected = is_connected(handshake, since)
    stopped = () if connected else stops(handshake, since)
    arrived = bool(stopped and goal and _came_to(goal, stopped[0]))
    if connected:
        cured = _away(found, since)
        found = [finding if finding.rule in cured else _tolerated(finding) for finding in found]
    elif arrived:  # nothing is left to explain, but for what a client refuses at the goal itself
        found = [f if f.exchange == stopped[0].exchange.id else _tolerated(f) for f in found]
    weighed = [finding for finding in found if finding.severity == "error"] if arrived else found
    cause = None if connected else _newest_cause(handshake, stopped, weighed, since)
    if cause:
        found = [_consequence(finding, cause, handshake) for finding in found]
    complete = arrived and cause is None
    unexplained = None if complete else _unexplained(stopped, cause)
    return Verdict(reached(handshake), connected, cause, tuple(found), complete, unexplained)


def _came_to(goal: str, stop: Stage) -> bool:
    """That stage, or one behind it, was answered well."""
    answered = stop.found if isinstance(stop, Document) else stop.ok
    return answered and WALK.index(stop.slug) >= WALK.index(goal)


def _unexplained(stopped: tuple[Stage, ...], cause: Finding | None) -> Standstill | None:
    if not stopped or (cause is not None and not _is_symptom(cause)):
        return None
    furthest = stopped[-1]
    return standstill(furthest.slug, furthest.exchange.id)


def _away(found: Sequence[Finding], since: int) -> set[str]:
    """The rules whose findings only fixes took away: there before, or in the server's own words, and not met since."""
    met = {finding.rule for finding in found if not finding.cured_by and (finding.exchange or since) >= since}
    before = {finding.rule for finding in found if finding.exchange is not None and finding.exchange < since}
    return ({finding.rule for finding in found if finding.cured_by} | before) - met


def _newest_cause(
    handshake: Handshake, stopped: tuple[Stage, ...], found: Sequence[Finding], since: int
) -> Finding | None:
    """The cause of the newest attempt. What a fix took away is no cause.

    Where the fixes changed nothing, it may lie in an attempt before: clients keep what they were told.
    """
    met = [finding for finding in found if not finding.cured_by]
    newer = [finding for finding in met if (finding.exchange or since) >= since]
    exchanges = (stages[0].exchange for stages in handshake.exchanges())
    untouched = bool(since) and not any(one.patched_by for one in exchanges if one.id >= since)
    return _cause(handshake, stopped, newer) or (_cause(handshake, stopped, met) if untouched else None)


def is_connected(handshake: Handshake, since: int = 0) -> bool:
    """The newest MCP request that counts (from exchange `since` on) was answered, with a token where one was asked
    for.
    """
    state = False
    refused: set[str | None] = set()
    for stage in handshake.all(Mcp):
        under_way = stage.exchange.response is None and stage.exchange.error is None
        if stage.exchange.actor != "client" or isinstance(stage, McpStream | SessionEnd) or under_way:
            continue
        if stage.exchange.id < since:
            continue
        if isinstance(stage, Challenge):  # one more client that comes without a token undoes no sign-in
            state = state and handshake.authorized is not None
        elif isinstance(stage, TokenRejected | StepUp):
            state = False
            refused |= {stage.bearer} if isinstance(stage, TokenRejected) else set()
        elif not isinstance(handshake.of(stage.exchange.id)[0], Challenge | TokenRejected | StepUp):
            state = _answers(stage) and (stage.bearer is None or stage.bearer not in refused)
    return state


def _answers(stage: Mcp) -> bool:
    """A success in a form that MCP knows: JSON, a stream, a 202, or nothing but a status."""
    if not stage.ok or stage.exchange.error:
        return False
    if stage.status == 202 and stage.response.media_type != "text/html":
        return True  # taken; legacy servers say "Accepted", and answer on the stream
    known = stage.response.media_type in ("application/json", "text/event-stream")
    return known or not stage.response.body or "jsonrpc" in stage.response.json_object


def stops(handshake: Handshake, since: int = 0) -> tuple[Stage, ...]:
    """Where the handshake stopped (from exchange `since` on), the last exchange first.

    A client that has failed often begins once more, if only to show its state: it asks
    the MCP server without a token and reads the metadata again. So the furthest exchange
    of the attempts before counts as well, when the last attempt did not come as far.
    """
    own = [
        stages[0]
        for stages in handshake.exchanges()
        if stages[0].exchange.actor in ("client", "browser") and stages[0].slug not in BESIDE
        if stages[0].exchange.id >= since
    ]
    if not own:
        return ()
    begun = max((n for n, stage in enumerate(own) if isinstance(stage, Challenge)), default=0)
    before, last = own[:begun], own[-1]
    furthest = max(before, key=_place, default=last)
    return (last, furthest) if before and _place(furthest)[0] > max(map(_place, own[begun:]))[0] else (last,)


def _place(stage: Stage) -> tuple[int, int]:
    """How far along the walk an exchange is, the later one of two at the same place."""
    return WALK.index(stage.slug), stage.exchange.id


def reached(handshake: Handshake, since: int = 0) -> str:
    """The furthest stage that was come to (from exchange `since` on) by more than an unanswered guess."""
    slugs = [
        stages[0].slug
        for stages in handshake.exchanges()
        if (stage := stages[0]).exchange.actor in ("client", "browser")
        and (stage.ok or stage.because is None or not stage.because.guess)
        and stage.slug not in BESIDE
        and stage.exchange.id >= since
    ]
    walked = [slug for slug in slugs if slug != McpStream.slug] or slugs
    return max(walked, key=WALK.index, default="other")


def _tolerated(finding: Finding) -> Finding:
    """This client evidently put up with it; others may not."""
    return finding.model_copy(update={"severity": "warning"}) if finding.severity == "error" else finding


def _cause(handshake: Handshake, stopped: tuple[Stage, ...], found: Sequence[Finding]) -> Finding | None:
    """The finding that explains the stop: a defect before a symptom, a certain one before a likely one.

    Among errors the earliest link that broke; among warnings, which break a chain only
    sometimes, the one nearest to the stop.
    """
    chain = chain_to(handshake, stopped)

    def place(finding: Finding) -> tuple[int, bool, int]:
        number = finding.exchange or 0
        return RANK[finding.severity], number not in chain, number if finding.severity == "error" else -number

    weighty = [finding for finding in found if finding.severity != "note"]
    able = [finding for finding in weighty if _explains(finding, stopped, handshake)]
    defects = [finding for finding in able if not _is_symptom(finding)]
    broken = [finding for finding in weighty if finding.severity == "error" and not _is_symptom(finding)]
    return min(defects or able or broken, key=place, default=None)


def _is_symptom(finding: Finding) -> bool:
    known = rules.RULES.get(finding.rule)
    return known is None or known.symptom


def _explains(finding: Finding, stopped: tuple[Stage, ...], handshake: Handshake) -> bool:
    """The handshake stopped at the finding's stage, at the next one, or where its rule says it shows.

    An exchange may have two stages: an authorization request that is redirected at once
    is the authorization response as well, and the stop is at both.
    """
    if not stopped:
        return True
    known = rules.RULES.get(finding.rule)
    slugs = {stage.slug for stop in stopped for stage in (stop, *handshake.of(stop.exchange.id))}
    if finding.stage in (*slugs, "any") or (known and slugs & set(known.stops_at)):
        return True
    return finding.stage in WALK and WALK.index(finding.stage) + 1 in {WALK.index(s) for s in slugs if s in WALK}


def chain_to(handshake: Handshake, stopped: tuple[Stage, ...]) -> set[int]:
    """The exchanges that led to these, each by the member or the failure that made the next."""
    chain: set[int] = set()
    places = [stop.exchange.id for stop in stopped]
    while places:
        place = places.pop()
        if place not in chain:
            chain.add(place)
            places += _led_to(handshake, place)
    return chain


def _led_to(handshake: Handshake, place: int) -> Iterator[int]:
    """What the exchange follows from: its because, and the leg through the browser behind its code."""
    for stage in handshake.of(place):
        if stage.because is not None and stage.because.exchange is not None:
            yield stage.because.exchange
        if isinstance(stage, AuthorizationResponse) and stage.asked is not None:
            yield stage.asked.exchange.id
        if isinstance(stage, TokenRequest) and stage.request.body is not None:
            issued = handshake.issued.get(stage.get("code") or "")
            yield from () if issued is None else (issued,)


def _consequence(finding: Finding, cause: Finding, handshake: Handshake) -> Finding:
    """What comes after the cause follows from it when it only says that a step failed, was found at a
    guess, or where the very member at fault sent the client.
    """
    stages = handshake.of(finding.exchange or 0)
    because = stages[0].because if stages else None
    guessed = because is not None and because.guess
    sent_there = because is not None and (because.exchange, because.at) == (cause.exchange, cause.at)
    later = (finding.exchange or 0) > (cause.exchange or 0) and finding.severity != "note"
    if finding.cured_by or not later or not (guessed or sent_there or _is_symptom(finding)):
        return finding
    return finding.model_copy(update={"consequence_of": cause.rule})
