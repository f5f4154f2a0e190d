"""The authorization server ends the sign-in by its own decision, and says why."""

from __future__ import annotations

import html
import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, AuthorizationResponse, Interaction, Stage, TokenEndpoint
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Request, first_value
from oauthtap.model.requirements import practice
from oauthtap.rules import rule

_MEANS = {
    "access_denied": "the user, or a policy, refused",
    "invalid_scope": "a scope of the request is unknown to the server or not allowed for this client",
    "unauthorized_client": "this client may not use this flow",
    "unsupported_response_type": "the server does not answer this response_type",
    "invalid_request": "a parameter is missing, wrong or doubled; often it is PKCE",
    "server_error": "the server failed",
    "temporarily_unavailable": "the server is overloaded or in maintenance",
    "invalid_target": "the server does not know the `resource` of the request",
    "login_required": "the request forbids asking the user, who is not signed in",
    "consent_required": "the request forbids asking the user, who has not agreed yet",
    "interaction_required": "the request forbids asking the user, who would have to be asked",
    "account_selection_required": "the request forbids asking the user which account is meant",
    "invalid_request_uri": "the server cannot read the request_uri",
    "invalid_request_object": "the server cannot read the request object",
    "request_not_supported": "the server takes no request objects",
    "request_uri_not_supported": "the server takes no request_uri",
    "registration_not_supported": "the server takes no registration parameter",
    "invalid_authorization_details": "the server refuses the authorization_details",
    "unmet_authentication_requirements": "the sign-in was weaker than the request demands",
}
"""The codes registered for the authorization endpoint (OAuth 2.1, RFC 8707, RFC 9396, OpenID Connect)."""

_ENOUGH = 20_000
"""Characters of a page: an error stands at its beginning, and a hostile page must not cost time."""
_SILENT = ("login_required", "consent_required", "interaction_required", "account_selection_required")
_RESOURCE = re.compile(
    r"AADSTS(?:901002|9010010|500011)\b"
    r"|\bresource\b(?! owner| server).{0,80}"
    r"(?:not supported|unsupported|unknown|unrecogni[sz]ed|not (?:found|registered|allowed|valid)|invalid"
    r"|(?:doesn.?t|does not) match|mismatch)"
    r"|(?:unknown|invalid|unsupported|unrecogni[sz]ed)\s.{0,20}\bresource\b(?! owner| server)"
    r"|\"path\"\s*:\s*\[\s*\"resource\"",
    re.I | re.S,
)


def _answer(stage: AuthorizationResponse, so_far: Handshake) -> str | None:
    """The error of an answer to a request we saw, at its first sight; None otherwise."""
    asked = stage.requested.redirect_uri if stage.requested else None
    target = urls.without_query(stage.target)
    if not stage.error or (asked and not urls.redirect_matches(target, urls.without_query(asked))):
        return None
    seen = any(earlier.params == stage.params for earlier in so_far.all(AuthorizationResponse))
    return None if seen else stage.error


def _place(stage: AuthorizationResponse) -> str:
    return "request.query.error" if stage.callback else "response.header.location.error"


