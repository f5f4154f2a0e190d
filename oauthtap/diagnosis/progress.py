"""How far a handshake got: connected, stopped where, come to which stage."""

from __future__ import annotations

from oauthtap.handshake.stages import (
    STAGES,
    Challenge,
    Document,
    Initialize,
    LegacySse,
    Mcp,
    McpStream,
    Registration,
    SessionEnd,
    Stage,
    StepUp,
    TokenEndpoint,
    TokenRefresh,
    TokenRejected,
)
from oauthtap.handshake.state import Handshake

STAGE_ORDER: tuple[str, ...] = tuple(kind.slug for kind in STAGES)
"""Stage ids in the order of a healthy handshake."""

SIDE_STAGES = {
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
    for later in STAGE_ORDER[STAGE_ORDER.index(slug) + 1 :]:
        following |= {later} - SIDE_STAGES
        if later not in _SKIPPED | SIDE_STAGES:
            break
    return frozenset(following)


NEXT_STAGES = {slug: _may_follow(slug) for slug in STAGE_ORDER}
"""What may come next on the walk, by stage."""

_FOR_GOOD = (400, 401, 403)
"""Statuses of a refused refresh after which only a new sign-in helps."""


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
        if stage.exchange.injected_fault and not (isinstance(stage, TokenRefresh) and stage.ok):
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


def _only_probes(stage: Stage) -> bool:
    """It asks whether the endpoint is there (HEAD), and is no step of MCP."""
    return isinstance(stage, Mcp) and stage.request.method == "HEAD"


def _answers(stage: Mcp) -> bool:
    """A success in a form that MCP knows: JSON, a stream, a 202, or nothing but a status."""
    if not stage.ok or stage.exchange.error:
        return False
    if stage.status == 202 and stage.response.media_type != "text/html":
        return True  # taken; legacy servers say "Accepted", and answer on the stream
    known = stage.response.media_type in ("application/json", "text/event-stream")
    if isinstance(stage, Initialize) and not known and not stage.response.partial and stage.response.body is not None:
        return False  # the SDKs take no result in another media type, and nothing is no result
    return known or not stage.response.body or "jsonrpc" in stage.response.json_object


def stop_points(handshake: Handshake, since: int = 0) -> tuple[Stage, ...]:
    """Where the handshake stopped (from exchange `since` on), the last exchange first.

    A client that has failed often begins once more, if only to show its state: it asks
    the MCP server without a token and reads the metadata again. So the furthest exchange
    of the attempts before counts as well, when the last attempt did not come as far. So
    does a refused token after which it did no more than read metadata and refresh it.
    """
    own = [
        stages[0]
        for stages in handshake.exchanges()
        if stages[0].exchange.actor in ("client", "browser") and stages[0].slug not in SIDE_STAGES
        if stages[0].exchange.id >= since
    ]
    own = [stage for stage in own if not _only_probes(stage)] or own
    if not own:
        return ()
    acted = [one for one in own if not isinstance(one, Document) and not (isinstance(one, TokenRefresh) and one.ok)]
    if acted and isinstance(acted[-1], TokenRejected | StepUp) and acted[-1] is not own[-1]:
        return (own[-1], acted[-1])
    begun = max((n for n, stage in enumerate(own) if isinstance(stage, Challenge)), default=0)
    before, last = own[:begun], own[-1]
    furthest = max(before, key=_place, default=last)
    return (last, furthest) if before and _place(furthest)[0] > max(map(_place, own[begun:]))[0] else (last,)


def _place(stage: Stage) -> tuple[int, int]:
    """How far along the walk an exchange is, the later one of two at the same place."""
    return STAGE_ORDER.index(stage.slug), stage.exchange.id


def _without_beginning(own: list[Stage]) -> list[Stage]:
    """The walk without a refused MCP request that a sign-in followed: there that began, whatever its status was."""
    signed_in = next((n for n, stage in enumerate(own) if isinstance(stage, TokenEndpoint) and stage.ok), len(own))
    last = max((n for n, stage in enumerate(own) if not isinstance(stage, Mcp)), default=-1)
    return [
        stage
        for n, stage in enumerate(own)
        if not (isinstance(stage, Mcp) and n < min(signed_in, last) and not stage.ok and stage.bearer is None)
    ]


def furthest_stage(handshake: Handshake, since: int = 0) -> str:
    """The furthest stage that was come to (from exchange `since` on) by more than an unanswered guess.

    In an excerpt nothing is known to be a guess: what named the place may be in the part that is not shown. Where it
    shows no request of a client, those that somebody sent by hand count.
    """
    walk = [stage for stage, *_ in handshake.exchanges() if stage.slug not in SIDE_STAGES]
    own = [
        stage
        for stage in walk
        if stage.exchange.actor in ("client", "browser")
        and (stage.ok or stage.exchange.excerpt or stage.initiator is None or not stage.initiator.guess)
        and stage.exchange.id >= since
    ]
    by_hand = [stage for stage in walk if stage.exchange.excerpt and stage.exchange.actor == "reporter"]
    slugs = [stage.slug for stage in _without_beginning(own) or by_hand]
    walked = [slug for slug in slugs if slug != McpStream.slug] or slugs
    return max(walked, key=STAGE_ORDER.index, default="other")
