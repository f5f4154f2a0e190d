"""The token request as an HTTP message: method, media type, parameters."""

from __future__ import annotations

from collections import Counter

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Mcp, Registration, ServerMetadata, TokenEndpoint
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import by_client
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_FORM = "application/x-www-form-urlencoded"
_TOKEN_REQUEST = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2"
_SECRETS = ("client_secret", "code", "refresh_token", "code_verifier")
_MANY = ("resource", "audience")


@rule("token-method", must("OAuth 2.1 draft-13 §3.2", _TOKEN_REQUEST), who="client")
def method(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token request does not use POST.

    Token endpoints support only POST and answer anything else with 405. With GET, the code and the
    secrets would also be in the logs of every proxy.

    Usual causes: a hand-written client, or a token URL opened in a browser.

    Repair: Send the token request as POST, with the parameters in a form body.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
        GET https://as.example.com/token?grant_type=authorization_code&client_id=c1
        405

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if by_client(token) and token.request.method not in ("POST", "OPTIONS", "HEAD"):
        yield Problem(
            message=f"the token request is a {token.request.method}; token endpoints take POST",
            at="request.method",
            expected="POST",
            actual=token.request.method,
        )


@rule(
    "token-content-type",
    must(
        "OAuth 2.1 draft-13 §3.2.2; RFC 6749 §4.1.3",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2.2",
    ),
    who="client",
)
def content_type(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token request is not form-encoded.

    A token endpoint reads a form. From a JSON body it reads nothing, and answers that `grant_type`
    is missing although the body has it.

    Usual causes: an HTTP library whose default is JSON.

    Repair: Send the parameters form-encoded, with Content-Type application/x-www-form-urlencoded.

    Bad:
        POST https://as.example.com/token {"grant_type": "authorization_code", "code": "made-up-code-1"}
        400 {"error": "invalid_request", "error_description": "grant_type missing"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token) or token.request.method != "POST" or token.request.body == "":
        return
    kind = token.request.media_type
    as_json = (token.request.body or "").lstrip()[:1] in ("{", "[")
    if as_json or kind not in ("", _FORM) or (kind == "" and token.request.body is not None):
        actual = kind or "no Content-Type"
        yield Problem(
            message=f"the token request is sent as {'JSON' if as_json else actual}; it has to be {_FORM}",
            at="request.body" if kind == _FORM else "request.header.content-type",
            expected=_FORM,
            actual=actual,
        )


@rule(
    "token-grant-type-missing",
    must("OAuth 2.1 draft-13 §3.2.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2.2"),
    who="client",
)
def grant_type_missing(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token request has no `grant_type`.

    The endpoint supports several grants, and `grant_type` selects one. Without it every server
    answers `invalid_request`. Usual causes: a hand-written client; a body that was lost in transit.

    Repair: Send `grant_type=authorization_code` with the code, or the grant you need.

    Bad:
        POST https://as.example.com/token code=made-up-code-1&client_id=c1
        400 {"error": "invalid_request"}
        POST https://as.example.com/token grant_type=&code=made-up-code-1&client_id=c1
        400 {"error": "invalid_request"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token) or token.request.method != "POST" or token.request.media_type.startswith("multipart/"):
        return
    if token.certainty != "guess" and not token.grant:
        yield Problem(
            message="the token request has no `grant_type`; a code exchange needs `authorization_code`",
            at="request.form.grant_type",
            expected="authorization_code",
            actual="absent" if token.grant is None else "empty",
        )


@rule(
    "token-duplicate-params",
    must("OAuth 2.1 draft-13 §3.2", _TOKEN_REQUEST),
    who="client",
    severity="warning",
)
def duplicate_params(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """A parameter occurs more than once in the token request.

    Each parameter may occur once. Of two values one server takes the first, another the last, and a
    strict one refuses the request with `invalid_request`.

    Usual causes: defaults and explicit parameters are both appended to the form.

    Repair: Send each parameter once. Only `resource` and `audience` may repeat.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&client_id=c1
        400 {"error": "invalid_request"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token):
        return
    for name, times in Counter(name for name, _ in token.form).items():
        if times > 1 and name not in _MANY:
            yield Problem(
                message=f"`{name}` occurs {times} times in the token request; it may occur once",
                at=f"request.form.{name}",
                expected="once",
                actual=f"{times} times",
            )


@rule(
    "token-secret-in-url",
    must(
        "OAuth 2.1 draft-13 §2.4.1 and §3.2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.4.1",
    ),
    who="client",
)
def secret_in_url(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The client puts a code or a secret into the query of the token endpoint.

    URLs are kept in access logs, proxies and monitoring, and with them the credential. Servers that
    read only the body refuse the request as well.

    Usual causes: the parameters were handed to the HTTP library as `params` instead of `data`.

    Repair: Send all parameters in the form body, and treat a secret that was in a URL as leaked.

    Bad:
        POST https://as.example.com/token?client_secret=made-up-secret-1 grant_type=authorization_code&client_id=c1
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&client_secret=made-up-secret-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token):
        return
    for name in dict.fromkeys(name for name, value in token.request.query if name in _SECRETS and value):
        yield Problem(
            message=f"`{name}` is in the query of the token endpoint's URL; it belongs in the body",
            at=f"request.query.{name}",
            expected="in the form body",
            actual="in the URL",
        )


@rule(
    "token-stray-bearer",
    practice(
        "OAuth 2.1 draft-13 §2.4; MCP 2026-07-28 'Token Handling'",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.4",
    ),
    who="client",
    severity="warning",
)
def stray_bearer(stage: TokenEndpoint | ServerMetadata | Registration, so_far: Handshake) -> Problems:
    """The client sends a Bearer token to the authorization server.

    A header that is configured for the MCP server is sent with every request. The authorization
    server gets a token that is not for it, and may treat the header as a second, failing client
    authentication.

    Usual causes: one set of custom headers for all requests of the client.

    Repair: Send the configured `Authorization` header only with requests to the MCP URL.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        Authorization: Bearer made-up-static-key
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if stage.exchange.actor != "client" or stage.bearer is None:
        return
    if isinstance(stage, ServerMetadata) and urls.origin(stage.url) == urls.origin(so_far.resource or ""):
        return
    if isinstance(stage, Registration) and not _used_at_mcp(stage.bearer, so_far):
        return
    yield Problem(
        message=f"a Bearer token goes along to {urls.origin(stage.url)}; a {stage.slug} request carries none",
        at="request.header.authorization",
        expected="no Bearer token",
        actual="a Bearer token",
    )


def _used_at_mcp(token: str, so_far: Handshake) -> bool:
    return any(stage.bearer == token for stage in so_far.all(Mcp)[-50:])
