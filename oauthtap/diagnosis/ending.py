"""How an attempt ended, before anybody is blamed.

`connected`: an MCP request was answered as JSON-RPC. `signed-in`: a token was issued and no MCP request followed; what
`claude mcp login` does. `refused`: somebody answered no. `repeating`: the same no, over and over. `lost-later`: it had
worked, then a token or its refresh was refused. `unreachable`: no answer came. `waiting`: the browser or a person is
next. `abandoned`: every answer was fine and the client went no further. `nothing-arrived`: no request of a client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from oauthtap.diagnosis.causality import broke_down, same_request
from oauthtap.diagnosis.progress import SIDE_STAGES, STAGE_ORDER, is_connected
from oauthtap.diagnosis.refusal import Refusal, is_absent_guess
from oauthtap.diagnosis.refusal_reader import read_challenge, read_refusal, refusals
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Challenge,
    DeviceAuthorization,
    Discover,
    Document,
    Initialize,
    Interaction,
    Mcp,
    Registration,
    Stage,
    TokenEndpoint,
    TokenMaintenance,
    TokenRefresh,
    TokenRejected,
    TokenRequest,
    Unseen,
)
from oauthtap.handshake.state import Handshake

EndingId = Literal[
    "connected",
    "signed-in",
    "refused",
    "abandoned",
    "unreachable",
    "waiting",
    "repeating",
    "lost-later",
    "nothing-arrived",
]
ENDINGS: tuple[str, ...] = get_args(EndingId)

GOOD: frozenset[str] = frozenset({"connected", "signed-in"})
"""Endings after which nothing is to be repaired."""

_BESIDE = frozenset({"mcp-session-end", "mcp-stream"})
"""Requests whose success makes no refused MCP request good: a session can be ended that answers nothing else."""

_OFTEN = 3
"""How many times the same refusal makes a repetition."""


@dataclass(frozen=True)
class Ending:
    id: EndingId
    refusal: Refusal | None = None
    """The refusal that ended it; None where nobody refused."""
    last: Stage | None = None
    """The last thing that client or browser did."""
    same: frozenset[int] = frozenset()
    """The exchanges in which the same was refused with the same words."""
    worked: bool = False
    """An MCP request was answered before it ended."""


def find_ending(handshake: Handshake, since: int = 0) -> Ending:
    """How the attempt that begins with exchange `since` ended, as far as requests and answers tell."""
    own = [
        stages[0]
        for stages in handshake.exchanges()
        if stages[0].exchange.actor in ("client", "browser") and stages[0].exchange.id >= since
    ]
    if not own:
        return Ending("nothing-arrived")
    walk = [stage for stage in own if stage.slug not in SIDE_STAGES] or own
    last = walk[-1]
    worked = any(_worked(stage) for stage in own)
    met = list(refusals(handshake, since))
    open_ = _standing(met, own)
    if _is_unreachable(last) and not _is_guess(last):  # a document named it; a guess that was refused ended nothing
        open_ = [(stage, refusal) for stage, refusal in open_ if not _is_guess(stage)]
    if is_connected(handshake, since):
        told = next((r for stage, r in reversed(open_) if isinstance(stage, Mcp) and stage.ok), None)
        lost = told is not None and told.subject != "scope"  # one tool wants more; the others go on
        return Ending("lost-later" if lost else "connected", told, last, worked=True)
    decisive = _decisive(open_, handshake)
    if decisive is not None:
        stage, refusal = decisive
        same = frozenset(other.exchange for _, other in met if _alike(other, refusal))
        if worked and isinstance(stage, TokenRefresh | Mcp):
            return Ending("lost-later", refusal, last, same, worked)
        return Ending("repeating" if len(same) >= _OFTEN else "refused", refusal, last, same, worked)
    if _signed_in(walk):
        return Ending("signed-in", None, last, worked=worked)
    if _is_unreachable(last):
        return Ending("unreachable", None, last, worked=worked)
    waits = (_waits(last) or _is_browser_away(walk)) and not _is_back(walk, handshake)
    return Ending("waiting" if waits else "abandoned", None, last, worked=worked)


def heard(ending: Ending, handshake: Handshake, since: int = 0, cause: int | None = None) -> Refusal | None:
    """What was said, for people: not that nothing is at a guessed address, but what had made the client guess;
    but where the guess is the cause, what was said to it.

    `cause`: the exchange of the cause. Where nobody refused and it is the 401 that starts a sign-in, what that said;
    so too where the client only stopped, which no other words explain.
    """
    refusal = ending.refusal
    if refusal is None and cause is not None and (stages := handshake.of(cause)) and isinstance(stages[0], Challenge):
        return read_challenge(stages[0], handshake)
    if refusal is None and ending.id == "abandoned":
        return _said_at_start(handshake, since)
    if refusal is None or refusal.exchange == cause or not is_absent_guess(refusal, handshake):
        return refusal
    for stages in reversed([s for s in handshake.exchanges() if since <= s[0].exchange.id < refusal.exchange]):
        stage = stages[0]
        if stage.exchange.actor not in ("client", "browser"):
            continue
        said = read_challenge(stage, handshake) if isinstance(stage, Challenge) else read_refusal(stage, handshake)
        if said is not None and (said.words or said.code) and not is_absent_guess(said, handshake):
            return said
    return refusal


def _said_at_start(handshake: Handshake, since: int) -> Refusal | None:
    """What the newest 401 that starts a sign-in says, where no login followed."""
    if any(stage.exchange.id >= since for stage in handshake.all(AuthorizationRequest)):
        return None
    for stage in reversed(handshake.all(Challenge)):
        if stage.exchange.actor == "client" and stage.exchange.id >= since:
            return read_challenge(stage, handshake)
    return None


def _worked(stage: Stage) -> bool:
    return isinstance(stage, Mcp) and stage.ok and stage.exchange.actor == "client" and not isinstance(stage, Challenge)


def _standing(met: Sequence[tuple[Stage, Refusal]], own: Sequence[Stage]) -> list[tuple[Stage, Refusal]]:
    """The refusals that nothing overcame: no later request of the same step, or of one that needs it, succeeded."""
    return [(stage, refusal) for stage, refusal in met if not any(_overcomes(later, stage) for later in own)]


def _overcomes(later: Stage, stage: Stage) -> bool:
    if later.exchange.id <= stage.exchange.id:
        return False
    if broke_down(stage) and not broke_down(later) and same_request(later) == same_request(stage):
        return True  # the server was busy, and answered when it was asked again
    if _is_fallback(stage, later) or (isinstance(stage, Discover) and isinstance(later, Initialize)):
        return True
    if not went_well(later):
        return False
    if isinstance(stage, Challenge):
        return isinstance(later, Mcp) or (
            later.slug not in SIDE_STAGES and STAGE_ORDER.index(later.slug) > STAGE_ORDER.index(Registration.slug)
        )
    if isinstance(stage, Mcp):
        return isinstance(later, Mcp) and later.slug not in _BESIDE
    if isinstance(stage, TokenRefresh):
        return isinstance(later, TokenEndpoint) or (isinstance(later, Mcp) and later.bearer is not None)
    if isinstance(stage, Document):
        # Another place had it, or the client went on without it.
        return not isinstance(later, Document) or type(later) is type(stage)
    if stage.slug in SIDE_STAGES or isinstance(stage, TokenMaintenance):
        return True
    if isinstance(later, Mcp):
        return isinstance(stage, TokenEndpoint) and later.bearer is not None
    return later.slug == stage.slug or (
        STAGE_ORDER.index(later.slug) > STAGE_ORDER.index(stage.slug) and later.slug not in SIDE_STAGES
    )


def _is_fallback(stage: Stage, later: Stage) -> bool:
    """The client took the refused POST for a server of the transport of 2024-11-05, and was answered there.

    MCP 2025-06-18 Transports, 'Backwards Compatibility': after 400, 404 or 405 a client sends a GET to the same URL.
    """
    posted = isinstance(stage, Mcp) and stage.bearer is None and stage.request.method == "POST"
    fell_back = isinstance(later, Mcp) and later.request.method == "GET" and later.url == stage.url
    return posted and stage.status in (400, 404, 405) and fell_back and (later.ok or later.status == 401)


def went_well(stage: Stage) -> bool:
    """Answered as the step needs it."""
    exchange = stage.exchange.patched
    if exchange.response is None or exchange.injected_fault:
        return False
    try:
        if isinstance(stage, Document):
            return stage.as_delivered.found
        if isinstance(stage, AuthorizationResponse):
            return stage.code is not None
        if isinstance(stage, TokenEndpoint):
            return exchange.ok and not exchange.response.json_object.get("error")
        if isinstance(stage, Challenge):
            return False
        if isinstance(stage, Mcp):
            return exchange.ok and "error" not in stage.as_delivered.reply
        if isinstance(stage, AuthorizationRequest | Interaction):
            return False  # a page or a redirect decides nothing yet
    except Unseen:
        return exchange.ok
    return exchange.ok


def _decisive(met: Sequence[tuple[Stage, Refusal]], handshake: Handshake) -> tuple[Stage, Refusal] | None:
    """The refusal that ended the attempt: the one furthest along the walk, the last of these.

    A client that was refused begins anew, and meets other refusals on its way round. A token that has expired, or is
    from before the recording, is expected to be refused: then the refresh that was refused ended it, and where a new
    sign-in after both was refused, that did.
    """

    def place(one: tuple[Stage, Refusal]) -> tuple[float, int]:
        stage, refusal = one
        slug = AuthorizationRequest.slug if stage.slug == "other" else stage.slug
        due = refusal.subject == "token-expired" and not fresh
        if isinstance(stage, TokenRejected) and is_followed(stage) and (due or _is_from_before(stage, handshake)):
            return STAGE_ORDER.index(Challenge.slug), stage.exchange.id
        if isinstance(stage, TokenRefresh) and not fresh:
            return (STAGE_ORDER.index(Challenge.slug) if is_followed(stage) else len(STAGE_ORDER)), stage.exchange.id
        return STAGE_ORDER.index(slug), stage.exchange.id

    def is_followed(stage: Stage) -> bool:
        later = (one for one, _ in met if one.exchange.id > stage.exchange.id and isinstance(one, _SIGN_IN))
        return any(not _is_guess(one) for one in later)

    fresh = any(isinstance(stage, TokenRejected) and _never_worked(stage, handshake) for stage, _ in met)
    counted = [(stage, refusal) for stage, refusal in met if stage.slug not in SIDE_STAGES - {"other"}]
    return max(counted, key=place, default=None)


_SIGN_IN = (Registration, AuthorizationRequest, AuthorizationResponse, TokenRequest)


def _is_from_before(stage: TokenRejected, handshake: Handshake) -> bool:
    """Nothing in the recording gave the token, and nothing before took it."""
    known = stage.bearer is None or stage.bearer in handshake.issued
    return not known and not any(one.bearer == stage.bearer and one.ok for one in handshake.all(Mcp))


def _never_worked(stage: TokenRejected, handshake: Handshake) -> bool:
    """The token was issued in this recording, and no MCP request with it was answered."""
    if stage.bearer is None or stage.bearer not in handshake.issued:
        return False
    return not any(one.bearer == stage.bearer and one.ok for one in handshake.all(Mcp))


def _alike(one: Refusal, other: Refusal) -> bool:
    return (one.stage, one.status, one.code, one.words) == (other.stage, other.status, other.code, other.words)


def _signed_in(walk: Sequence[Stage]) -> bool:
    """The last step of the sign-in gave a token, and no MCP request followed."""
    for stage in reversed(walk):
        if isinstance(stage, TokenEndpoint):
            try:
                return stage.ok and bool(stage.access_token)
            except Unseen:
                return stage.ok
        if isinstance(stage, Mcp) or stage.slug not in SIDE_STAGES | {AuthorizationResponse.slug}:
            return False
    return False


def _is_unreachable(stage: Stage) -> bool:
    return stage.exchange.response is None and stage.exchange.error is not None and not _is_out_of_sight(stage)


def _is_guess(stage: Stage) -> bool:
    return stage.initiator is not None and stage.initiator.guess


def _is_out_of_sight(stage: Stage) -> bool:
    """Nobody says that it got no answer: the browser was sent there, and does not use the proxy (`oauthtap run`)."""
    return stage.exchange.actor == "browser" and (stage.exchange.error or "").startswith("out of sight")


def _is_browser_away(walk: Sequence[Stage]) -> bool:
    """The browser is at the authorization server, and the client only looked around since (`claude mcp list`)."""
    steps = [stage for stage in walk if not isinstance(stage, Challenge | Document)]
    return bool(steps) and isinstance(steps[-1], AuthorizationRequest | Interaction)


def _is_back(walk: Sequence[Stage], handshake: Handshake) -> bool:
    """The person is done: the authorization endpoint sent the browser back with a code at once."""
    steps = [stage for stage in walk if not isinstance(stage, Challenge | Document)]
    return bool(steps) and any(
        isinstance(one, AuthorizationResponse) and one.code for one in handshake.of(steps[-1].exchange.id)
    )


def _waits(last: Stage) -> bool:
    """What comes next is for a person at a browser, or the answer is still under way."""
    if last.exchange.response is None and last.exchange.error is None:
        return True
    if isinstance(last, Challenge):
        return last.status == 401
    return isinstance(last, AuthorizationRequest | Interaction | DeviceAuthorization)
