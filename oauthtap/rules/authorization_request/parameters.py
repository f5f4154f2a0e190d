"""The parameters of the authorization request, and its URL."""

from __future__ import annotations

import re
from collections import Counter

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, Interaction
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Request
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.authorization_request.refusals import CLIENT, REDIRECT, own_request, refusal, registered_uris

_OAUTH21_31 = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.1"
_OAUTH21_411 = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.1"
_REPEATABLE = {"resource", "audience"}
_TELLABLE = re.compile(
    r"invalid_scope|unsupported_response_type|response_type|code_challenge|pkce|invalid_target|\bresource\b|access_denied|\bscope",
    re.I,
)


@rule(
    "authz-response-type",
    must("OAuth 2.1 draft-13 §4.1.1", _OAUTH21_411),
    who="client",
    stops_at=("authorization-response",),
)
def response_type(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """`response_type` of the authorization request is not `code`.

    With `response_type=code` the browser returns a short-lived code, and no token is ever in a URL.
    Servers refuse other values, or send a token that this client cannot use.

    Usual causes: a hand-written login link; a client made for the old implicit flow.

    Repair: In the client: send `response_type=code`.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=token&client_id=client-1
        400

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
    """
    asked = request.get("response_type")
    if own_request(request) and asked != "code":
        hybrid = "code" in (asked or "").split()
        yield Problem(
            message=f"`response_type` is {asked or 'missing'}; it has to be code",
            at="request.query.response_type",
            expected="code",
            actual=asked,
            severity="note" if hybrid else None,
        )


@rule(
    "authz-duplicate-params",
    must("OAuth 2.1 draft-13 §3.1; RFC 6749 §3.1", _OAUTH21_31),
    who="client",
    severity="warning",
    stops_at=("authorization-response",),
)
def duplicate_parameters(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """A parameter occurs more than once in the authorization request.

    Which value counts is undefined, so servers have to refuse; some take the first, some the last.

    Usual causes: parameters are appended to a URL that has them already.

    Repair: In the client: set each parameter once, instead of appending it.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&client_id=client-1
        400

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
    """
    if not own_request(request):
        return
    for name, times in Counter(name for name, _ in request.request.query).items():
        if times > 1 and name not in _REPEATABLE:
            yield Problem(
                message=f"`{name}` occurs {times} times in the request; it may occur once",
                at=f"request.query.{name}",
                expected="1",
                actual=str(times),
            )


@rule(
    "authz-endpoint-query-lost",
    must("OAuth 2.1 draft-13 §3.1", _OAUTH21_31),
    who="client",
    stops_at=("authorization-response", "token-request"),
)
def endpoint_query_lost(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client drops or corrupts the query of the `authorization_endpoint`.

    The metadata names a URL with a query, for a tenant for example. The client's parameters have to
    be appended with `&`. With a second `?`, the first of them becomes part of the value before it;
    and where the query is dropped, the server uses the wrong tenant.

    Usual causes: the client concatenates URL, `?` and parameters as strings.

    Repair: In the client: add the parameters with a URL type. On the server: an authorization
    endpoint without query avoids the problem.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize?tenant=7"}
        @browser
        GET https://as.example.com/authorize?tenant=7?client_id=client-1&response_type=code
        400

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize?tenant=7"}
        @browser
        GET https://as.example.com/authorize?tenant=7&client_id=client-1&response_type=code
        302
    """
    named = so_far.learned("authorization_endpoint", request.url)
    if named is None or request.exchange.actor not in ("client", "browser"):
        return
    wanted = Request(method="GET", url=named.value).query
    if not wanted or (request.initiator and request.initiator.at == "response.header.location"):
        return
    sent = dict(request.request.query)
    lost = [name for name, value in wanted if name != "resource" and sent.get(name) != value]
    if request.url.count("?") > 1 or lost:
        what = f"`{lost[0]}` is lost" if lost and request.url.count("?") < 2 else "a second `?` follows"
        yield Problem(
            message=f"the authorization endpoint is {named.value}, and in the request {what}",
            at="request.url",
            expected=f"{named.value}&…",
            actual=request.url.partition("&")[0],
        )


@rule(
    "authz-wrong-endpoint",
    practice("RFC 8414 §2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"),
    who="client",
    severity="warning",
    stops_at=("authorization-response",),
)
def wrong_endpoint(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client opens a URL that is not the `authorization_endpoint` of the metadata.

    The client has read the metadata but uses another URL, so its stored data is older than the
    metadata.

    Usual causes: stored login data from before a move; a URL hard-coded in the client.

    Repair: Remove the server from the client, or clear its stored login, and connect anew.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/old/authorize?response_type=code&client_id=client-1
        404

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
    """
    metadata = so_far.metadata
    endpoint = metadata.get("authorization_endpoint") if metadata else None
    if metadata is None or not endpoint or not own_request(request) or metadata.exchange.actor != "client":
        return
    follows = so_far.authorization
    another = follows is not None and follows.exchange.id > metadata.exchange.id
    if so_far.learned("authorization_endpoint", request.url) is None and not another:
        yield Problem(
            message=f"the request goes to {request.request.bare_url}; the metadata names {endpoint}",
            at="request.url",
            expected=endpoint,
            actual=request.request.bare_url,
        )


@rule(
    "authz-get-not-supported",
    must("OAuth 2.1 draft-13 §3.1", _OAUTH21_31),
    who="authorization-server",
    stops_at=("authorization-response",),
)
def get_not_supported(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The authorization endpoint does not accept GET.

    The client opens this URL in a browser, and browsers open URLs with GET. What the user sees is
    "method not allowed" or an empty page.

    Usual causes: only POST is routed; the metadata names a URL that does not exist.

    Repair: Route GET at the `authorization_endpoint` of the metadata, or correct that URL.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        405

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
    """
    if request.request.method != "GET" or request.status not in (404, 405) or not request.get("client_id"):
        return
    if request.status == 404:
        no = refusal(request, so_far)
        if so_far.learned("authorization_endpoint", request.url) is None or no is None:
            return
        if not no.vague or no.error:
            return
    yield Problem(
        message=f"GET on the authorization endpoint answers {request.status}; browsers open it with GET",
        at="response.status",
        expected="a page or a redirect",
        actual=str(request.status),
    )


@rule(
    "authz-error-not-redirected",
    must(
        "OAuth 2.1 draft-13 §4.1.2.1",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2.1",
    ),
    who="authorization-server",
    severity="warning",
    symptom=True,
)
def error_not_redirected(stage: AuthorizationRequest | Interaction, so_far: Handshake) -> Problems:
    """The server shows an error page instead of redirecting to `redirect_uri` with `error`.

    Client and redirect URI are valid here, so the error has to go to the client. Instead the client
    waits for its callback until it gives up, and shows "timed out".

    Usual causes: an exception handler renders every error as a page.

    Repair: Redirect to the client's `redirect_uri` with `error`, `state` and `iss`. Show a page
    only when the client or its redirect URI is invalid.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback&scope=all
        400 {"error": "invalid_scope"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback&scope=all
        302
        Location: http://localhost:8000/callback?error=invalid_scope
    """
    no = refusal(stage, so_far)
    if no is None or no.redirected or no.about(REDIRECT) or no.about(CLIENT):
        return
    broken_down = (stage.status or 0) >= 500
    known = registered_uris(no.asked, so_far) or ()
    accepted = no.asked.redirect_uri in known or isinstance(stage, Interaction)
    if accepted and (broken_down or (no.about(_TELLABLE) and isinstance(stage, AuthorizationRequest))):
        yield Problem(
            message=f"the refusal ({no.quoted}) stays on the server's page; it has to go to {no.asked.redirect_uri}",
            at="response.status",
            expected="302 to the redirect_uri with error",
            actual=str(stage.status),
        )


@rule(
    "authz-cors-enabled",
    must("OAuth 2.1 draft-13 §3.1", _OAUTH21_31),
    who="authorization-server",
    severity="note",
)
def cors_enabled(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The authorization endpoint sends `Access-Control-Allow-Origin`.

    Users are redirected to this page; scripts do not need to read it. The header does not break a
    login, but it is an unnecessary permission.

    Usual causes: CORS is enabled for the whole server.

    Repair: Leave the authorization endpoint out of the CORS configuration.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
        Access-Control-Allow-Origin: *

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
    """
    allowed = request.exchange.response.header("access-control-allow-origin") if request.exchange.response else None
    if allowed:
        yield Problem(
            message=f"the answer has Access-Control-Allow-Origin: {allowed}; this endpoint should have none",
            at="response.header.access-control-allow-origin",
            expected="no such header",
            actual=allowed,
        )
