"""The code: that it is the one delivered, redeemed once, in time, with the same redirect URI."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, AuthorizationResponse, TokenRequest
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import (
    authorization_request_for,
    authorization_response_for,
    by_client,
    metadata_of,
)
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_EXCHANGE = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.3"
_SHORT, _LONG = 60.0, 600.0
"""Seconds a code lives at least nearly everywhere, and at most by recommendation."""


@rule("token-code-altered", practice("OAuth 2.1 draft-13 §4.1.3", _EXCHANGE), who="client", severity="error")
def altered(token: TokenRequest, so_far: Handshake) -> Problems:
    """The client redeems another `code` than it received.

    By its `code_verifier` the request belongs to a sign-in that delivered another code. A code is
    opaque: with one character lost or decoded twice, the server does not know it (`invalid_grant`).
    Usual causes: the callback's query was decoded twice, so that `%2B` became a space; a code that
    was pasted and truncated.

    Repair: Decode the callback's query exactly once, and send the code unchanged.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256
        302
        Location: http://127.0.0.1:7777/cb?code=made%2Bup%2Bcode%2B1&state=s1
        POST https://as.example.com/token
          grant_type=authorization_code&code=made-up-code-1&client_id=c1&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
        400 {"error": "invalid_grant"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb
        302
        Location: http://127.0.0.1:7777/cb?code=made%2Bup%2Bcode%2B1&state=s1
        POST https://as.example.com/token grant_type=authorization_code&code=made%2Bup%2Bcode%2B1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    code = token.get("code")
    if (
        not by_client(token)
        or not code
        or authorization_response_for(token, so_far)
        or token.get("code_verifier") is None
    ):
        return
    asked = authorization_request_for(token, so_far)
    for answer in reversed(so_far.all(AuthorizationResponse)):
        if asked and answer.requested is asked and answer.code and answer.get("state") == asked.get("state"):
            yield Problem(
                message=f"the code sent is not the code that exchange {answer.exchange.id} delivered for this verifier",
                at="request.form.code",
                expected=answer.code,
                actual=code,
            )
            return


@rule(
    "token-code-reused",
    must("OAuth 2.1 draft-13 §4.1.3 and §7.5.3", _EXCHANGE),
    who="client",
)
def reused(token: TokenRequest, so_far: Handshake) -> Problems:
    """The client redeems the same `code` twice.

    The first time worked. A server that gets the code again has to refuse, and may revoke the
    tokens of the first time as well, which ends a working sign-in. Usual causes: retry logic around
    the exchange; a callback page that is loaded twice or mounted twice.

    Repair: Redeem each code once: delete it before the request is sent.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        400 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-2&client_id=c1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    if by_client(token) and (before := _redeemed(token, so_far)):
        yield Problem(
            message=f"this code already brought a token in exchange {before.exchange.id}; a code may be used once",
            at="request.form.code",
            expected="a code not used before",
            actual=token.get("code"),
        )


@rule(
    "token-code-replay-accepted",
    must("OAuth 2.1 draft-13 §4.1.3", _EXCHANGE),
    who="authorization-server",
    stops_only_at=(),
)
def replay_accepted(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token endpoint accepts the same `code` twice.

    A code goes through the browser and can leak. It has to work only once, so that a stolen one is
    useless.

    Usual causes: codes are looked up but never marked as used.

    Repair: Delete or mark the code in the same step that reads it.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        400 {"error": "invalid_grant"}
    """
    before = _redeemed(token, so_far)
    if before and token.access_token and token.access_token != before.access_token:
        yield Problem(
            message=f"the code that exchange {before.exchange.id} redeemed brought a second, different access token",
            at="response.json.access_token",
            expected="400 invalid_grant",
            actual=token.access_token,
        )


@rule(
    "token-code-spent-by-failed-exchange",
    practice("RFC 6749 §4.1.2 and §5.2", "https://www.rfc-editor.org/rfc/rfc6749#section-5.2"),
    who="authorization-server",
    severity="warning",
)
def spent_by_failure(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token endpoint invalidates the code on a request that it refuses for another reason.

    The first exchange failed for another reason than the code. The client corrected its request,
    but the code is no longer valid, and the user sees an error that is not the cause.

    Usual causes: the code is marked as used before client, resource and verifier are checked.

    Repair: Check everything else first and invalidate the code last. Then correct what the first
    error names.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        400 {"error": "invalid_target"}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        400 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        400 {"error": "invalid_target"}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if token.ok or token.oauth_error != "invalid_grant":
        return
    tries = [other for other in so_far.all(TokenRequest) if token.get("code") and _same_code(token, other)]
    if not tries or tries[0].ok or tries[0].oauth_error in (None, "invalid_grant") or _late(token, tries[0]):
        return
    yield Problem(
        message=f"exchange {tries[0].exchange.id} was refused with {tries[0].oauth_error}; since then the code is not valid",
        at="response.json.error",
        expected="the code still valid",
        actual="invalid_grant",
    )


@rule(
    "token-late-redemption",
    practice(
        "OAuth 2.1 draft-13 §4.1.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2"
    ),
    who="client",
)
def late(token: TokenRequest, so_far: Handshake) -> Problems:
    """The client redeems the `code` long after it was issued.

    Codes are short-lived: many servers expire them after one minute, and at most ten minutes are
    recommended. A late exchange gets `invalid_grant`.

    Usual causes: the callback waits for the user, or for an open page.

    Repair: Redeem the code as soon as the callback arrives.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1&state=s1
        @+90
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        400 {"error": "invalid_grant"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1&state=s1
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    answers = [a for a in so_far.all(AuthorizationResponse) if a.code and a.code == token.get("code")]
    if not by_client(token) or not answers or token.exchange.started_at is None or answers[0].exchange.ended is None:
        return
    waited = token.exchange.started_at - answers[0].exchange.ended
    if waited > _LONG or (waited > _SHORT and not token.ok and token.oauth_error == "invalid_grant"):
        yield Problem(
            severity="warning" if token.oauth_error == "invalid_grant" and not token.ok else None,
            message=f"the code was {waited:.0f} seconds old when it was redeemed; many servers allow 60",
            at="request.form.code",
            expected="redeemed within 60 seconds",
            actual=f"{waited:.0f} seconds",
        )


@rule(
    "token-redirect-uri-mismatch",
    must("RFC 6749 §4.1.3; OAuth 2.1 draft-13 §10.2", "https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.3"),
    who="client",
)
def redirect_uri_mismatch(token: TokenRequest, so_far: Handshake) -> Problems:
    """`redirect_uri` of the token request is not that of the authorization request.

    The server compares the two character by character and answers `invalid_grant` when they differ,
    which does not mention the redirect URI.

    Usual causes: a callback port that is configured in one place and chosen at random in
    another; `localhost` here and `127.0.0.1` there.

    Repair: Store the redirect URI with the state, and send the same string in both requests.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&redirect_uri=http://localhost:7777/cb
        400 {"error": "invalid_grant"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    asked = authorization_request_for(token, so_far) if by_client(token) else None
    sent = token.get("redirect_uri")
    if asked and asked.redirect_uri and sent and sent != asked.redirect_uri:
        yield Problem(
            message=f"`redirect_uri` is {sent}, but exchange {asked.exchange.id} asked with {asked.redirect_uri}",
            at="request.form.redirect_uri",
            expected=asked.redirect_uri,
            actual=sent,
        )


@rule(
    "token-redirect-uri-not-enforced",
    must("RFC 6749 §4.1.3; OAuth 2.1 draft-13 §10.2", "https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.3"),
    who="authorization-server",
    severity="warning",
    stops_only_at=(),
)
def redirect_uri_not_enforced(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token endpoint accepts a `redirect_uri` that differs from that of the authorization request.

    The comparison keeps a code that was sent to another redirect URI from being redeemed as if it
    came from this client's own.

    Usual causes: the redirect URI is not stored with the code.

    Repair: Store `redirect_uri` with the code, and answer `invalid_grant` when a token request names another.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&redirect_uri=https://other.example.org/cb
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    asked = authorization_request_for(token, so_far) if token.access_token else None
    sent = token.get("redirect_uri")
    if asked and asked.redirect_uri and sent and sent != asked.redirect_uri:
        yield Problem(
            message=f"a token was given for `redirect_uri` {sent}; exchange {asked.exchange.id} asked with "
            f"{asked.redirect_uri}",
            at="response.status",
            expected="400 invalid_grant",
            actual=f"{token.status} with an access token",
        )


@rule(
    "token-redirect-uri-missing",
    practice(
        "RFC 6749 §4.1.3; OAuth 2.1 draft-13 §10.2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-10.2",
    ),
    who="client",
)
def redirect_uri_missing(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token request has no `redirect_uri`, although the authorization request had one.

    OAuth 2.1 no longer requires it. Servers that follow OAuth 2.0 do, and answer `invalid_grant` or
    `invalid_request` without it.

    Usual causes: a client written for OAuth 2.1 only.

    Repair: Send the same `redirect_uri` again; newer servers ignore it.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        400 {"error": "invalid_grant"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&redirect_uri=http://127.0.0.1:7777/cb
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    asked = authorization_request_for(token, so_far) if by_client(token) else None
    if asked and asked.redirect_uri and token.get("redirect_uri") is None and token.grant == "authorization_code":
        yield Problem(
            severity="warning" if (token.status or 0) >= 400 and _minds_redirect(token) else None,
            message=f"`redirect_uri` is absent; exchange {asked.exchange.id} asked with {asked.redirect_uri}",
            at="request.form.redirect_uri",
            expected=asked.redirect_uri,
            actual="absent",
        )


def _minds_redirect(token: TokenRequest) -> bool:
    """The refusal may be, or says that it is, about the redirect URI."""
    return token.oauth_error == "invalid_grant" or "redirect" in token.answer_text[:4000].lower()


@rule(
    "token-wrong-endpoint",
    practice("RFC 8414 §2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"),
    who="client",
    severity="warning",
)
def wrong_endpoint(token: TokenRequest, so_far: Handshake) -> Problems:
    """The client does not redeem the code at the `token_endpoint` of the metadata.

    The code is valid at one authorization server only. Any other URL answers 404 or
    `invalid_grant`, and the code is leaked to it. Usual causes: an endpoint that was stored before
    the server moved; a client that guesses `/token` on the MCP server.

    Repair: Use `token_endpoint` of the current metadata; clear the stored one.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/oauth/token"}
        POST https://mcp.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        404

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/oauth/token"}
        POST https://as.example.com/oauth/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token) or not token.get("code") or metadata_of(token, so_far) or _goes_elsewhere(token, so_far):
        return
    named = so_far.metadata.get("token_endpoint") if so_far.metadata else None
    if named and so_far.learned("token_endpoint", token.url) is None:
        yield Problem(
            message=f"the code goes to {token.request.bare_url}; the metadata names {named}",
            at="request.url",
            expected=named,
            actual=token.request.bare_url,
        )


def _goes_elsewhere(token: TokenRequest, so_far: Handshake) -> bool:
    """The sign-in itself ran at an authorization server whose metadata we have not seen."""
    asked: AuthorizationRequest | None = so_far.authorization
    return asked is not None and so_far.learned("authorization_endpoint", asked.url) is None


def _redeemed(token: TokenRequest, so_far: Handshake) -> TokenRequest | None:
    """The earlier request that got a token for the same code."""
    return next((other for other in so_far.all(TokenRequest) if _same_code(token, other) and other.access_token), None)


def _same_code(one: TokenRequest, other: TokenRequest) -> bool:
    return bool(one.get("code")) and other.get("code") == one.get("code") and other.request.url == one.request.url


def _late(token: TokenRequest, before: TokenRequest) -> bool:
    return (
        token.exchange.started_at is None
        or before.exchange.started_at is None
        or token.exchange.started_at - before.exchange.started_at > _SHORT
    )
