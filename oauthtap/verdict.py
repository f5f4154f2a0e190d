"""How far the handshake got, and the one cause of its stop. Weighs findings; makes none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from oauthtap import faulted, rules
from oauthtap.findings import RANK, Finding
from oauthtap.handshake import Handshake
from oauthtap.stages import (
    STAGES,
    AuthorizationResponse,
    Challenge,
    Document,
    LegacySse,
    Mcp,
    McpStream,
    Registration,
    SessionEnd,
    Stage,
    StepUp,
    TokenRefresh,
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

_SKIPPED = {
    "client-registration",
    "pushed-authorization",
    "authorization-interaction",
    "token-refresh",
    "token-other-grant",
    "device-authorization",
}
"""Stages of the walk that many handshakes have not, or have out of sight."""


def _may_follow(slug: str) -> frozenset[str]:
    """What may come next on the walk: the next stage, and what follows where that one is skipped."""
    following: set[str] = set()
    for later in WALK[WALK.index(slug) + 1 :]:
        following |= {later} - BESIDE
        if later not in _SKIPPED | BESIDE:
            break
    return frozenset(following)


_NEXT = {slug: _may_follow(slug) for slug in WALK}

_FOR_GOOD = (400, 401, 403)
"""Statuses of a refused refresh after which only a new sign-in helps."""


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
    else:
        found = [_overcome(finding, handshake) for finding in found]
    if arrived:  # nothing is left to explain, but for what a client refuses at the goal itself
        found = [f if f.exchange == stopped[0].exchange.id else _tolerated(f) for f in found]
    if faults := faulted.injected(handshake):
        found = faulted.laid_on_nobody(found, faults, handshake)
    weighed = [finding for finding in found if finding.severity == "error"] if arrived else found
    weighed = faulted.may_be_cause(weighed, faults) if faults else weighed
    cause = None if connected else _newest_cause(handshake, stopped, weighed, since)
    if cause:
        twins = set(_twins(cause, handshake))
        found = [_consequence(finding, cause, twins, handshake) for finding in found]
    complete = arrived and cause is None
    unexplained = None if complete or (faults and cause is None) else _unexplained(stopped, cause)
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

    And the client has not lost its grant since: a refresh that is refused ends the session
    as surely as a 401, even where nothing else was sent after it.
    """
    state = False
    refused: set[str | None] = set()
    kinds = (Mcp, Registration, TokenRefresh)
    for stage in sorted((one for kind in kinds for one in handshake.all(kind)), key=lambda stage: stage.exchange.id):
        if stage.exchange.injected and not (isinstance(stage, TokenRefresh) and stage.ok):
            state = False  # the client did not get what the server said
            continue
        under_way = stage.exchange.response is None and stage.exchange.error is None
        if stage.exchange.actor != "client" or under_way or _only_listens(stage) or stage.exchange.id < since:
            continue
        if isinstance(stage, TokenRefresh):
            state = state and stage.status not in _FOR_GOOD
        elif isinstance(stage, Registration | Challenge):
            # Who registers takes the open server for one to sign in to; one more client without a token undoes nothing.
            state = state and handshake.authorized is not None
        elif isinstance(stage, TokenRejected | StepUp):
            state = False
            refused |= {stage.bearer} if isinstance(stage, TokenRejected) else set()
        elif isinstance(stage, Mcp) and not isinstance(
            handshake.of(stage.exchange.id)[0], Challenge | TokenRejected | StepUp
        ):
            state = _answers(stage) and (stage.bearer is None or stage.bearer not in refused)
    return state


def _only_listens(stage: Stage) -> bool:
    """A stream is opened, or the session ends: no message went through."""
    return isinstance(stage, McpStream | SessionEnd) or (isinstance(stage, LegacySse) and stage.request.method == "GET")


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
    of the attempts before counts as well, when the last attempt did not come as far. So
    does a refused token after which it did no more than read metadata.
    """
    own = [
        stages[0]
        for stages in handshake.exchanges()
        if stages[0].exchange.actor in ("client", "browser") and stages[0].slug not in BESIDE
        if stages[0].exchange.id >= since
    ]
    if not own:
        return ()
    acted = [stage for stage in own if not isinstance(stage, Document)]
    if acted and isinstance(acted[-1], TokenRejected | StepUp) and acted[-1] is not own[-1]:
        return (own[-1], acted[-1])
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


def _overcome(finding: Finding, handshake: Handshake) -> Finding:
    """A breakdown that the same request survived when it was sent again is no news any more."""
    failed = next(iter(handshake.of(finding.exchange or 0)), None)
    if failed is None or finding.severity == "note" or not finding.at.startswith("response"):
        return finding
    status = failed.status
    passing = status is None or status == 429 or status >= 500
    if not passing or not any(_repeats(later, failed) and _answered(later) for later in handshake.stages):
        return finding
    return finding.model_copy(update={"severity": "note"})


def _answered(later: Stage) -> bool:
    return later.status is not None and later.status < 500 and later.status != 429


def _repeats(later: Stage, failed: Stage) -> bool:
    one, other = later.exchange, failed.exchange
    same = one.request.method == other.request.method and one.request.url == other.request.url
    asked = one.request.json_object.get("method") == other.request.json_object.get("method")
    return same and asked and one.id > other.id and one.actor == other.actor


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
    slugs |= {stage.slug for stop in stopped for stage in _guessed_from(stop, handshake)}
    if finding.stage in (*slugs, "any") or (known and slugs & set(known.stops_at)):
        return True
    return bool(slugs & _NEXT.get(finding.stage, frozenset()))


def _guessed_from(stop: Stage, handshake: Handshake) -> Iterator[Stage]:
    """The guesses that led to this one, and the exchange that left the client without anything better."""
    seen: set[int] = set()
    while stop.because is not None and stop.because.guess and stop.because.exchange not in (None, *seen):
        seen.add(stop.because.exchange or 0)
        before = handshake.of(stop.because.exchange or 0)
        yield from before
        if not before:
            return
        stop = before[0]


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


def _twins(cause: Finding, handshake: Handshake) -> Iterator[tuple[int | None, str]]:
    """Where the cause stands: in its exchange, and in others that brought the same document."""
    own = handshake.of(cause.exchange or 0)
    for stages in handshake.exchanges():
        if stages[0].exchange.id == cause.exchange or (own and stages[0].url == own[0].url):
            yield stages[0].exchange.id, cause.at


def _consequence(finding: Finding, cause: Finding, twins: set[tuple[int | None, str]], handshake: Handshake) -> Finding:
    """What comes after the cause follows from it when it only says that a step failed, was found at a
    guess, where the very member at fault sent the client, or behind a place the client should not have
    gone to. It is nothing of its own to repair, so it is no error. `twins`: where else the cause stands.
    """
    after, of_cause = finding.exchange or 0, cause.exchange or 0
    if finding == cause or finding.severity == "note" or after < of_cause:
        return finding
    stages = handshake.of(after)
    because = stages[0].because if stages else None
    guessed = because is not None and because.guess
    sent_there = because is not None and (because.exchange, because.at) in twins
    astray = cause.at == "request.url" and bool(stages) and of_cause in chain_to(handshake, stages[:1])
    follows = _is_symptom(finding) or (after > of_cause and (guessed or sent_there or astray))
    if finding.cured_by or not follows:
        return finding
    milder = "warning" if finding.severity == "error" else finding.severity
    return finding.model_copy(update={"consequence_of": cause.rule, "severity": milder})