@rule(
    "authz-resp-error",
    practice(
        "OAuth 2.1 draft-13 §4.1.2.1; RFC 8707 §2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2.1",
    ),
    who="authorization-server",
    severity="error",
    echo=True,
)
def refused(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response has an `error` instead of a `code`.

    The sign-in ends here, because the server decided so. `error` says in which direction to look,
    `error_description` (if there is one) often the exact reason. `access_denied` is not a fault:
    the user or a policy refused.

    Usual causes: a scope or a resource the server does not know; a client that is not
    allowed the flow; a user who chose "cancel".

    Repair: Read the other findings on the authorization request first; then `error` and
    `error_description`.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?error=invalid_scope&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    error = _answer(stage, so_far)
    if error is None:
        return
    described = stage.get("error_description")
    said = f" ({described[:300]!r})" if described else ""
    means = _MEANS.get(error, "a code that no specification lists")
    iss = stage.get("iss")
    doubt = ""
    if iss and so_far.metadata and so_far.metadata.issuer and iss != so_far.metadata.issuer:
        doubt = f"; it says it comes from {iss}, so it may not be this server's answer"
    yield Problem(
        message=f"the server answers {error}{said} where a code was expected: {means}{doubt}",
        at=_place(stage),
        expected="code",
        actual=error,
        severity="note" if error == "access_denied" else "warning" if error in _SILENT else "error",
    )


@rule(
    "authz-resp-error-code-unknown",
    practice(
        "OAuth 2.1 draft-13 §4.1.2.1",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2.1",
    ),
    who="authorization-server",
)
def unknown_code(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """`error` of the authorization response is not a registered error code.

    Clients handle the registered codes. For any other they can only show that something failed.

    Usual causes: the server's own error names, or those of another endpoint, are passed on.

    Repair: Use a registered code, and put the details into `error_description`.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?error=E1234&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?error=server_error&state=s1
    """
    error = _answer(stage, so_far)
    if error is not None and error not in _MEANS:
        yield Problem(
            message=f"`error` is {error[:80]!r}, which no specification lists for the authorization endpoint",
            at=_place(stage),
            expected="a registered code, such as invalid_request",
            actual=error,
        )


@rule(
    "authz-resource-rejected",
    practice(
        "RFC 8707 §2; MCP 2026-07-28 'Resource Parameter Implementation'",
        "https://www.rfc-editor.org/rfc/rfc8707.html#section-2",
    ),
    who="authorization-server",
    severity="error",
    symptom=True,
    since="2025-06-18",
    stops_at=("authorization-request", "authorization-interaction", "token-request", "token-refresh"),
)
def resource_rejected(
    stage: AuthorizationRequest | Interaction | AuthorizationResponse | TokenEndpoint, so_far: Handshake
) -> Problems:
    """The authorization server does not accept the MCP server as `resource`.

    With `resource` clients say which MCP server the token is for. A server that looks the value up
    among its resources refuses an unknown one; Entra ID also compares it with the scopes of the
    request.

    Usual causes: the MCP URL is not registered as an identifier (audience, application ID URI) at
    the authorization server, or is registered with or without a trailing slash; `resource` of the
    metadata names something else.

    Repair: Register the MCP URL, exactly as the client sends it, as a resource at the
    authorization server.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&resource=https%3A%2F%2Fmcp.example.com%2Fmcp&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?error=invalid_target&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&resource=https%3A%2F%2Fmcp.example.com%2Fmcp&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    relayed = isinstance(stage, AuthorizationResponse) and stage.callback  # what came back stands in the URL
    if stage.exchange.actor not in ("client", "browser") or (stage.exchange.response is None and not relayed):
        return
    at, error, said = _refusal(stage)
    match = _RESOURCE.search(said)
    if error in ("invalid_target", "invalid_resource") or (match and error != "access_denied"):
        sent = _resource_sent(stage)
        quoted = f" ({said[:200]!r})" if said else ""
        yield Problem(
            message=f"resource {sent or '(none sent)'} is refused with {error or (match[0][:60] if match else '')}{quoted}",
            at=at,
            expected="a resource the server knows",
            actual=sent,
        )


def _refusal(stage: Stage) -> tuple[str, str | None, str]:
    """Place, code and words of an error: of the redirect, the JSON body, or the page."""
    if isinstance(stage, AuthorizationResponse) and stage.callback:
        return "request.query.error", stage.error, stage.get("error_description") or ""
    response = stage.response
    location = response.header("location") or ""
    target = location if 300 <= response.status < 400 else ""
    pairs = Request(method="GET", url=target.replace("#", "?", 1) if "?" not in target else target).query
    if first_value(pairs, "error") is not None:
        at = "response.header.location.error" if target is location else "request.query.error"
        return at, first_value(pairs, "error"), first_value(pairs, "error_description") or ""
    body = response.json_object
    if body and response.status >= 400:
        error, described = body.get("error"), body.get("error_description")
        at = "response.json.error"
        return at, error if isinstance(error, str) else None, described if isinstance(described, str) else ""
    page = (response.body or "")[:_ENOUGH]
    codes = re.findall(r"AADSTS\d+[^<]{0,200}", page) if response.media_type == "text/html" else []
    codes = [html.unescape(code) for code in codes]
    told = re.sub(r"<(style|script)\b.*?</\1>|<[^<>]*>", " ", page, flags=re.S) if response.status >= 400 else ""
    words = " ".join(codes) or " ".join(html.unescape(told[:3000]).split())
    return "response.body", None, words


def _resource_sent(stage: Stage) -> str | None:
    if isinstance(stage, AuthorizationResponse):
        return stage.requested.get("resource") if stage.requested else None
    if isinstance(stage, AuthorizationRequest | TokenEndpoint):
        return stage.get("resource")
    return None
