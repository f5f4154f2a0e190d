"""PKCE in the metadata: `code_challenge_methods_supported`."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, ServerMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_CODE_PROTECTION = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#authorization-code-protection"
_OAUTH21_411 = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.1"
_MEMBER = "code_challenge_methods_supported"


def _absent(document: ServerMetadata) -> Problems:
    yield Problem(
        message=f"the metadata has no `{_MEMBER}`; it has to list S256",
        at=f"response.json.{_MEMBER}",
        expected='["S256"]',
        patch=Patch(merge={_MEMBER: ["S256"]}, assumes="the server supports PKCE with S256"),
    )


def _interactive(document: ServerMetadata) -> bool:
    return document.published and "authorization_endpoint" in document.document


@rule(
    "as-pkce-methods-missing",
    must(
        "MCP 2026-07-28 Authorization Security Considerations 'Authorization Code Protection'; RFC 8414 §2",
        _CODE_PROTECTION,
    ),
    who="authorization-server",
    since="2025-11-25",
    stops_at=("client-registration", "authorization-request"),
)
def pkce_methods_missing(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The authorization server metadata has no `code_challenge_methods_supported` (PKCE).

    PKCE ties the code in the redirect to the client that asked for it. A missing list means "not
    supported", and a client that follows the specification strictly refuses to continue. The common
    SDKs are lenient here, so it may work with one client and fail with another.

    Usual causes: the server supports PKCE, but does not advertise it.

    Repair: Add `"code_challenge_methods_supported": ["S256"]` to the metadata.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "code_challenge_methods_supported": ["S256"]}
    """
    if not document.oidc and _interactive(document) and _MEMBER not in document.document:
        yield from _absent(document)


@rule(
    "oidc-pkce-methods-missing",
    must(
        "MCP 2026-07-28 Authorization Security Considerations 'Authorization Code Protection'",
        _CODE_PROTECTION,
    ),
    who="authorization-server",
    since="2025-11-25",
    stops_at=("client-registration", "authorization-request"),
)
def openid_pkce_methods_missing(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The OpenID configuration has no `code_challenge_methods_supported` (PKCE).

    OpenID Connect does not require this member, MCP does: a client that follows the specification
    strictly refuses to continue without it. Lenient clients continue.

    Usual causes: a general identity provider (Entra's documents lack the member, though it
    supports PKCE).

    Repair: If the provider cannot be configured to publish it, serve a copy of its document at a
    URL you control and add `"code_challenge_methods_supported": ["S256"]`.

    Bad:
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}

    Good:
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "code_challenge_methods_supported": ["S256"]}
    """
    if document.oidc and _interactive(document) and _MEMBER not in document.document:
        yield from _absent(document)


@rule(
    "as-pkce-no-s256",
    must("OAuth 2.1 draft-13 §4.1.1; RFC 7636 §4.2", _OAUTH21_411),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def pkce_without_s256(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`code_challenge_methods_supported` does not include `S256`.

    `S256` is the method that every client uses. If the list exists without it, the SDKs stop with
    "does not support code challenge method S256".

    Usual causes: only `plain` is enabled; `s256` in lower case; an empty list.

    Repair: Enable S256 and list it exactly so.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "code_challenge_methods_supported": ["plain"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "code_challenge_methods_supported": ["S256"]}
    """
    listed = document.list(_MEMBER)
    if document.published and isinstance(document.document.get(_MEMBER), list) and "S256" not in listed:
        yield Problem(
            message=f"`{_MEMBER}` is [{', '.join(listed)}]; it has to include S256",
            at=f"response.json.{_MEMBER}",
            expected="S256",
            actual=", ".join(listed),
            patch=Patch(merge={_MEMBER: [*listed, "S256"]}, assumes="the server supports S256"),
        )


@rule(
    "as-pkce-plain-advertised",
    practice("OAuth 2.1 draft-13 §4.1.1", _OAUTH21_411),
    who="authorization-server",
)
def pkce_plain(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`code_challenge_methods_supported` includes `plain`.

    With `plain` the verifier itself goes through the browser, so it protects little. No MCP client
    uses it; advertising it only helps a downgrade attack.

    Usual causes: a default of the authorization server.

    Repair: Disable `plain` and list `S256` only.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "code_challenge_methods_supported": ["plain", "S256"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "code_challenge_methods_supported": ["S256"]}
    """
    listed = document.list(_MEMBER)
    if document.published and "plain" in listed:
        rest = [method for method in listed if method != "plain"]
        yield Problem(
            message=f"`{_MEMBER}` is [{', '.join(listed)}]; S256 alone would be better",
            at=f"response.json.{_MEMBER}",
            expected="S256",
            actual=", ".join(listed),
            patch=Patch(merge={_MEMBER: rest or None}),
        )


@rule(
    "client-ignored-missing-pkce-metadata",
    must(
        "MCP 2026-07-28 Authorization Security Considerations 'Authorization Code Protection'",
        _CODE_PROTECTION,
    ),
    who="client",
    severity="note",
    since="2025-11-25",
)
def went_on_without_pkce_list(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client continues although the metadata does not advertise PKCE.

    The specification tells clients to refuse here. This client is lenient; stricter clients will
    stop.

    Usual causes: the common SDKs skip the check when the list is absent.

    Repair: Let the authorization server publish `code_challenge_methods_supported`. The client
    needs no change.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "code_challenge_methods_supported": ["S256"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
    """
    metadata = so_far.metadata
    if request.exchange.actor not in ("client", "browser") or metadata is None:
        return
    if metadata.exchange.actor != "client" or not metadata.published or _MEMBER in metadata.document:
        return
    yield Problem(
        message=f"the metadata in exchange {metadata.exchange.id} has no `{_MEMBER}`, and the client goes on",
        at="request.url",
        expected="a refusal",
    )
