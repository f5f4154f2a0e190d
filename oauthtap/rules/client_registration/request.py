"""What the client writes into its registration: types, grants, and how it means to authenticate."""

from __future__ import annotations

import re
from typing import Any

from oauthtap.diagnosis.findings import Problem, Problems, Severity
from oauthtap.handshake.stages import Registration, TokenRefresh, text, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule

_WEB = re.compile(r"https?:", re.I)
_DEFAULT_METHODS = ("client_secret_basic",)
"""What RFC 8414 reads into metadata without a list of methods."""


def _sent(stage: Registration) -> dict[str, Any]:
    """The metadata of a new registration by the client itself; empty for any other exchange."""
    return {} if stage.managing or stage.exchange.actor != "client" else stage.requested


def _lives_on_device(uri: str) -> bool:
    """A redirect URI that only an installed program can have: loopback, or a scheme of its own."""
    return urls.is_loopback(uri) or not _WEB.match(uri)


def _refused(stage: Registration) -> bool:
    return stage.status is not None and 400 <= stage.status < 500


def _blames_redirect(stage: Registration) -> bool:
    return _refused(stage) and "redirect" in stage.answer_text.lower()


@rule(
    "dcr-request-content-type",
    must("RFC 7591 §3.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.1"),
    who="client",
)
def content_type(stage: Registration, so_far: Handshake) -> Problems:
    """The registration request is not a JSON object (`application/json`).

    A registration is a JSON object with the media type `application/json`. Unlike the token
    endpoint, it does not accept a form: the server cannot parse the body and answers 400 or 415,
    often without a reason.

    Usual causes: the HTTP library posts a form by default; the body was built by hand without the
    header.

    Repair: Send the client metadata as a JSON object, with `Content-Type: application/json`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register client_name=Example&redirect_uris=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        400 {"error": "invalid_client_metadata"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if stage.managing or stage.exchange.actor != "client" or stage.request.truncated:
        return
    kind = stage.request.media_type
    if not stage.requested:
        yield Problem(
            message=f"the registration is sent as {kind or 'nothing at all'}, and no JSON object can be read from it",
            at="request.body",
            expected="one JSON object",
            actual=kind,
        )
    elif kind != "application/json" and not kind.endswith("+json"):
        yield Problem(
            message=f"the registration is JSON, but says it is {kind or 'of no type'}; it has to say application/json",
            at="request.header.content-type",
            expected="application/json",
            actual=kind,
        )


@rule(
    "dcr-request-redirect-uris-missing",
    must("RFC 7591 §2", "https://www.rfc-editor.org/rfc/rfc7591.html#section-2"),
    who="client",
)
def redirect_uris_missing(stage: Registration, so_far: Handshake) -> Problems:
    """The registration request has no `redirect_uris`.

    After the login the authorization server redirects only to a registered redirect URI. Without
    one it either refuses the registration or creates a client that can never finish a sign-in.

    Usual causes: the callback listener was not started yet when the client registered, so its port
    was unknown; the member was sent as one string, or as `redirect_uri`.

    Repair: Send `redirect_uris`, a list with every redirect URI that the client will use.

    Bad:
        POST https://as.example.com/register
          {"client_name": "Example", "grant_types": ["authorization_code"], "redirect_uris": []}
        400 {"error": "invalid_redirect_uri"}

    Good:
        POST https://as.example.com/register
          {"client_name": "Example", "grant_types": ["authorization_code"],
           "redirect_uris": ["http://127.0.0.1:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/callback"]}
    """
    sent = _sent(stage)
    grants = sent.get("grant_types", ["authorization_code"])
    if sent and "authorization_code" in texts(grants) and not texts(sent.get("redirect_uris")):
        yield Problem(
            message="the registration is for the authorization code grant and has no list of `redirect_uris`",
            at="request.json.redirect_uris",
            expected="a list with at least one URL",
            actual=str(sent.get("redirect_uris"))[:80],
        )


@rule(
    "dcr-request-application-type-missing",
    must(
        "MCP 2026-07-28 Client Registration 'Application Type and Redirect URI Constraints'; SEP-837",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration#application-type-and-redirect-uri-constraints",
    ),
    who="client",
    severity="warning",
)
def application_type_missing(stage: Registration, so_far: Handshake) -> Problems:
    """The registration request has no `application_type`.

    Servers that follow OpenID Connect treat every client without `application_type` as `web`, and
    `web` clients may not have `http://localhost` or a custom scheme as redirect URI. This is the
    usual reason why command line clients are refused. Clients have to send it since MCP 2026-07-28;
    before that it was optional.

    Usual causes: the client's SDK is older than the rule.

    Repair: Send `"application_type": "native"` for programs on the user's machine, `"web"`
    for hosted ones.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:4711/callback"]}
        400 {"error": "invalid_redirect_uri", "error_description": "web clients need https"}

    Good:
        POST https://as.example.com/register
          {"application_type": "native", "redirect_uris": ["http://localhost:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://localhost:4711/callback"]}
    """
    sent = _sent(stage)
    kind = sent.get("application_type")
    on_device = any(map(_lives_on_device, texts(sent.get("redirect_uris"))))
    required = so_far.revision >= "2026-07-28"
    if not sent or kind in ("native", "web") or not (required or on_device):
        return
    hurts = required or (on_device and _blames_redirect(stage))
    wanted = "native" if on_device else "web"
    yield Problem(
        message=f"`application_type` is {'missing' if kind is None else kind!r}; for these redirect URIs it is {wanted!r}",
        at="request.json.application_type",
        expected=wanted,
        actual=text(kind),
        severity="warning" if hurts else "note",
    )


@rule(
    "dcr-request-application-type-conflict",
    should(
        "OIDC Dynamic Client Registration 1.0 §2; MCP 2026-07-28 Client Registration",
        "https://openid.net/specs/openid-connect-registration-1_0.html#ClientMetadata",
    ),
    who="client",
)
def application_type_conflict(stage: Registration, so_far: Handshake) -> Problems:
    """`application_type` of the registration does not match its redirect URIs.

    A `web` client has https redirect URIs, a `native` one loopback addresses or a custom scheme.
    Servers that follow OpenID Connect enforce this and answer `invalid_redirect_uri`, at the
    registration or only at the authorization endpoint.

    Usual causes: `application_type` was left out, the server applied its default `web`, and the
    redirect URI is `http://localhost`.

    Repair: Send the type that fits the redirect URIs: `native` for loopback addresses and custom
    schemes, `web` for https.

    Bad:
        POST https://as.example.com/register
          {"application_type": "web", "redirect_uris": ["http://localhost:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://localhost:4711/callback"]}

    Good:
        POST https://as.example.com/register
          {"application_type": "native", "redirect_uris": ["http://localhost:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://localhost:4711/callback"]}
    """
    sent = _sent(stage)
    uris = texts(sent.get("redirect_uris"))
    kind = sent.get("application_type") or (stage.issued.get("application_type") if stage.ok else None)
    on_device = [uri for uri in uris if _lives_on_device(uri)]
    if kind == "web" and on_device:
        stated = "application_type" in sent
        yield Problem(
            message=f"the client is registered as `web`, and {on_device[0]} is an address only native clients may have",
            at=f"{'request' if stated else 'response'}.json.application_type",
            expected="native",
            actual="web",
            severity=None if stated else "note",  # the server filled it in, and took the address all the same
        )
    elif kind == "native" and uris and not on_device and _blames_redirect(stage):
        # Claimed https addresses of native apps are legitimate, so only a refusal makes this worth saying.
        yield Problem(
            message=f"the client registers as `native` with no address but {uris[0]}, and the server refuses it",
            at="request.json.application_type",
            expected="web",
            actual="native",
        )


@rule(
    "dcr-request-grant-response-inconsistent",
    must("RFC 7591 §2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-2.1"),
    who="client",
    severity="warning",
)
def grant_response_inconsistent(stage: Registration, so_far: Handshake) -> Problems:
    """`grant_types` and `response_types` of the registration do not match.

    The response type `code` and the grant type `authorization_code` belong together. With only one
    of them a client can request a code but not redeem it, or the reverse. The server has to refuse
    or to guess.

    Usual causes: one of the two lists was changed for refresh tokens or for another flow,
    and the other was forgotten.

    Repair: Send `"grant_types": ["authorization_code", "refresh_token"]` together with
    `"response_types": ["code"]`, or neither.

    Bad:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "grant_types": ["refresh_token"], "response_types": ["code"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}

    Good:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "grant_types": ["authorization_code"], "response_types": ["code"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    sent = _sent(stage)
    if not sent or not isinstance(sent.get("response_types"), list):
        return  # left out, both lists default to the two halves of the code flow
    grants = texts(sent.get("grant_types", ["authorization_code"]))
    responses = texts(sent["response_types"])
    redeems = "authorization_code" in grants
    asks = any("code" in response.split() for response in responses)
    if redeems != asks:
        yield Problem(
            message=f"`grant_types` is {list(grants)} and `response_types` is {list(responses)}; "
            f"{'`code` is missing from the second' if redeems else '`authorization_code` is missing from the first'}",
            at="request.json.response_types" if redeems else "request.json.grant_types",
            expected="code" if redeems else "authorization_code",
            actual=", ".join(responses if redeems else grants),
        )


@rule(
    "dcr-request-no-refresh-grant",
    should(
        "MCP 2026-07-28 'Refresh Tokens'; RFC 7591 §2",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#refresh-tokens",
    ),
    who="client",
    severity="note",
    stops_at=("token-refresh", "mcp-token-rejected"),
)
def no_refresh_grant(stage: Registration | TokenRefresh, so_far: Handshake) -> Problems:
    """`grant_types` of the registration does not include `refresh_token`.

    Without `refresh_token` among its `grant_types` a client is registered for the code grant alone.
    Servers that apply this issue no refresh token, or refuse it with `unauthorized_client` when it
    is used, and the user signs in again at every expiry.

    Usual causes: `grant_types` was left out (it then means `["authorization_code"]`), or written
    before refresh was implemented.

    Repair: Register with `"grant_types": ["authorization_code", "refresh_token"]`; clients that are
    already registered have to register again.

    Bad:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "grant_types": ["authorization_code"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        @+3600
        POST https://as.example.com/token grant_type=refresh_token&refresh_token=made-up-rt&client_id=c1
        400 {"error": "unauthorized_client"}

    Good:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "grant_types": ["authorization_code", "refresh_token"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        @+3600
        POST https://as.example.com/token grant_type=refresh_token&refresh_token=made-up-rt&client_id=c1
        200 {"access_token": "made-up-at", "token_type": "Bearer"}
    """
    if isinstance(stage, Registration):
        sent = _sent(stage)
        if sent and so_far.revision >= "2026-07-28" and "refresh_token" not in texts(sent.get("grant_types")):
            yield _without_refresh(sent, stage.exchange.id, "note")
        return
    registration = so_far.registration
    if stage.ok or registration is None or stage.oauth_error != "unauthorized_client":
        return
    granted = registration.issued.get("grant_types", registration.requested.get("grant_types"))
    if stage.get("client_id") not in (None, registration.issued.get("client_id")):
        return
    if "refresh_token" not in texts(registration.requested.get("grant_types")) and "refresh_token" not in texts(
        granted
    ):
        yield _without_refresh(registration.requested, registration.exchange.id, "error")


def _without_refresh(sent: dict[str, Any], exchange: int, severity: Severity) -> Problem:
    grants = list(texts(sent.get("grant_types", ["authorization_code"])))
    then = ", and its refresh is refused with `unauthorized_client`" if severity == "error" else ""
    return Problem(
        message=f"the client registered with `grant_types` {grants}, without `refresh_token`{then}",
        at="request.json.grant_types",
        expected="refresh_token",
        actual=", ".join(grants),
        exchange=exchange,
        severity=severity,
    )


@rule(
    "dcr-request-auth-method-omitted",
    practice("RFC 7591 §2", "https://www.rfc-editor.org/rfc/rfc7591.html#section-2"),
    who="client",
)
def auth_method_omitted(stage: Registration, so_far: Handshake) -> Problems:
    """The registration request has no `token_endpoint_auth_method`.

    Left out, `token_endpoint_auth_method` means `client_secret_basic`: the server issues a secret
    and expects it in a Basic header. A client that then sends no secret, or sends it in the form,
    is refused with `invalid_client`.

    Usual causes: a public client that does not say so.

    Repair: Send `"token_endpoint_auth_method": "none"` for a client that keeps no secret.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}

    Good:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "none"}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    sent = _sent(stage)
    if sent and sent.get("token_endpoint_auth_method") is None:
        yield Problem(
            message="`token_endpoint_auth_method` is missing, which means `client_secret_basic`",
            at="request.json.token_endpoint_auth_method",
            expected="none, or the method the client will use",
        )


@rule(
    "dcr-request-auth-method-unsupported",
    practice("RFC 7591 §2; RFC 8414 §2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"),
    who="client",
    severity="warning",
)
def auth_method_unsupported(stage: Registration, so_far: Handshake) -> Problems:
    """The registered `token_endpoint_auth_method` is not one that the metadata lists.

    The metadata names in `token_endpoint_auth_methods_supported` how clients may authenticate;
    without that list the default is `client_secret_basic`. A server may refuse a registration for
    any other method, and this one did.

    Usual causes: the client supports one method and does not read the list.

    Repair: Register a method from the list; or, if the server does accept this one, add it
    to the list in its metadata.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register",
             "token_endpoint_auth_methods_supported": ["none"]}
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "client_secret_post"}
        400 {"error": "invalid_client_metadata"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register",
             "token_endpoint_auth_methods_supported": ["none"]}
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "none"}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    method = text(_sent(stage).get("token_endpoint_auth_method"))
    if method is None or so_far.metadata is None or stage.status not in (400, 422):
        return  # a server that registers an unlisted method evidently supports it
    if _blames_redirect(stage):
        return
    listed = so_far.metadata.list("token_endpoint_auth_methods_supported") or _DEFAULT_METHODS
    if method not in listed:
        yield Problem(
            message=f"`token_endpoint_auth_method` is {method!r}; the metadata lists {', '.join(listed)}",
            at="request.json.token_endpoint_auth_method",
            expected=", ".join(listed),
            actual=method,
        )
