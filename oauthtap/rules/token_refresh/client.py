"""What a client does with its refresh token, and what it leaves out."""

from __future__ import annotations

from oauthtap import urls
from oauthtap.findings import Problem, Problems
from oauthtap.handshake import Handshake
from oauthtap.rules import rule
from oauthtap.specs import must, practice
from oauthtap.stages import (
    AuthorizationRequest,
    Stage,
    TokenEndpoint,
    TokenMaintenance,
    TokenRefresh,
    TokenRejected,
    TokenRequest,
    Unseen,
    scopes,
    text,
)
from oauthtap.wire import first

_DRAFT = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13"
_AGAIN = f"{_DRAFT}#section-4.3.1"
_TOGETHER = 5.0
"""Seconds within which two refreshes with one token are taken for simultaneous."""


def _token(refresh: TokenRefresh) -> str | None:
    """The refresh token that was sent. For earlier exchanges: None also where the body is unseen."""
    try:
        return refresh.get("refresh_token") or None
    except Unseen:
        return None


def _granted(stage: TokenEndpoint) -> dict[str, object]:
    try:
        return stage.granted
    except Unseen:
        return {}


def _issued_in(so_far: Handshake, token: str | None) -> TokenEndpoint | None:
    """The answer in which the client got this refresh token."""
    answers = [one for one in so_far.all(TokenEndpoint) if token and _granted(one).get("refresh_token") == token]
    return answers[-1] if answers else None


def _authenticates(stage: TokenEndpoint) -> bool:
    """The client proves who it is: a secret in a header or the form, or an assertion."""
    names = {name for name, value in stage.params if value}
    scheme = stage.authorization[0].lower() if stage.authorization else ""
    return bool(names & {"client_secret", "client_assertion"}) or scheme == "basic"


