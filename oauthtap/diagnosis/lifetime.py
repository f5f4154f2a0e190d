"""How long a refused token had worked, and how long it was promised to."""

from __future__ import annotations

from oauthtap.diagnosis.refusal import Refusal
from oauthtap.handshake.stages import Mcp, TokenEndpoint, TokenRejected, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.redaction.alias_format import claims

_OPEN: tuple[str | None, ...] = (None, "token", "token-expired")
"""Subjects that leave open why a token is refused, or say that it expired."""
_CLOCKS = 60.0
"""Seconds that clocks may differ by."""


def how_long_it_worked(refusal: Refusal, handshake: Handshake) -> tuple[str, str] | None:
    """What it means, and what to change, where a token that had been accepted is refused before it expires."""
    stage = next((one for one in handshake.of(refusal.exchange) if isinstance(one, TokenRejected)), None)
    if stage is None or stage.bearer is None or refusal.subject not in _OPEN:
        return None
    taken = [
        one.exchange.id
        for one in handshake.all(Mcp)
        if one.bearer == stage.bearer and one.ok and one.exchange.id < refusal.exchange
    ]
    issued = handshake.of(handshake.issued.get(stage.bearer, 0))
    token = next((one for one in issued if isinstance(one, TokenEndpoint)), None)
    if not taken or token is None:
        return None
    since, now = token.exchange.ended, stage.exchange.started_at
    try:
        promised = token.issued.get("expires_in")
    except Unseen:
        return None
    ends = (claims(stage.bearer) or {}).get("exp")
    if since is None or now is None or isinstance(promised, bool) or not isinstance(promised, int | float):
        return None
    if now - since >= promised - _CLOCKS or (isinstance(ends, int | float) and now >= ends - _CLOCKS):
        return None  # it has expired
    means = (
        f"The token was accepted up to exchange {taken[-1]} and is refused {_span(now - since)} after its issue, "
        f"although `expires_in` said {_span(promised)}."
    )
    change = (
        "Accept a token until its `expires_in` is over, or issue it with the lifetime that it has: look for what ends "
        "earlier (a token of another service behind it, a store that a restart empties, keys that changed)."
    )
    return means, change


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{max(seconds, 0):.0f} s"
    parts = [f"{minutes // 60} h"] if minutes >= 60 else []
    return " ".join([*parts, f"{minutes % 60} min"] if minutes % 60 or not parts else parts)
