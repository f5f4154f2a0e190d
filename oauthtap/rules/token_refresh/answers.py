"""How the authorization server answers a refresh."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import TokenRefresh, text
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.rules import rule
from oauthtap.rules.token_refresh.history import authenticates, granted_in, token_of

_DEAD_TOKEN = re.compile(
    r"refresh[ _-]?token\b.{0,40}\b(?:invalid|expired|revoked|unknown|not found|not valid|no longer valid|"
    r"does not exist|already used|not exist|reuse|malformed|unrecognized)|"
    r"\b(?:invalid|expired|revoked|unknown|unrecognized|inactive)\b.{0,20}\brefresh[ _-]?token",
    re.I | re.S,
)
_GRACE = 30.0
"""Seconds in which the old token may work, for a client that did not get the answer."""
_ITS_OWN = {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "invalid_target"}
"""Other refusals, with a meaning of their own."""


@rule(
    "refresh-rotation-missing",
    must("MCP 2026-07-28 Authorization Security Considerations 'Token Theft'; OAuth 2.1 draft-13 §4.3.1", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#token-theft"),
    who="authorization-server",
    severity="note",
)  # fmt: skip
def rotation_missing(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The refresh token of a public client is not rotated.

    A public client does not authenticate, so a stolen refresh token is enough to get access tokens.
    With rotation, a stolen one is detected at its second use.

    Usual causes: rotation is an option of most authorization servers, and it is off.

    Repair: Turn rotation on for public clients, and allow a few seconds in which the old
    token still works.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}
    """
    if not refresh.access_token or refresh.authorization or refresh.request.header("dpop"):
        return
    old, new = refresh.get("refresh_token"), text(refresh.issued.get("refresh_token"))
    proven = any(refresh.get(name) for name in ("client_secret", "client_assertion"))
    if old and not proven and (not new or new == old):
        yield Problem(
            message=f"the refresh returns {'the same refresh token' if new else 'no new refresh token'}; "
            "for a public client it has to return a new one",
            at="response.json.refresh_token",
            expected="a new refresh token",
            actual="the same" if new else "none",
        )


@rule(
    "refresh-replay-accepted",
    must("OAuth 2.1 draft-13 §4.3.1", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.3.1"),
    who="authorization-server",
    severity="warning",
    stops_only_at=(),
)
def replay_accepted(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The token endpoint accepts a refresh token that was already rotated.

    Rotation is there so that a stolen refresh token is detected at its second use. Here the old one
    keeps working after it was replaced, so the thief is not noticed.

    Usual causes: the old token is kept for clients that did not save the new one, without an end.

    Repair: Refuse an old refresh token with `invalid_grant` once a few seconds have passed, and revoke what was issued.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-2
        200 {"access_token": "made-up-token-3", "token_type": "Bearer", "refresh_token": "made-up-refresh-3"}

        @+60
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-4", "token_type": "Bearer", "refresh_token": "made-up-refresh-4"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-2
        200 {"access_token": "made-up-token-3", "token_type": "Bearer", "refresh_token": "made-up-refresh-3"}

        @+60
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}
    """
    old = token_of(refresh)
    if not old or not refresh.access_token or authenticates(refresh) or refresh.exchange.started_at is None:
        return
    for earlier in so_far.all(TokenRefresh):
        new, ended = granted_in(earlier).get("refresh_token"), earlier.exchange.ended
        later = (
            new and new != old and token_of(earlier) == old and ended and refresh.exchange.started_at - ended > _GRACE
        )
        # Until the new one is used, some servers keep the old one, for a client that did not get the answer.
        if later and any(token_of(other) == new and other.access_token for other in so_far.all(TokenRefresh)):
            yield Problem(
                message=f"the refresh token that exchange {earlier.exchange.id} replaced still brings an access token",
                at="response.status",
                expected="400 invalid_grant",
                actual=f"{refresh.status} with an access token",
            )
            return


@rule(
    "refresh-error-not-invalid-grant",
    must("RFC 6749 §5.2", "https://datatracker.ietf.org/doc/html/rfc6749#section-5.2"),
    who="authorization-server",
    severity="warning",
    stops_at=("mcp-token-rejected", "mcp-challenge", "mcp-initialize"),
)
def not_invalid_grant(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """An invalid refresh token is not answered with `invalid_grant`.

    Clients read the error code, not the description. `invalid_grant` tells them to delete the token
    and let the user sign in. With any other code they may retry the token without end.

    Usual causes: a general handler that turns each failure into `invalid_request`, `server_error`
    or a 401.

    Repair: Answer 400 with `"error": "invalid_grant"` when a refresh token is unknown, expired or
    revoked.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_request", "error_description": "Refresh token has expired"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant", "error_description": "Refresh token has expired"}
    """
    if refresh.status is None or refresh.status < 400 or refresh.oauth_error in (_ITS_OWN | {"invalid_grant"}):
        return
    words = refresh.answer_text[:2000]
    if _DEAD_TOKEN.search(words) and not re.search(r"missing|required|must be provided", words, re.I):
        code = refresh.oauth_error
        yield Problem(
            message=f"the refresh token is refused with {refresh.status} {code or 'and no error code'}; "
            "it has to be 400 invalid_grant",
            at="response.json.error",
            expected="invalid_grant",
            actual=code or "none",
            patch=Patch(status=400, merge={"error": "invalid_grant"}),
        )
