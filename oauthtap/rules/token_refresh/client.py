"""When a client refreshes, and with which of its refresh tokens."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, Stage, TokenMaintenance, TokenRefresh, TokenRejected, text
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import expired
from oauthtap.model.exchange import first_value
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.token_refresh.history import error_of, granted_in, token_of

_DRAFT = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13"
_AGAIN = f"{_DRAFT}#section-4.3.1"
_TOGETHER = 5.0
"""Seconds within which two refreshes with one token are taken for simultaneous."""


@rule(
    "refresh-old-token-used",
    must("OAuth 2.1 draft-13 §4.3.2 and §4.3.1", f"{_DRAFT}#section-4.3.2"),
    who="client",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def old_token(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client uses a refresh token that was already rotated.

    Each refresh may return a new refresh token, which replaces the old one. When the old one is
    used again, the authorization server has to assume theft, and may revoke all tokens: the user
    has to sign in again. Usual causes: two processes or windows with one token store; a crash
    between the response and saving it; a read-only store.

    Repair: In the client, save the new refresh token before using the new access token,
    and let only one process refresh at a time.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}

        @+60
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}

        @+60
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-2
        200 {"access_token": "made-up-token-3", "token_type": "Bearer", "refresh_token": "made-up-refresh-3"}
    """
    token = refresh.get("refresh_token")
    if refresh.exchange.actor != "client" or not token:
        return
    for earlier in so_far.all(TokenRefresh):
        new = text(granted_in(earlier).get("refresh_token"))
        if token_of(earlier) == token and new and new != token and not _overlap(earlier, refresh):
            yield Problem(
                message=f"this refresh token was replaced in exchange {earlier.exchange.id}; the newer one has to be sent",
                at="request.form.refresh_token",
                expected=f"the refresh token from exchange {earlier.exchange.id}",
                actual="the one before it",
                severity="warning" if refresh.ok else None,
            )
            return


def _overlap(one: Stage, other: Stage) -> bool:
    """The later request was sent before the earlier one was answered."""
    ended, began = one.exchange.ended, other.exchange.started_at
    return ended is not None and began is not None and began < ended


