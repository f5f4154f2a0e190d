"""What the metadata says the server can do, and what it demands: response types, grants, requests."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, Registration, ServerMetadata, TokenEndpoint
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule

_RFC8414_2 = "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"


@rule(
    "as-response-types-missing",
    must("RFC 8414 §2; OIDC Discovery 1.0 §3", _RFC8414_2),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def response_types_missing(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The authorization server metadata has no `response_types_supported`.

    The member is required, and the TypeScript SDK rejects a document without it, so the login does
    not start. The Python SDK assumes `code`.

    Usual causes: a hand-written document, copied from an example that lacked it.

    Repair: Add `"response_types_supported": ["code"]`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token",
             "response_types_supported": ["code"]}
    """
    if document.published and "response_types_supported" not in document.document:
        named = [
            url for name, url in document.endpoints.items() if name in ("authorization_endpoint", "token_endpoint")
        ]
        yield Problem(
            message="the metadata has no `response_types_supported`; it has to list code",
            at="response.json.response_types_supported",
            expected='["code"]',
            patch=Patch(merge={"response_types_supported": ["code"]}),
            severity=None if all(map(urls.split, named)) else "warning",
        )


@rule(
    "as-response-types-no-code",
    must(
        "OAuth 2.1 draft-13 §4.1.1; RFC 8414 §2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.1",
    ),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def response_types_without_code(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`response_types_supported` does not include `code`.

    `code` is the only response type that MCP clients use. If the list lacks it, the SDKs stop with
    "does not support response type code".

    Usual causes: the application is set up for the old implicit flow; `Code` in another
    spelling; an empty list.

    Repair: Enable the authorization code flow, and list `code`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "response_types_supported": ["token", "id_token"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "response_types_supported": ["code", "id_token"]}
    """
    listed = document.list("response_types_supported")
    if not document.published or "code" in listed:
        return
    grants = document.list("grant_types_supported")
    if grants and "authorization_code" not in grants:
        return
    if isinstance(document.document.get("response_types_supported"), list):
        yield Problem(
            message=f"`response_types_supported` is [{', '.join(listed)}]; it has to include code",
            at="response.json.response_types_supported",
            expected="code",
            actual=", ".join(listed),
            patch=Patch(
                merge={"response_types_supported": [*listed, "code"]}, assumes="the server supports the code flow"
            ),
        )


@rule(
    "as-response-modes-no-query",
    practice("RFC 8414 §2 (response_modes_supported; omission means query and fragment)", _RFC8414_2),
    who="authorization-server",
    severity="warning",
    stops_at=("authorization-request", "authorization-response"),
)
def response_modes_without_query(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`response_modes_supported` does not include `query`.

    MCP clients read code and state from the query (`?code=…`). A fragment never reaches the
    client's callback listener, and most listeners do not accept a POST.

    Usual causes: the response modes are limited to `form_post` or `fragment`.

    Repair: Allow the response mode `query` and list it.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "response_modes_supported": ["form_post"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "response_modes_supported": ["query", "form_post"]}
    """
    listed = document.list("response_modes_supported")
    if document.published and listed and "query" not in listed:
        yield Problem(
            message=f"`response_modes_supported` is [{', '.join(listed)}]; clients need query",
            at="response.json.response_modes_supported",
            expected="query",
            actual=", ".join(listed),
            patch=Patch(
                merge={"response_modes_supported": [*listed, "query"]}, assumes="the server really supports query"
            ),
        )


@rule(
    "as-grant-types-no-code",
    practice("RFC 8414 §2; OAuth 2.1 draft-13 §4.1", _RFC8414_2),
    who="authorization-server",
    severity="error",
    stops_at=("client-registration", "authorization-request", "token-request"),
)
def grants_without_code(handshake: Handshake) -> Problems:
    """`grant_types_supported` does not include `authorization_code`.

    This is the grant by which users sign in. Clients that read the list stop; the others are
    refused later.

    Usual causes: the application is of the type "machine to machine".

    Repair: Enable the authorization code grant, and list it in `grant_types_supported`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register",
             "grant_types_supported": ["client_credentials"]}
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        400

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register",
             "grant_types_supported": ["authorization_code"]}
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1"}
    """
    metadata = handshake.metadata
    if metadata is None:
        return
    listed = metadata.list("grant_types_supported")
    interactive = handshake.authorization is not None or any(
        asked.requested.get("redirect_uris") for asked in handshake.all(Registration)
    )
    if listed and "authorization_code" not in listed and interactive:
        types = metadata.list("response_types_supported")
        code = {"response_types_supported": [*types, "code"]} if types and "code" not in types else {}
        yield Problem(
            exchange=metadata.exchange.id,
            message=f"`grant_types_supported` is [{', '.join(listed)}]; the client needs authorization_code",
            at="response.json.grant_types_supported",
            expected="authorization_code",
            actual=", ".join(listed),
            patch=Patch(
                merge={"grant_types_supported": [*listed, "authorization_code"], **code},
                assumes="the server supports the code flow",
            ),
        )


@rule(
    "as-grant-types-no-refresh",
    practice("RFC 8414 §2; MCP 2026-07-28 'Refresh Tokens'", _RFC8414_2),
    who="authorization-server",
)
def grants_without_refresh(handshake: Handshake) -> Problems:
    """The server issues refresh tokens, but `grant_types_supported` does not include `refresh_token`.

    A client that relies on the list never uses its refresh token, and its user has to sign in again
    whenever the access token expires.

    Usual causes: the list was written before refresh tokens were switched on.

    Repair: Add `refresh_token` to `grant_types_supported`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["offline_access"], "grant_types_supported": ["authorization_code"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["offline_access"], "grant_types_supported": ["authorization_code", "refresh_token"]}
    """
    metadata = handshake.metadata
    if metadata is None or not metadata.published:
        return
    listed = metadata.list("grant_types_supported")
    if not listed or "refresh_token" in listed:
        return
    issued = any(
        "refresh_token" in token.issued
        for token in handshake.all(TokenEndpoint)
        if token.exchange.response and token.exchange.response.body is not None
    )
    if issued or "offline_access" in metadata.list("scopes_supported"):
        yield Problem(
            exchange=metadata.exchange.id,
            message=f"`grant_types_supported` is [{', '.join(listed)}]; the server issues refresh tokens, so it has to list refresh_token",
            at="response.json.grant_types_supported",
            expected="refresh_token",
            actual=", ".join(listed),
            patch=Patch(merge={"grant_types_supported": [*listed, "refresh_token"]}),
        )


@rule(
    "as-iss-support-not-advertised",
    should(
        "MCP 2026-07-28 'Authorization Response Validation'; RFC 9207 §3",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#authorization-response-validation",
    ),
    who="authorization-server",
    severity="note",
    since="2026-07-28",
)
def iss_not_advertised(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The metadata does not advertise `authorization_response_iss_parameter_supported` (RFC 9207).

    With `iss` in the redirect, a client that uses several authorization servers can tell which one
    answered. If it is not advertised, the client has to accept responses without it.

    Usual causes: the authorization server is older than RFC 9207.

    Repair: Send `iss` with every redirect to the client, and set
    `authorization_response_iss_parameter_supported` to true.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "authorization_response_iss_parameter_supported": true}
    """
    member = "authorization_response_iss_parameter_supported"
    if document.published and document.document.get(member) in (None, False):
        yield Problem(
            message=f"`{member}` is {'false' if member in document.document else 'missing'}; it has to be true",
            at=f"response.json.{member}",
            expected="true",
        )


@rule(
    "as-par-required",
    practice("RFC 9126 §5", "https://www.rfc-editor.org/rfc/rfc9126.html#section-5"),
    who="authorization-server",
    severity="error",
    stops_at=("authorization-request", "authorization-response"),
)
def par_required(stage: ServerMetadata | AuthorizationRequest, so_far: Handshake) -> Problems:
    """The server requires pushed authorization requests (PAR), which MCP clients do not send.

    With PAR the client first POSTs its parameters and then opens the browser with a `request_uri`.
    The usual MCP SDKs put the parameters into the URL, and this server refuses them there.

    Usual causes: a security profile (FAPI) of the authorization server applies to all clients.

    Repair: Make pushed authorization requests optional for MCP clients.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "require_pushed_authorization_requests": true, "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        400

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "require_pushed_authorization_requests": false, "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
    """
    member = "require_pushed_authorization_requests"
    if isinstance(stage, ServerMetadata):
        if stage.published and stage.document.get(member) is True:
            yield Problem(
                message=f"`{member}` is true; most MCP clients cannot push their requests",
                at=f"response.json.{member}",
                expected="false",
                actual="true",
                severity="note",
            )
        return
    metadata = so_far.metadata
    if metadata is None or metadata.document.get(member) is not True or stage.get("request_uri") is not None:
        return
    if urls.endpoint(metadata.get("authorization_endpoint") or "") == urls.endpoint(stage.url):
        yield Problem(
            message=f"`{member}` is true, and this request was not pushed: it has no request_uri",
            at="request.query.request_uri",
            expected="a request_uri",
            severity="error" if (stage.status or 0) >= 400 or stage.status is None else "warning",
        )


@rule(
    "as-signed-request-required",
    practice("RFC 9101 §10.5", "https://www.rfc-editor.org/rfc/rfc9101.html#section-10.5"),
    who="authorization-server",
    severity="error",
    stops_at=("authorization-request", "authorization-response"),
)
def signed_request_required(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The server requires signed request objects (JAR), which MCP clients do not send.

    The parameters have to come inside a JWT that the client has signed. The usual MCP clients have
    no key to sign it with, so every login will be refused.

    Usual causes: a security profile of the authorization server applies to all clients.

    Repair: Make signed request objects optional for MCP clients.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "require_signed_request_object": true}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "require_signed_request_object": false}
    """
    if document.published and document.document.get("require_signed_request_object") is True:
        yield Problem(
            message="`require_signed_request_object` is true; MCP clients send plain requests",
            at="response.json.require_signed_request_object",
            expected="false",
            actual="true",
        )
