"""What was done in a handshake, every kind of request once: what two recordings are aligned by.

Ids, nonces, dates, secrets, and the client's own ports are held by their kind, so that two
runs of one client give the same moves. How often and in which order is no part of a move.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from oauthtap.compare.lockfile import answer, variant
from oauthtap.diagnosis.progress import STAGE_ORDER
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Document,
    Initiator,
    Mcp,
    Registration,
    Stage,
    StepUp,
    TokenEndpoint,
    TokenRejected,
    Unseen,
    texts,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls

ASIDE = {
    *("cors-preflight", "jwks-fetch", "client-metadata-fetch", "authorization-interaction", "mcp-stream"),
    *("mcp-session-end", "token-maintenance", "other"),
}
"""Stages that differ from run to run, or are nobody's step towards a token."""
_ABOUT_THE_CLIENT = {
    *("client_name", "client_uri", "logo_uri", "software_id", "software_version", "contacts", "policy_uri"),
    *("tos_uri", "jwks", "jwks_uri"),
}
_NEW_EVERY_TIME = {"state", "nonce", "code_challenge", "code", "code_verifier", "refresh_token", "client_secret"}
_ALIAS = re.compile(r"‹([a-z]+(?:-[a-z]+)?)[ +-]\d+[^‹›]*›")
_LOOPBACK = re.compile(r"(http://(?:localhost|127\.0\.0\.1|\[::1\])):\d+")

Names = Callable[[str], str]
"""Puts the URLs of a recording into the names that both recordings share."""
Key = tuple[str, str, str]


@dataclass
class RequestKind:
    """One kind of request, with everything it led to."""

    stage: Stage
    """The first of them."""
    slug: str
    request: str
    initiator: Initiator | None
    asked: dict[str, Any]
    answered: dict[str, Any]
    """Of the last of them, as `contract.answer` gives it."""
    exchanges: list[int] = field(default_factory=list)
    statuses: list[int | None] = field(default_factory=list)
    """Each once, in order of appearance; None where no answer came."""

    @property
    def ok(self) -> bool:
        """It was answered with a success or a redirect at last, and with no error (RFC 6749, 4.1.2.1)."""
        if "error" in self.answered.get("parameters", {}):
            return False
        return bool(self.statuses) and 200 <= (self.statuses[-1] or 0) < 400


def request_kinds(handshake: Handshake, names: Names = str) -> dict[Key, RequestKind]:
    """Every move of client and browser, in the order of the walk."""
    found: dict[Key, RequestKind] = {}
    for stages in handshake.exchanges():
        for stage, slug in _steps(stages):
            request = _request(stage, handshake, names)
            kind = "" if isinstance(stage, Document) else variant(stage)
            move = found.setdefault(
                (slug, kind, request), RequestKind(stage, slug, request, stage.initiator, asked(stage, names), {})
            )
            move.exchanges.append(stage.exchange.id)
            if stage.exchange.response is not None:
                move.answered = _named(answer(stage), names)
            if stage.status not in move.statuses:
                move.statuses.append(stage.status)
    return dict(sorted(found.items(), key=lambda row: STAGE_ORDER.index(row[0][0])))


def _steps(stages: tuple[Stage, ...]) -> Iterator[tuple[Stage, str]]:
    """The stages of one exchange that are a step of the walk, each with the stage it is filed under."""
    first = stages[0]
    if first.exchange.actor not in ("client", "browser"):
        return
    for stage in stages:
        if isinstance(stage, AuthorizationResponse):
            yield stage, stage.slug
    if isinstance(first, AuthorizationResponse) or first.slug in ASIDE:
        return
    if isinstance(first, AuthorizationRequest) and first.initiator and first.initiator.at == "response.header.location":
        return  # passed on from page to page at the authorization server
    if isinstance(first, TokenRejected | StepUp) and len(stages) > 1:
        yield first, stages[1].slug  # the same request as where the token was good enough
    else:
        yield first, first.slug


def _request(stage: Stage, handshake: Handshake, names: Names) -> str:
    if isinstance(stage, AuthorizationResponse):
        return "the redirect to the client"
    place = _ALIAS.sub(r"‹\1›", names(urls.without_query(stage.url)))
    for client_id in handshake.client_ids:
        place = place.replace(f"/{client_id}", "/‹client_id›") if len(client_id) > 7 else place
    return f"{stage.request.method} {place}"


def asked(stage: Stage, names: Names = str) -> dict[str, Any]:
    """What a request says, as far as it may decide the answer: member or parameter to value or kind."""
    try:
        return {name: _named(value, names) for name, value in _asked(stage).items()}
    except Unseen:
        return {}


def _asked(stage: Stage) -> dict[str, Any]:
    match stage:
        case Registration():
            sent = {name: value for name, value in stage.requested.items() if name not in _ABOUT_THE_CLIENT}
            if "redirect_uris" in sent:
                sent["redirect_uris"] = list(dict.fromkeys(map(_any_port, texts(sent["redirect_uris"]))))
            return sent
        case AuthorizationRequest():
            return {name: _parameter(name, value) for name, value in stage.params}
        case TokenEndpoint():
            scheme = {"authorization": stage.authorization[0]} if stage.authorization else {}
            return scheme | {name: _parameter(name, value) for name, value in stage.params}
        case Mcp() if stage.version and stage.method in ("initialize", "server/discover"):
            return {"protocolVersion": stage.version}
    return {}


def _parameter(name: str, value: str) -> Any:
    if name == "scope":
        return sorted(value.split())
    if name == "redirect_uri":
        return _any_port(value)
    if name == "client_id":
        return value if value.startswith("https://") else "‹string›"
    return "‹string›" if name in _NEW_EVERY_TIME and value else _ALIAS.sub(r"‹\1›", value)


def _any_port(uri: str) -> str:
    return _LOOPBACK.sub(r"\1:*", uri)


def _named(value: Any, names: Names) -> Any:
    if isinstance(value, dict):
        return {member: _named(inner, names) for member, inner in value.items()}
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    return names(value) if isinstance(value, str) else value
