"""The token answer as an HTTP message: its status, its media type, who may read and keep it."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Preflight, Registration, TokenEndpoint, TokenMaintenance, text
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model.exchange import Request, first_value
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_ANSWER = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2.3"


@rule(
    "token-resp-status",
    must("OAuth 2.1 draft-13 §3.2.3; RFC 6749 §5.1", _ANSWER),
    who="authorization-server",
    severity="warning",
)
def status(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """A successful token response does not have status 200.

    Some clients accept only 200. They reject the token and report a failure whose text is a valid
    token response.

    Usual causes: a framework that answers every POST with 201.

    Repair: Answer a successful token request with 200.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        201 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if token.exchange.response and text(token.answer_object.get("access_token")) and token.status != 200:
        yield Problem(
            message=f"the answer holds an access token and has status {token.status}; it has to be 200",
            at="response.status",
            expected="200",
            actual=str(token.status),
            patch=Patch(status=200),
        )


@rule(
    "token-resp-redirect",
    practice("OAuth 2.1 draft-13 §3.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2"),
    who="authorization-server",
    severity="error",
)
def redirect(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token endpoint answers with a redirect.

    After 301 or 302 most clients send GET without the form, so the next server gets an empty
    request. Careful clients do not follow at all, because they would send code and secret to
    another server.

    Usual causes: http to https, a renamed host, a trailing slash.

    Repair: Put the final URL into `token_endpoint`, or answer at the current URL.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        301
        Location: https://www.example.com/token

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if token.status in (301, 302, 303, 307, 308):
        target = absolute(token.response.header("location") or "", token.url)
        yield Problem(
            message=f"the token endpoint answers {token.status} and redirects to {target or 'no URL'}",
            at="response.header.location",
            expected="an answer at this URL",
            actual=target,
        )


@rule("token-resp-form-encoded", must("OAuth 2.1 draft-13 §3.2.3; RFC 6749 §5.1", _ANSWER), who="authorization-server")
def form_encoded(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token response is form-encoded instead of JSON.

    Clients parse the response as JSON, fail at the first character, and show "Unexpected token a",
    although the access token was issued.

    Usual causes: GitHub and other servers do so unless the request has `Accept: application/json`.

    Repair: Answer with `application/json`. A client can send `Accept: application/json`.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 access_token=made-up-token-1&token_type=bearer

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "bearer"}
    """
    if token.ok and _form_token(token):
        yield Problem(
            message="the token answer is form-encoded (`access_token=…&…`); it has to be one JSON object",
            at="response.body",
            expected="application/json",
            actual=token.response.media_type or "a form",
        )


@rule("token-resp-not-json", must("OAuth 2.1 draft-13 §3.2.3", _ANSWER), who="authorization-server")
def not_json(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token response has a success status, but is not `application/json`.

    The client gets a 200 and cannot parse it. It shows a parser error, not the server's problem.
    Usual causes: a login or error page with status 200; a bare token as text; JSON that is labelled
    `text/plain`.

    Repair: Answer with one JSON object and Content-Type application/json.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 text/html <html>Please sign in</html>

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not token.ok or token.request.method != "POST" or _form_token(token) or token.certainty == "guess":
        return
    kind = token.response.media_type
    if not isinstance(token.answer, dict):
        found = "empty" if not token.answer_text.strip() else kind or "no JSON object"
        yield Problem(
            message=f"the token answer has status {token.status} and is {found}; it has to be one JSON object",
            at="response.body",
            expected="one JSON object",
            actual=found,
        )
    elif kind != "application/json":
        yield Problem(
            message=f"the token answer is JSON but is labelled {kind or 'nothing'}; it has to be application/json",
            at="response.header.content-type",
            expected="application/json",
            actual=kind,
            severity="warning",
            patch=Patch(headers={"Content-Type": "application/json"}),
        )


@rule(
    "token-resp-cacheable",
    must("OAuth 2.1 draft-13 §3.2.3; RFC 6749 §5.1", _ANSWER),
    who="authorization-server",
    severity="note",
)
def cacheable(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token response has no `Cache-Control: no-store`.

    Without it a proxy or browser may store the response, and with it the token. Usual causes: the
    header is set for pages, not for the API.

    Repair: Send `Cache-Control: no-store` with every token response.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        Cache-Control: no-store
    """
    if not token.ok or token.access_token is None:
        return
    control = token.response.header("cache-control")
    if "no-store" not in (control or "").lower():
        yield Problem(
            message=f"the token answer has Cache-Control {control or '(none)'}; it has to be no-store",
            at="response.header.cache-control",
            expected="no-store",
            actual=control,
            patch=Patch(headers={"Cache-Control": "no-store"}),
        )


@rule(
    "cors-token-endpoint",
    practice("OAuth 2.1 draft-13 §3.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2"),
    who="authorization-server",
    severity="warning",
)
def cors(stage: TokenEndpoint | Registration | TokenMaintenance, so_far: Handshake) -> Problems:
    """The endpoint's response has no `Access-Control-Allow-Origin`, so a browser client cannot read it.

    The request arrives and is answered, but the browser does not give the response to the page,
    because no header allows it. The client only sees a failed fetch. Usual causes: CORS is enabled
    for the metadata but not for the endpoints.

    Repair: Send `Access-Control-Allow-Origin` on the token, registration and revocation endpoints,
    on errors too. Leave it out if clients in browsers are not supported.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        Origin: https://inspector.example.com
        Sec-Fetch-Mode: cors
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        Origin: https://inspector.example.com
        Sec-Fetch-Mode: cors
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        Access-Control-Allow-Origin: *
    """
    origin = stage.request.header("origin")
    if origin is None or stage.exchange.response is None:
        return
    asked_first = any(stage.request.bare_url == p.request.bare_url for p in so_far.all(Preflight)[-50:])
    in_browser = stage.request.header("sec-fetch-mode") == "cors" or asked_first
    if in_browser and stage.response.header("access-control-allow-origin") is None:
        yield Problem(
            message=f"the answer has no Access-Control-Allow-Origin; a page of {origin} cannot read it",
            at="response.header.access-control-allow-origin",
            expected=f"* or {origin}",
            actual="absent",
            patch=Patch(headers={"Access-Control-Allow-Origin": "*"}),
        )


def _form_token(token: TokenEndpoint) -> bool:
    """The body is a form with an access token in it."""
    return first_value(Request(method="", url="", body=token.answer_text).form, "access_token") is not None
