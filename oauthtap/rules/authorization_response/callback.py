"""Where the redirect goes, whether it arrives there, and what the client makes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Registration,
    ServerMetadata,
    TokenEndpoint,
    TokenRequest,
    texts,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Request
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_CODE_LIVES = 60.0
"""Seconds. Codes may live for ten minutes, but no healthy client waits for one."""
_GIVEN_UP = re.compile(r"abort|cancel", re.I)


@rule(
    "authz-resp-redirect-altered",
    must(
        "OAuth 2.1 draft-13 §2.3 and §4.1.2; MCP conformance scenario authorization-code-grant",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.3",
    ),
    who="authorization-server",
    stops_at=("token-request",),
)
def redirect_altered(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response is sent to a URL that is not the requested `redirect_uri`.

    The client listens at exactly the redirect URI of its request. With `localhost` instead of
    `127.0.0.1`, another port or a lost query, the code does not reach the client, or the token
    endpoint later finds that the two redirect URIs differ.

    Usual causes: URLs are normalized before they are used; the registered redirect URI is used
    instead of the requested one, so that its port is wrong.

    Repair: Redirect to the `redirect_uri` of the request, character by character, and
    append to its query.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://localhost:4711/cb?code=made-up&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    asked = stage.requested.redirect_uri if stage.requested else None
    if stage.requested is None or not asked or stage.callback or not _alike(stage.target, asked):
        return
    here = urls.origin(stage.url)
    if here != urls.origin(stage.requested.url) or urls.origin(stage.target) == here:
        return  # an identity provider comes back to the authorization server this way
    kept = Request(method="GET", url=stage.target).query
    lost = [pair for pair in Request(method="GET", url=asked).query if pair not in kept]
    target = urls.without_query(stage.target)
    if urls.endpoint(target) != urls.endpoint(asked):
        yield Problem(
            message=f"the browser is sent to {target}; the client asked for {urls.without_query(asked)}",
            at="response.header.location",
            expected=asked,
            actual=target,
        )
    elif lost:
        yield Problem(
            message=f"the redirect lost `{lost[0][0]}`, which is in the query of the redirect URI {asked}",
            at="response.header.location",
            expected=asked,
            actual=target,
        )


def _alike(target: str, asked: str) -> bool:
    """Near enough to be meant for the same client: same path, same host, or this machine both times."""
    one, other = urls.split(target), urls.split(asked)
    if one is None or other is None:
        return urls.without_query(target) == urls.without_query(asked)
    both_here = urls.is_loopback(target) and urls.is_loopback(asked)
    return both_here or one.hostname == other.hostname or (one.path == other.path and one.path not in ("", "/"))


@rule(
    "authz-open-redirect",
    must(
        "OAuth 2.1 draft-13 §2.3.5 and §7.12.2; MCP 2026-07-28 'Open Redirection'",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.3.5",
    ),
    who="authorization-server",
    severity="warning",  # grave, but it lets too much through: no sign-in ever stops at it
    stops_only_at=(),
)
def open_redirect(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The server redirects to a `redirect_uri` that is not registered (open redirect).

    Redirect URIs are registered so that codes go nowhere else. A server that redirects to whatever
    the request says lets an attacker collect the codes of its users with a link. This sign-in
    works, but it is not safe.

    Usual causes: only the prefix or the host of the redirect URI is checked, or it is checked only
    at registration.

    Repair: Compare `redirect_uri` with the registered ones before anything else, exactly
    (loopback ports apart), and show an error page instead of redirecting.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["https://app.example.org/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["https://app.example.org/cb"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=https%3A%2F%2Fother.example.net%2Fcb
        302
        Location: https://other.example.net/cb?code=made-up&state=s1

    Good:
        POST https://as.example.com/register {"redirect_uris": ["https://app.example.org/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["https://app.example.org/cb"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb
        302
        Location: https://app.example.org/cb?code=made-up&state=s1
    """
    asked = stage.requested.redirect_uri if stage.requested else None
    if stage.requested is None or not asked or stage.callback:
        return
    client_id = stage.requested.get("client_id")
    owner = next((r for r in reversed(so_far.all(Registration)) if r.issued.get("client_id") == client_id), None)
    registered = (
        (*texts(owner.issued.get("redirect_uris")), *texts(owner.requested.get("redirect_uris"))) if owner else ()
    )
    target = urls.without_query(stage.target)
    if not registered or target != urls.without_query(asked):
        return
    if not any(urls.redirect_matches(target, urls.without_query(uri)) for uri in registered):
        yield Problem(
            message=f"the browser is sent to {target}; registered for this client is {', '.join(registered[:3])}",
            at="response.header.location",
            expected="an error page",
            actual=target,
        )