@rule(
    "refresh-concurrent",
    practice("OAuth 2.1 draft-13 §4.3.1", _AGAIN),
    who="client",
    severity="warning",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def concurrent(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client sends the same refresh token in two requests at the same time.

    The first request uses it up. To the authorization server the second one looks like a stolen
    token, and it may revoke all tokens. Usual causes: several requests got a 401 at once, and each
    started a refresh.

    Repair: In the client, start one refresh and let all other requests wait for it.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}
    """
    token, now = refresh.get("refresh_token"), refresh.exchange.started_at
    if refresh.exchange.actor != "client" or not token or now is None:
        return
    for earlier in reversed(so_far.all(TokenRefresh)):
        at, ended = earlier.exchange.started_at, earlier.exchange.ended
        if at is None or ended is None or earlier.exchange.actor != "client" or token_of(earlier) != token:
            continue
        retried = not earlier.ok and now >= ended
        if not retried and (now < ended or now - at < _TOGETHER):
            yield Problem(
                message=f"exchange {earlier.exchange.id} sent the same refresh token {max(now - at, 0):.1f} s before; "
                "one refresh at a time is allowed",
                at="request.form.refresh_token",
                expected="one refresh at a time",
                actual="two",
            )
            return


@rule(
    "refresh-invalid-grant-loop",
    practice("OAuth 2.1 draft-13 §3.2.4", f"{_DRAFT}#section-3.2.4"),
    who="client",
    severity="warning",
    symptom=True,
    stops_at=("mcp-token-rejected",),
)
def invalid_grant_loop(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client retries a refresh token that was refused with `invalid_grant`.

    `invalid_grant` is final: the token will not become valid again. A client that keeps it never
    lets its user sign in. Usual causes: every failure of a refresh is treated as temporary.

    Repair: In the client, delete the refresh token on `invalid_grant` and start a new sign-in.
    Until then, users can clear the stored login.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

        @+60
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1
        302
        Location: http://localhost:3000/callback?code=made-up-code-1
    """
    token = refresh.get("refresh_token")
    if refresh.exchange.actor != "client" or not token or error_of(refresh) != "invalid_grant":
        return
    refused = [one for one in so_far.all(TokenRefresh) if token_of(one) == token and error_of(one) == "invalid_grant"]
    if refused:
        yield Problem(
            message=f"this refresh token was refused with invalid_grant in exchange {refused[0].exchange.id} already; "
            "a new sign-in has to follow",
            at="request.form.refresh_token",
            expected="a new sign-in",
            actual="the same refresh token once more",
        )


@rule(
    "refresh-not-attempted",
    practice("OAuth 2.1 draft-13 §4.3", f"{_DRAFT}#section-4.3"),
    who="client",
)
def not_attempted(asked: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client starts a new sign-in without trying its refresh token.

    When an access token has expired, the refresh token gets a new one without the user. Users of a
    client that does not try it have to sign in unnecessarily. Usual causes: every 401 starts a new
    sign-in.

    Repair: In the client, try the refresh token first when the token is refused.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        401
        WWW-Authenticate: Bearer error="invalid_token"

        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s2
        200 text/html <p>Sign in

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        401
        WWW-Authenticate: Bearer error="invalid_token"

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s2
        200 text/html <p>Sign in
    """
    rejected, issued = so_far.last(TokenRejected), so_far.token
    if rejected is None or issued is None or rejected.error != "invalid_token":
        return
    if not text(granted_in(issued).get("refresh_token")) or rejected.bearer != granted_in(issued).get("access_token"):
        return
    later = [
        one
        for kind in (TokenRefresh, AuthorizationRequest, TokenMaintenance)
        for one in so_far.all(kind)
        if one.exchange.id > issued.exchange.id
    ]
    same = first_value(asked.request.query, "client_id") in (None, issued.get("client_id"))
    if rejected.exchange.id > issued.exchange.id and not later and same:
        yield Problem(
            message="the user is sent to sign in; the client holds a refresh token and has not tried it",
            at="request.url",
            expected="a refresh",
            actual="a new sign-in",
        )


@rule(
    "refresh-token-dropped",
    must("RFC 6749 §6; OAuth 2.1 draft-13 §4.3.2", f"{_DRAFT}#section-4.3.2"),
    who="client",
    stops_at=("mcp-token-rejected",),
)
def dropped(handshake: Handshake) -> Problems:
    """The client drops its refresh token when the token response has no new one.

    Without `refresh_token` in the answer the old one stays valid. A client that stores the answer in
    place of what it had loses it, and cannot refresh when the next access token expires.

    Usual causes: the stored tokens are replaced as a whole by the answer of the refresh.

    Repair: In the client: keep the old refresh token where the answer has none. Until then, let the
    authorization server return the refresh token with every refresh.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "expires_in": 60}

        @+120
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-2
        401
        WWW-Authenticate: Bearer error="invalid_token"

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "expires_in": 60, "refresh_token": "made-up-refresh-1"}

        @+120
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-2
        401
        WWW-Authenticate: Bearer error="invalid_token"
    """
    refreshes = [one for one in handshake.all(TokenRefresh) if one.exchange.actor == "client" and one.ok]
    rejected = handshake.last(TokenRejected)
    if not refreshes or rejected is None or rejected.status != 401:
        return
    last = refreshes[-1]
    granted = granted_in(last)
    if not granted or text(granted.get("refresh_token")) or granted.get("access_token") != rejected.bearer:
        return
    newer = [stage for stage in handshake.stages if stage.exchange.id > rejected.exchange.id]
    if not expired(rejected, last) or any(stage.exchange.actor in ("client", "browser") for stage in newer):
        return
    yield Problem(
        exchange=rejected.exchange.id,
        message=f"the refresh of exchange {last.exchange.id} returned no `refresh_token`, so that of its request stays "
        "valid; the client does not send it when this token has expired",
        at="request.header.authorization",
        expected="a refresh with the same refresh token",
        actual="no refresh",
    )
