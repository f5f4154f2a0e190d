"""How a finding and a refusal hang together: by document, request, guess, words and values."""

from __future__ import annotations

import re

from oauthtap import rules
from oauthtap.diagnosis.causality import causal_chain, guess_ancestors, same_document_places
from oauthtap.diagnosis.ending import Ending
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.refusal import Refusal
from oauthtap.diagnosis.refusal_reader import is_changed_callback
from oauthtap.diagnosis.soft_error import led_from
from oauthtap.diagnosis.subjects import agreement, subjects_of
from oauthtap.handshake.stages import AuthorizationResponse, Document, Mcp, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls

_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")
"""The name of a parameter or a code, as `client_id`: it stands in many findings, and is no value."""
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/._~%@+-]{2,}[A-Za-z0-9/]")
_NO_SCOPE = frozenset(
    {"the", "this", "that", "requires", "requested", "required", "provided", "not", "was", "are", "has"}
)
"""What may stand behind the word scope, and is none."""


def is_vouched(handshake: Handshake, place: int) -> bool:
    """The token of that exchange was taken at some time; or the MCP server is its own authorization server."""
    stages = handshake.of(place)
    bearer = stages[0].bearer if stages and isinstance(stages[0], Mcp) else None
    if bearer is None:
        return False
    token = handshake.token
    own = token is not None and urls.origin(token.url) == urls.origin(stages[0].url)
    return own or was_taken(handshake, place)


def was_taken(handshake: Handshake, place: int) -> bool:
    """An MCP request with the token of that exchange was answered."""
    stages = handshake.of(place)
    bearer = stages[0].bearer if stages and isinstance(stages[0], Mcp) else None
    return bearer is not None and any(mcp.bearer == bearer and mcp.ok for mcp in handshake.all(Mcp))


def is_for_the_client(finding: Finding, handshake: Handshake) -> bool:
    """The token's `aud` is the client id, as in an ID token: no server means itself by that."""
    asked = handshake.authorization
    try:
        known = {asked.get("client_id")} if asked is not None else set()
    except Unseen:
        return False
    return finding.rule == "token-jwt-audience" and finding.actual in known - {None}


def led_astray(finding: Finding, refusal: Refusal, handshake: Handshake) -> bool:
    """The browser was refused at the callback that the registration's answer has in place of the client's."""
    return finding.rule == "dcr-response-redirect-uris-changed" and any(
        isinstance(stage, AuthorizationResponse) and is_changed_callback(stage, handshake)
        for stage in handshake.of(refusal.exchange)
    )


def is_sent_by(finding: Finding, refusal: Refusal, handshake: Handshake) -> bool:
    """The refused request went to an endpoint that this very document named."""
    stages = handshake.of(refusal.exchange)
    return bool(stages) and stages[0].initiator is not None and stages[0].initiator.exchange == finding.exchange


def has_harmed(finding: Finding, handshake: Handshake) -> bool:
    """A request that the faulty member made the client send came to nothing."""
    places = set(same_document_places(finding, handshake)) if finding.severity == "error" else set()
    return any(
        stages[0].initiator is not None
        and stages[0].exchange.response is None
        and stages[0].exchange.error is not None
        and (stages[0].initiator.exchange, stages[0].initiator.at) in places
        for stages in (handshake.exchanges() if places else ())
    )


def refused_places(ending: Ending, handshake: Handshake) -> set[int]:
    """The exchanges of the refused step: for what came back through the browser, the authorization request too."""
    places = set(ending.same)
    for place in ending.same:
        for stage in handshake.of(place):
            if isinstance(stage, AuthorizationResponse):
                asked = stage.requested or handshake.authorization  # without `state` they cannot be told together
                places |= {asked.exchange.id} if asked is not None else set()
            if (first := led_from(stage, handshake)) is not None:
                places.add(first.exchange.id)
    return places


def led_to_guess(finding: Finding, refusal: Refusal, handshake: Handshake) -> bool:
    """The refused request was not advertised, and the finding is about what made the client guess."""
    stages = handshake.of(refusal.exchange)
    if not stages or stages[0].initiator is None or not stages[0].initiator.guess:
        return False
    if finding.exchange == refusal.exchange:
        return False
    behind = {stage.exchange.id for stage in guess_ancestors(stages[0], handshake)}
    led = behind | causal_chain(handshake, stages[:1])
    same = {place for place, _ in same_document_places(finding, handshake)}
    return bool(same & led) and "discovery" in subjects_of(finding.rule)


def was_passed(finding: Finding, refusal: Refusal, handshake: Handshake) -> bool:
    """The client met it before the refused request, and went on."""
    stages = handshake.of(finding.exchange or 0)
    if not stages or (finding.exchange or 0) >= refusal.exchange:
        return False
    return isinstance(stages[0], Document) or stages[0].ok or stages[0].status == 401


def is_fact(finding: Finding, refusal: Refusal, places: set[int]) -> bool:
    """It compares the refused request with what was seen before, and not with the words."""
    here = finding.exchange in places and finding.at.startswith("request.")
    agrees = agreement(finding.rule, refusal.subject) == 2 and finding.severity != "note"
    return here and agrees and not rules.RULES[finding.rule].symptom and not quotes(finding, refusal)


def quotes(finding: Finding, refusal: Refusal) -> bool:
    """The finding quotes the refusal: it was found by what was said."""
    words = _letters(refusal.words)[:30]
    return len(words) > 6 and words in _letters(f"{finding.message} {finding.actual or ''}")


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def shares_value(finding: Finding, refusal: Refusal) -> bool:
    """The finding names a value that the refusal names: a scope, a URI, an id; no mere word."""
    values = {value for value in _VALUE.findall(refusal.words) if re.search(r"[0-9:/._-]", value)}
    values = {value for value in values if not _NAME.fullmatch(value)}
    if refusal.subject == "scope":
        named = re.findall(r"scopes?(?: are invalid| is invalid)?[: '\"]+([\w:./-]{3,})", refusal.words)
        values |= {value for value in named if value.lower() not in _NO_SCOPE}
    text = f"{finding.message} {finding.expected or ''} {finding.actual or ''}"
    return any(value in text for value in values if not value.endswith("."))