@rule(
    "authz-callback-unreachable",
    practice("RFC 8252 §7.3", "https://datatracker.ietf.org/doc/html/rfc8252#section-7.3"),
    who="client",
    severity="error",
    stops_at=("token-request",),
)
def unreachable(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The browser cannot reach the client's redirect URI.

    This request carried the code, and it got no response. The authorization server did its part;
    the client never receives the code and waits until it gives up.

    Usual causes: the client's listener is on another port than its redirect URI says, or
    was closed; browser and client are on different machines (a container, WSL, a remote
    host); `localhost` means IPv6 to one and IPv4 to the other.

    Repair: Let the client use the port it listens on, and forward that port to where the
    browser runs.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
        @browser
        GET http://127.0.0.1:4711/cb?code=made-up&state=s1
        - connection refused

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
        @browser
        GET http://127.0.0.1:4711/cb?code=made-up&state=s1
        200 <p>You can close this window.</p>
    """
    error = stage.exchange.error
    if not stage.callback or stage.exchange.response or not error or _GIVEN_UP.search(error):
        return
    if stage.exchange.actor in ("client", "browser") and urls.is_loopback(stage.url):
        yield Problem(
            message=f"no response from {urls.without_query(stage.url)} ({error}); the client has to listen there",
            at="request.url",
            expected="an answer from the client's listener",
            actual=error,
        )


@rule(
    "authz-callback-refused",
    practice("RFC 8252 §7.3; RFC 9207 §2.4", "https://datatracker.ietf.org/doc/html/rfc9207#section-2.4"),
    who="client",
    severity="error",
    symptom=True,
)
def callback_refused(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The client's callback listener refuses the authorization code.

    The right code came with the right `state`, but the program that listens at the redirect URI
    answers with an error. Either it is not this client, or the client requires something that the
    server did not advertise.

    Usual causes: another program, or an older instance of the client, owns the fixed port and did
    not start this sign-in; the client insists on `iss`.

    Repair: Free the port, or let the client use a random port for every sign-in; the client's log
    says what it missed.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
        @browser
        GET http://127.0.0.1:4711/cb?code=made-up&state=s1
        400 <p>Unknown state</p>

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
        @browser
        GET http://127.0.0.1:4711/cb?code=made-up&state=s1
        200 <p>You can close this window.</p>
    """
    if not stage.callback or stage.request.method != "GET" or stage.code is None or (stage.status or 0) < 400:
        return
    sent = stage.requested.get("state") if stage.requested else None
    if stage.requested is None or sent != stage.get("state") or stage.exchange.actor == "reporter":
        return
    said = " ".join(re.sub(r"<[^>]*>", " ", (stage.response.body or "")[:2000]).split())
    yield Problem(
        message=f"the listener at {urls.without_query(stage.url)} answers {stage.status}"
        + (f" ({said[:160]!r})" if said else "")
        + (", although code and state are those of the request" if sent else ""),
        at="response.status",
        expected="200",
        actual=str(stage.status),
    )


@rule(
    "authz-callback-never-used",
    practice(
        "OAuth 2.1 draft-13 §4.1.2 (codes are short-lived)",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2",
    ),
    who="client",
    severity="error",
    symptom=True,
)
def never_used(handshake: Handshake) -> Problems:
    """The authorization code is never exchanged for a token.

    Every step up to the redirect worked. Then the code has to reach the client, and the client has
    to send it to the token endpoint within seconds. It did not, so it either never got the code or
    rejected the authorization response.

    Usual causes: the callback port is closed or on another machine; `state` or `iss` did
    not match; the code came for a sign-in the client had already given up.

    Repair: Read the client's log at the time of the redirect; make sure that the browser can reach
    the redirect URI.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "token_endpoint": "https://as.example.com/token"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "token_endpoint": "https://as.example.com/token"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
        POST https://as.example.com/token grant_type=authorization_code&code=made-up&client_id=c1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        200 {"access_token": "made-up-at", "token_type": "Bearer"}
    """
    for answer in _unused(handshake):
        newer = _other_flow(answer, handshake)
        if newer is not None:
            why = f"; it is for state {answer.get('state')!r}, while the client had begun another sign-in since"
        elif _token_leg_in_sight(handshake):
            why = ""
        else:
            continue
        reached = answer.callback and answer.status is not None and answer.status < 400
        met = f"; the client's callback was reached and answered {answer.status}, so the client itself stopped there"
        yield Problem(
            message=f"the code of exchange {answer.exchange.id} is in no token request that follows{met if reached else ''}{why}",
            at="request.query.code" if answer.callback else "response.header.location.code",
            expected="a token request with this code",
            fix="Look into the client's log at the time of the callback: it compares `state` and `iss` (RFC 9207) with "
            "what it stored, and drops the answer where they differ or are lost."
            if reached
            else "",
            exchange=answer.exchange.id,
        )


def _unused(handshake: Handshake) -> Iterator[AuthorizationResponse]:
    """The last exchange that carried each code that was left alone for longer than codes live."""
    requests = [request for request in handshake.all(TokenEndpoint) if request.exchange.request.body is not None]
    used = {request.get("code") for request in requests}
    unreadable = [r.exchange.id for r in handshake.all(TokenRequest) if r.exchange.request.body is None]
    last = {answer.code: answer for answer in handshake.all(AuthorizationResponse) if answer.code and answer.requested}
    for code, answer in last.items():
        ended, own = answer.exchange.ended, answer.exchange.actor in ("client", "browser")
        late = ended is not None and handshake.ended is not None and handshake.ended - ended >= _CODE_LIVES
        served = any(r.ok and r.exchange.id > answer.exchange.id for r in requests)
        hidden = any(number > answer.exchange.id for number in unreadable)
        if own and late and code not in used and not served and not hidden:
            yield answer


def _other_flow(answer: AuthorizationResponse, handshake: Handshake) -> AuthorizationRequest | None:
    """A newer authorization request to the same callback, made before this answer arrived there."""
    state, asked = answer.get("state"), answer.requested
    if not answer.callback or asked is None or asked.get("state") != state:
        return None
    for request in handshake.all(AuthorizationRequest):
        between = asked.exchange.id < request.exchange.id < answer.exchange.id
        if between and request.redirect_uri == asked.redirect_uri and request.get("state") != state:
            return request
    return None


def _token_leg_in_sight(handshake: Handshake) -> bool:
    """The client itself spoke to the authorization server through us, so its token request would show."""
    return any(
        stage.exchange.actor == "client" and stage.ok
        for kind in (ServerMetadata, Registration, TokenEndpoint)
        for stage in handshake.all(kind)
    )
