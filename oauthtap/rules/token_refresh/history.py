"""What earlier token answers say about a refresh token. An unseen body reads as empty. Registers no rules."""

from __future__ import annotations

from oauthtap.handshake.stages import TokenEndpoint, TokenRefresh, Unseen
from oauthtap.handshake.state import Handshake


def token_of(refresh: TokenRefresh) -> str | None:
    """The refresh token that was sent; None also where the body is unseen."""
    try:
        return refresh.get("refresh_token") or None
    except Unseen:
        return None


def granted_in(stage: TokenEndpoint) -> dict[str, object]:
    """The token answer, empty unless it succeeded and was recorded."""
    try:
        return stage.issued
    except Unseen:
        return {}


def issued_in(so_far: Handshake, token: str | None) -> TokenEndpoint | None:
    """The answer in which the client got this refresh token."""
    answers = [one for one in so_far.all(TokenEndpoint) if token and granted_in(one).get("refresh_token") == token]
    return answers[-1] if answers else None


def authenticates(stage: TokenEndpoint) -> bool:
    """The client proves who it is: a secret in a header or the form, or an assertion."""
    names = {name for name, value in stage.params if value}
    scheme = stage.authorization[0].lower() if stage.authorization else ""
    return bool(names & {"client_secret", "client_assertion"}) or scheme == "basic"


def error_of(stage: TokenEndpoint) -> str | None:
    """`error` of the answer; None also where the body is unseen."""
    try:
        return stage.oauth_error
    except Unseen:
        return None