@rule(
    "refresh-old-token-used",
    must("OAuth 2.1 draft-13 §4.3.2 and §4.3.1", f"{_DRAFT}#section-4.3.2"),
    who="client",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def old_token(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client refreshes with a token that was replaced before.

    Each refresh may bring a new refresh token, and the old one is dead from then on. When
    the old one turns up again, the authorization server has to think of theft, and may
    end the whole session: the user has to sign in anew.

    Usual causes: two processes or windows with one token store; a crash between the
    answer and the saving; a store that could not be written.

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
        new = text(_granted(earlier).get("refresh_token"))
        if _token(earlier) == token and new and new != token and not _overlap(earlier, refresh):
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
    ended, began = one.exchange.ended, other.exchange.at
    return ended is not None and began is not None and began < ended


@rule(
    "refresh-concurrent",
    practice("OAuth 2.1 draft-13 §4.3.1", _AGAIN),
    who="client",
    severity="warning",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def concurrent(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client sends the same refresh token twice at the same time.

    The first request uses it up. To the authorization server the second one looks like a
    thief's, and it may end the session for both.

    Usual causes: several requests met an expired token at once, and each started a refresh
    of its own.

    Repair: In the client, let the first refresh run and have everybody else wait for it.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}
    """
    token, now = refresh.get("refresh_token"), refresh.exchange.at
    if refresh.exchange.actor != "client" or not token or now is None:
        return
    for earlier in reversed(so_far.all(TokenRefresh)):
        at, ended = earlier.exchange.at, earlier.exchange.ended
        if at is None or ended is None or earlier.exchange.actor != "client" or _token(earlier) != token:
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
    "refresh-scope-widened",
    must("OAuth 2.1 draft-13 §4.3.1", _AGAIN),
    who="client",
    severity="warning",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def scope_widened(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client asks for more with a refresh than the user has agreed to.

    A refresh renews what was granted. More can only come from the user, so the
    authorization server refuses, and the client may lose its session over it.

    Usual causes: the client sends the scopes of a step-up, or of its settings, with every
    refresh.

    Repair: In the client, leave `scope` out when refreshing. For more permissions, send
    the user through the sign-in again.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1", "scope": "read"}

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1&scope=read+write
        400 {"error": "invalid_scope"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1", "scope": "read"}

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1&scope=read
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    wanted = scopes(refresh.get("scope"))
    source = _issued_in(so_far, refresh.get("refresh_token"))
    granted = scopes(_granted(source).get("scope")) if source else ()
    while source and not granted and isinstance(source, TokenRefresh):
        before = _issued_in_before(so_far, source)
        granted = scopes(_granted(before).get("scope")) if before else ()
        source = before
    more = [scope for scope in wanted if scope not in granted]
    if refresh.exchange.actor == "client" and granted and more:
        yield Problem(
            message=f"`scope` asks for {' '.join(more)[:120]}; granted is {' '.join(granted)[:120]}",
            at="request.form.scope",
            expected=" ".join(granted)[:200],
            actual=" ".join(wanted)[:200],
        )


def _issued_in_before(so_far: Handshake, refresh: TokenRefresh) -> TokenEndpoint | None:
    """The older answer that gave the token this refresh was made with."""
    answer = _issued_in(so_far, _token(refresh))
    return answer if answer and answer.exchange.id < refresh.exchange.id else None


@rule(
    "refresh-client-auth-missing",
    must("OAuth 2.1 draft-13 §4.3.1", _AGAIN),
    who="client",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def client_auth_missing(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client refreshes without saying who it is.

    A refresh token belongs to one client. The client has to name itself, and prove it
    where it proved it when it first got the token. Otherwise the refresh is refused.

    Usual causes: the registration was forgotten between two starts, while the tokens were
    kept; refreshing is another piece of code than the first exchange.

    Repair: In the client, store the registration together with the tokens, and
    authenticate a refresh the same way as the code exchange.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&refresh_token=made-up-refresh-1
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    if refresh.exchange.actor != "client" or _authenticates(refresh) or not refresh.get("refresh_token"):
        return
    if refresh.authorization is not None or refresh.request.header("dpop"):
        return
    source = _issued_in(so_far, refresh.get("refresh_token"))
    exchange = source if isinstance(source, TokenRequest) and source.request.body is not None else None
    if exchange and _authenticates(exchange):
        yield Problem(
            message=f"the client sends no secret; in exchange {exchange.exchange.id} it did, and it has to here",
            at="request.form.client_secret",
            expected="the same authentication as at the code exchange",
            actual="none",
            severity="warning" if refresh.ok else None,
        )
    elif not refresh.get("client_id"):
        yield Problem(
            message="the request has neither a `client_id` nor a secret; it has to say which client asks",
            at="request.form.client_id",
            expected="a client_id",
            actual="none",
            severity="warning" if refresh.ok else None,
        )


@rule(
    "refresh-resource-missing",
    must("MCP 2026-07-28 'Resource Parameter Implementation' (all token requests); RFC 8707 §2.2", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#resource-parameter-implementation"),
    who="client",
    severity="note",
    since="2025-06-18",
)  # fmt: skip
def resource_missing(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client does not say for which server it refreshes.

    Some authorization servers make the new token for another audience then than the first
    one had. It looks fine, and the MCP server refuses it.

    Usual causes: `resource` was added to the sign-in, and forgotten here.

    Repair: In the client, send the same `resource` with every refresh.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1&resource=https%3A%2F%2Fmcp.example.com%2Fmcp
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    if refresh.exchange.actor == "client" and refresh.params and refresh.get("resource") is None:
        yield Problem(
            message=f"the refresh has no `resource`; it has to name {so_far.resource or 'the MCP server'}",
            at="request.form.resource",
            expected=so_far.resource or "the URL of the MCP server",
            actual="none",
        )


@rule(
    "refresh-invalid-grant-loop",
    practice("OAuth 2.1 draft-13 §3.2.4", f"{_DRAFT}#section-3.2.4"),
    who="client",
    severity="warning",
    symptom=True,
    stops_at=("mcp-token-rejected",),
)
def invalid_grant_loop(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client keeps trying a refresh token that was refused.

    `invalid_grant` is final: the token will not become good again. A client that holds on
    to it never sends its user to sign in, and seems broken for good.

    Usual causes: every failure of a refresh is treated as a passing one.

    Repair: In the client, forget the refresh token on `invalid_grant` and start a new
    sign-in. Until then, users can clear the stored sign-in by hand.

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
    if refresh.exchange.actor != "client" or not token or _error(refresh) != "invalid_grant":
        return
    refused = [one for one in so_far.all(TokenRefresh) if _token(one) == token and _error(one) == "invalid_grant"]
    if refused:
        yield Problem(
            message=f"this refresh token was refused with invalid_grant in exchange {refused[0].exchange.id} already; "
            "a new sign-in has to follow",
            at="request.form.refresh_token",
            expected="a new sign-in",
            actual=f"the same refresh token for the {len(refused) + 1}. time",
        )


def _error(stage: TokenEndpoint) -> str | None:
    try:
        return stage.oauth_error
    except Unseen:
        return None


@rule(
    "refresh-sent-to-other-as",
    must(
        "OAuth 2.1 draft-13 §4.3; MCP 2026-07-28 AS Discovery 'Authorization Server Location'", f"{_DRAFT}#section-4.3"
    ),
    who="client",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def sent_to_other_server(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client shows its refresh token to another authorization server.

    A refresh token is a long-lived key to the user's account. Whoever else gets to see it
    can use it, and the wrong server cannot do anything with it but refuse.

    Usual causes: tokens are stored per MCP server, and that server has changed its
    authorization server.

    Repair: In the client, store with each token which issuer gave it, and use it there
    only.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}

        POST https://other.example.org/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    source = _issued_in(so_far, refresh.get("refresh_token"))
    if source is None or refresh.exchange.actor != "client" or refresh.ok:
        return
    there, here = urls.origin(source.url), urls.origin(refresh.url)
    if there != here and not _one_server(so_far, source, refresh):
        yield Problem(
            message=f"the refresh token came from {there}; it is sent to {here}",
            at="request.url",
            expected=source.url,
            actual=refresh.url,
        )


def _one_server(so_far: Handshake, one: Stage, other: Stage) -> bool:
    """Both URLs stand as token endpoint in metadata of one issuer, one after the other."""
    found = [so_far.learned("token_endpoint", stage.url) for stage in (one, other)]
    places = [so_far.of(where.exchange)[0].url for where in found if where and so_far.of(where.exchange)]
    return len(places) == 2 and places[0] == places[1]


@rule(
    "refresh-not-attempted",
    practice("OAuth 2.1 draft-13 §4.3", f"{_DRAFT}#section-4.3"),
    who="client",
)
def not_attempted(asked: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client has a refresh token and sends its user to sign in all the same.

    When a token has run out, the refresh token gets a new one in silence. Users of a client
    that does not try see a browser window they did not need.

    Usual causes: every 401 leads to a new sign-in, whatever is in the store.

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
    if not text(_granted(issued).get("refresh_token")) or rejected.bearer != _granted(issued).get("access_token"):
        return
    later = [
        one
        for kind in (TokenRefresh, AuthorizationRequest, TokenMaintenance)
        for one in so_far.all(kind)
        if one.exchange.id > issued.exchange.id
    ]
    same = first(asked.request.query, "client_id") in (None, issued.get("client_id"))
    if rejected.exchange.id > issued.exchange.id and not later and same:
        yield Problem(
            message="the user is sent to sign in; the client holds a refresh token and has not tried it",
            at="request.url",
            expected="a refresh",
            actual="a new sign-in",
        )
