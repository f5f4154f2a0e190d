"""What led to what in a handshake: by documents, by guesses, by the leg through the browser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oauthtap.diagnosis.findings import Finding
from oauthtap.handshake.stages import AuthorizationResponse, Stage, TokenRequest
from oauthtap.handshake.state import Handshake

Place = tuple[int | None, str]
"""An exchange and a member in it."""


def causal_chain(handshake: Handshake, stopped: tuple[Stage, ...]) -> set[int]:
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
        if stage.initiator is not None and stage.initiator.exchange is not None:
            yield stage.initiator.exchange
        if isinstance(stage, AuthorizationResponse) and stage.requested is not None:
            yield stage.requested.exchange.id
        if isinstance(stage, TokenRequest) and stage.request.body is not None:
            issued = handshake.issued.get(stage.get("code") or "")
            yield from () if issued is None else (issued,)


def guess_ancestors(stop: Stage, handshake: Handshake) -> Iterator[Stage]:
    """The guesses that led to this one, and the exchange that left the client without anything better."""
    seen: set[int] = set()
    while stop.initiator is not None and stop.initiator.guess and stop.initiator.exchange not in (None, *seen):
        seen.add(stop.initiator.exchange or 0)
        before = handshake.of(stop.initiator.exchange or 0)
        yield from before
        if not before:
            return
        stop = before[0]


def same_document_places(cause: Finding, handshake: Handshake) -> Iterator[Place]:
    """Where the cause stands: in its exchange, and in others that brought the same document."""
    own = handshake.of(cause.exchange or 0)
    for stages in handshake.exchanges():
        if stages[0].exchange.id == cause.exchange or (own and stages[0].url == own[0].url):
            yield stages[0].exchange.id, cause.at


def downgrade_retried(found: Sequence[Finding], handshake: Handshake) -> list[Finding]:
    """The findings; a breakdown that the same request survived when it was sent again is no news any more."""
    answered: dict[tuple[object, ...], int] = {}
    for stages in handshake.exchanges():
        if not broke_down(stages[0]):
            answered[same_request(stages[0])] = stages[0].exchange.id

    def mended(finding: Finding) -> bool:
        stages = handshake.of(finding.exchange or 0)
        own = bool(stages) and finding.at.startswith("response") and broke_down(stages[0])
        return own and answered.get(same_request(stages[0]), 0) > stages[0].exchange.id

    return [finding.model_copy(update={"severity": "note"}) if mended(finding) else finding for finding in found]


def broke_down(stage: Stage) -> bool:
    """No answer, or one that says: not now."""
    return stage.status is None or stage.status == 429 or stage.status >= 500


def same_request(stage: Stage) -> tuple[object, ...]:
    """What makes two requests the same one, sent again."""
    request = stage.request
    return stage.exchange.actor, request.method, request.url, request.json_object.get("method")
