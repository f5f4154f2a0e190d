"""What a refusal says is missing, and whether the refused request really lacks it.

Words of a server alone never make a refusal the client's; words that the request itself bears out do.
"""

from __future__ import annotations

import re

from oauthtap.diagnosis.refusal import Refusal
from oauthtap.handshake.stages import AuthorizationRequest, AuthorizationResponse, Mcp, Stage, TokenEndpoint, Unseen
from oauthtap.handshake.state import Handshake

_PARAMETERS = (
    "client_id",
    "redirect_uri",
    "code",
    "code_verifier",
    "code_challenge",
    "code_challenge_method",
    "response_type",
    "grant_type",
    "refresh_token",
    "state",
)
"""Parameters that a client has at hand without being told by a document. `scope` and `resource` it has to be told."""

_AT_AUTHORIZATION = frozenset({"code_challenge", "code_challenge_method", "response_type", "state"})
_AT_TOKEN = frozenset({"code", "code_verifier", "grant_type", "refresh_token"})
"""Parameters of the one endpoint only: at the other nobody sends them."""

_MISSING = re.compile(
    r"(?:missing|required|lacks|absent|must (?:contain|include|have)|not (?:provided|present|included))", re.I
)
_ACCEPT = re.compile(r"not acceptable|\baccept\b.{0,60}(?:text/event-stream|application/json)", re.I)


def find_omission(refusal: Refusal, handshake: Handshake) -> str | None:
    """The parameter or header that the words call missing and that the request does not have; None where it has it."""
    stages = handshake.of(refusal.exchange)
    stage: Stage | None = stages[0] if stages else None
    if isinstance(stage, AuthorizationResponse):
        stage = stage.requested
    if stage is None or stage.exchange.actor not in ("client", "browser"):
        return None
    if isinstance(stage, Mcp):
        accept = stage.request.header("accept") or ""
        both = "application/json" in accept and "text/event-stream" in accept
        asks = refusal.status == 406 and _ACCEPT.search(refusal.words) and stage.request.method == "POST"
        return "Accept" if asks and not both and "*/*" not in accept else None
    if not isinstance(stage, AuthorizationRequest | TokenEndpoint) or not _MISSING.search(refusal.words):
        return None
    elsewhere = _AT_TOKEN if isinstance(stage, AuthorizationRequest) else _AT_AUTHORIZATION
    named = [
        name for name in _PARAMETERS if name not in elsewhere and re.search(rf"(?<![\w]){name}(?![\w])", refusal.words)
    ]
    if len(named) != 1 or stage.request.header("authorization") is not None:
        return None
    try:
        return named[0] if stage.get(named[0]) is None else None
    except Unseen:
        return None
