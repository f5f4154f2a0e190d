"""What a server promised in a handshake, frozen.

A lock holds, of every answer of the walk, what a client relies on: status, documents,
challenge, and the shape of tokens. What is new with every run (ids, secrets, dates, the
client's own callback) is held by its kind only: `‹string›`, `‹code›`, `‹as asked›`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    ClientMetadata,
    Document,
    Initialize,
    Interaction,
    Mcp,
    McpStream,
    Preflight,
    Registration,
    SessionEnd,
    Stage,
    TokenEndpoint,
    TokenMaintenance,
    Unseen,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import json_keys
from oauthtap.model.urls import without_query
from oauthtap.redaction.alias_format import claims, jose_header

ECHOED, GOES_ON, NO_JSON, UNSEEN = "‹as asked›", "‹goes on›", "‹no JSON›", "‹unseen›"
_NOT_PROMISED = (Interaction, Preflight, ClientMetadata, McpStream, SessionEnd, TokenMaintenance)
_NEW_EVERY_TIME = {
    *("client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at", "registration_access_token"),
    *("registration_client_uri", "redirect_uris", "access_token", "refresh_token", "id_token", "device_code"),
    *("user_code", "verification_uri_complete", "request_uri", "error_description", "trace_id", "request_id"),
    *("correlation_id", "timestamp", "session_state", "sid"),
}
_FIXED_CLAIMS = {"iss", "aud", "typ", "alg", "token_type", "token_use"}
_ALIAS = re.compile(r"‹([a-z]+(?:-[a-z]+)?)[ +-]\d+[^‹›]*›")


class Entry(BaseModel):
    """One answer a client relies on."""

    model_config = ConfigDict(**json_keys(variant="how"), extra="forbid")

    stage: str
    variant: str = ""
    """Which of its kind: the way to a document (`header`, `root`, …), the grant, the JSON-RPC method."""
    request: str
    """`GET https://example.com/path`, without its query."""
    answer: dict[str, Any]
    """`status`, and where they apply `type`, `json`, `challenge`, `claims`, `parameters`."""


class Lock(BaseModel):
    """The contract of one handshake: the file that `oauthtap lock` writes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    oauthtap_lock: Literal[1] = 1
    upstream: str | None = None
    revision: str | None = None
    contract: tuple[Entry, ...] = ()


def lock(handshake: Handshake) -> Lock:
    """The contract of a handshake: of equal questions the newest answer."""
    rows = {(entry.stage, entry.variant, entry.request): entry for entry, _ in entries(handshake)}
    return Lock(upstream=handshake.resource, revision=handshake.revision_named, contract=tuple(rows.values()))


def entries(handshake: Handshake) -> Iterator[tuple[Entry, int]]:
    """Every answer a client relies on, with the id of its exchange, in the order they came."""
    for stages in handshake.exchanges():
        if stages[0].exchange.actor not in ("client", "browser") or stages[0].exchange.response is None:
            continue
        stage = next((s for s in stages if isinstance(s, AuthorizationResponse)), stages[0])
        if type(stage) is not Stage and not isinstance(stage, _NOT_PROMISED):
            request = f"{stage.request.method} {without_query(stage.url)}"
            if isinstance(stage, AuthorizationResponse):
                request = "the redirect to the client"
            yield (
                Entry(stage=stage.slug, variant=variant(stage), request=request, answer=answer(stage)),
                stage.exchange.id,
            )


def variant(stage: Stage) -> str:
    """Which of its kind a stage is: the way to a document, the grant, the JSON-RPC method."""
    try:
        match stage:
            case Document():
                return stage.variant
            case TokenEndpoint():
                return stage.grant or ""
            case Mcp():
                return stage.method or stage.request.method
    except Unseen:
        pass
    return ""


def answer(stage: Stage) -> dict[str, Any]:
    """What a client relies on in the answer of a stage, as JSON; UNSEEN where nobody looked."""
    status = stage.status
    match stage:
        case AuthorizationResponse():
            return {"parameters": _parameters(stage)}
        case AuthorizationRequest():
            return {"status": GOES_ON if (status or 500) < 400 else status}
        case Initialize() if stage.ok:
            return {"status": status, **_protocol(stage)}
        case Mcp():
            return {"status": status, **({"challenge": _challenge(stage)} if status in (401, 403) else {})}
        case Document() | Registration() | TokenEndpoint():
            return {"status": status, "type": stage.response.media_type, **_content(stage)}
    return {"status": status}


def _parameters(stage: AuthorizationResponse) -> dict[str, Any]:
    asked = dict(stage.requested.params) if stage.requested and stage.requested.request.body is not None else {}
    return {
        name: ECHOED if name in ("state", "client_id") and asked.get(name) == value else _value(name, value, {})
        for name, value in stage.params
    }


def _challenge(stage: Mcp) -> list[dict[str, Any]]:
    return [
        {"scheme": found.scheme, **{p.name.lower(): _value(p.name.lower(), p.value, {}) for p in found.params}}
        for found in stage.challenged.challenges
    ]


def _protocol(stage: Initialize) -> dict[str, Any]:
    try:
        chosen = stage.result.get("protocolVersion")
    except Unseen:
        return {"protocolVersion": UNSEEN}
    if chosen is None:
        return {}
    return {"protocolVersion": ECHOED if chosen == stage.version else chosen}


def _content(stage: Stage) -> dict[str, Any]:
    try:
        found = stage.answer
        asked = stage.request_object if isinstance(stage, Registration) else {}
    except Unseen:
        return {"json": UNSEEN, "claims": UNSEEN}
    if not isinstance(found, dict):
        return {"json": NO_JSON if found is None else _value("", found, {})}
    content = {name: _value(name, value, asked) for name, value in found.items()}
    token = found.get("access_token") if isinstance(stage, TokenEndpoint) else None
    return {"json": content, **({"claims": shape} if isinstance(token, str) and (shape := _claims(token)) else {})}


def _claims(token: str) -> dict[str, Any]:
    """Header and claims of an access token: who made it and for whom by value, the rest by kind."""
    found = {**(jose_header(token) or {}), **(claims(token) or {})}
    return {name: value if name in _FIXED_CLAIMS else kind_of(value) for name, value in found.items()}


def _value(name: str, value: Any, asked: dict[str, Any]) -> Any:
    if name in asked and asked[name] == value:
        return ECHOED
    if isinstance(value, dict):
        return {inner: _value(inner, content, {}) for inner, content in value.items()}
    if isinstance(value, list) and name not in _NEW_EVERY_TIME:
        return [_value("", item, {}) for item in value]
    struck = _ALIAS.search(value) if isinstance(value, str) else None
    if struck:
        return _ALIAS.sub(r"‹\1›", str(value))
    return kind_of(value) if name in _NEW_EVERY_TIME else value


def kind_of(value: Any) -> str:
    """What kind of JSON value it is: `‹string›`, `‹number›`, …"""
    if isinstance(value, bool):
        return "‹true or false›"
    kinds = ((str, "string"), (int | float, "number"), (list, "list"), (dict, "object"))
    return next((f"‹{word}›" for kind, word in kinds if isinstance(value, kind)), "‹null›")
