"""Which clients the metadata lets in: how they get an id, and how they prove who they are."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Challenge, Registration, ServerMetadata, TokenEndpoint, TokenOther, text
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule

_RFC8414_2 = "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"
_METHODS = "token_endpoint_auth_methods_supported"


def _public_client(handshake: Handshake) -> str | None:
    """How we know that the client has no secret; None when it may have one."""
    registration = handshake.registration
    granted = registration.issued if registration else {}
    if registration and granted.get("token_endpoint_auth_method") == "none":
        return f"the registration in exchange {registration.exchange.id} is for a public client"
    asked = handshake.authorization
    client_id = asked.get("client_id") if asked and asked.exchange.request.body is not None else None
    if asked and client_id and client_id.startswith("https://") and registration is None:
        return f"the client id in exchange {asked.exchange.id} is the address of a metadata document"
    return None


@rule(
    "as-no-registration-path",
    practice(
        "MCP 2026-07-28 Client Registration (priority order)",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration",
    ),
    who="authorization-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("client-registration", "authorization-request"),
)
def no_registration_path(handshake: Handshake) -> Problems:
    """The metadata offers neither dynamic client registration nor CIMD, and the client has no client id.

    A server that accepts unknown clients either registers them (`registration_endpoint`) or reads
    their metadata document (CIMD). This one offers neither, so clients stop with "does not support
    dynamic client registration" or ask their user for a client id.

    Usual causes: a general identity provider (GitHub, Google, Entra) is used directly.

    Repair: Enable CIMD or dynamic client registration at the authorization server. Otherwise create
    a client there, and tell users which client id to configure.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "client_id_metadata_document_supported": true}
    """
    metadata = handshake.metadata
    if metadata is None or not metadata.published or metadata.exchange.actor == "reporter":
        return
    offered = metadata.get("registration_endpoint") or metadata.document.get("client_id_metadata_document_supported")
    identified = handshake.authorization or handshake.registration or handshake.all(TokenEndpoint)
    if offered or identified or handshake.authorized or handshake.ended is None:
        return
    tried = handshake.last(Registration) is not None or _began_again(metadata, handshake)
    quiet = handshake.ended - (metadata.exchange.ended or handshake.ended)
    grants = metadata.list("grant_types_supported")
    if (tried or quiet >= 5 or handshake.over) and not (grants and "authorization_code" not in grants):
        yield Problem(
            exchange=metadata.exchange.id,
            message="the metadata has neither `registration_endpoint` nor `client_id_metadata_document_supported`, and the client sent no client id",
            at="response.json.registration_endpoint",
            expected="this, or `client_id_metadata_document_supported`",
            severity="error" if handshake.over else None,
        )


def _began_again(metadata: ServerMetadata, handshake: Handshake) -> bool:
    """The client had this document, and asked the MCP server once more without a token: it got no further."""
    asked = handshake.last(Challenge)
    return asked is not None and asked.exchange.actor == "client" and asked.exchange.id > _first_of(metadata, handshake)


def _first_of(metadata: ServerMetadata, handshake: Handshake) -> int:
    same = (document.exchange.id for document in handshake.all(ServerMetadata) if document.url == metadata.url)
    return min(same, default=metadata.exchange.id)


@rule(
    "as-cimd-not-advertised",
    should(
        "MCP 2026-07-28 Client Registration 'Advertising CIMD Support'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration#advertising-cimd-support",
    ),
    who="authorization-server",
    severity="note",
    since="2025-11-25",
)
def cimd_not_advertised(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The metadata does not advertise client ID metadata documents (CIMD).

    With CIMD a client uses an https URL as its `client_id`, and nothing has to be registered or
    stored. It is the recommended way; dynamic client registration is deprecated.

    Usual causes: the authorization server is older than the draft.

    Repair: Support client ID metadata documents, and set
    `client_id_metadata_document_supported` to true.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "client_id_metadata_document_supported": true}
    """
    member = "client_id_metadata_document_supported"
    if not document.published or text(document.document.get("authorization_endpoint")) is None:
        return
    if document.document.get(member) in (None, False):
        yield Problem(
            message=f"`{member}` is {'false' if member in document.document else 'missing'}; it has to be true",
            at=f"response.json.{member}",
            expected="true",
            patch=Patch(merge={member: True}, assumes="the server accepts an https address as client_id"),
        )


@rule(
    "as-token-auth-methods-omitted",
    practice("RFC 8414 §2", _RFC8414_2),
    who="authorization-server",
    severity="warning",
    stops_at=("client-registration", "token-request"),
)
def auth_methods_omitted(handshake: Handshake) -> Problems:
    """The metadata has no `token_endpoint_auth_methods_supported`, and this client is public.

    A missing list means `client_secret_basic` only. A strict client without a secret concludes that
    public clients are not supported.

    Usual causes: the server accepts public clients, but does not advertise it.

    Repair: Publish `token_endpoint_auth_methods_supported` with all methods that work, `none`
    included.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"], "token_endpoint_auth_method": "none"}
        201 {"client_id": "client-1", "token_endpoint_auth_method": "none"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register",
             "token_endpoint_auth_methods_supported": ["none"]}
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"], "token_endpoint_auth_method": "none"}
        201 {"client_id": "client-1", "token_endpoint_auth_method": "none"}
    """
    metadata = handshake.metadata
    if metadata is None or not metadata.published or _METHODS in metadata.document:
        return
    if proof := _public_client(handshake):
        yield Problem(
            exchange=metadata.exchange.id,
            message=f"the metadata has no `{_METHODS}`, which excludes `none`; but {proof}",
            at=f"response.json.{_METHODS}",
            expected="a list with none",
            patch=Patch(merge={_METHODS: ["none", "client_secret_post", "client_secret_basic"]}),
        )


@rule(
    "as-token-auth-methods-no-none",
    practice("RFC 8414 §2; RFC 7591 §2", _RFC8414_2),
    who="authorization-server",
    severity="warning",
    stops_at=("client-registration", "token-request"),
)
def auth_methods_without_none(handshake: Handshake) -> Problems:
    """`token_endpoint_auth_methods_supported` lacks `none`, but the server accepts public clients.

    Some clients read the list before they register as a public client, and stop. Others choose a
    method that needs a secret they do not have.

    Usual causes: an SDK's default list, which has the secret methods only.

    Repair: Add `none` to `token_endpoint_auth_methods_supported`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "client_id_metadata_document_supported": true,
             "token_endpoint_auth_methods_supported": ["client_secret_post"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "client_id_metadata_document_supported": true,
             "token_endpoint_auth_methods_supported": ["client_secret_post", "none"]}
    """
    metadata = handshake.metadata
    if metadata is None or not metadata.published:
        return
    listed = metadata.list(_METHODS)
    if not listed or "none" in listed:
        return
    proof = _public_client(handshake)
    if metadata.document.get("client_id_metadata_document_supported") is True and "private_key_jwt" not in listed:
        proof = proof or "it supports client ID metadata documents, whose clients have no secret"
    if proof:
        yield Problem(
            exchange=metadata.exchange.id,
            message=f"`{_METHODS}` is [{', '.join(listed)}], without none; but {proof}",
            at=f"response.json.{_METHODS}",
            expected="none",
            actual=", ".join(listed),
            patch=Patch(merge={_METHODS: [*listed, "none"]}),
        )


@rule(
    "as-private-key-jwt-no-algs",
    must("RFC 8414 §2; ext-auth OAuth Client Credentials 'Server Metadata Requirements'", _RFC8414_2),
    who="authorization-server",
    severity="warning",
    stops_only_at=("as-discovery", "client-registration", "token-request", "token-refresh", "token-other-grant"),
)
def signing_algorithms_missing(document: ServerMetadata, so_far: Handshake) -> Problems:
    """JWT client authentication is offered without signing algorithms, or with `none`.

    A client with a key has to choose an algorithm. Without
    `token_endpoint_auth_signing_alg_values_supported` it can only guess, and with `none` in it the
    signature would be optional.

    Usual causes: the method was enabled and the list forgotten.

    Repair: Publish `token_endpoint_auth_signing_alg_values_supported`, for example
    `["RS256", "ES256"]`, never with `none`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint_auth_methods_supported": ["private_key_jwt"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint_auth_methods_supported": ["private_key_jwt"],
             "token_endpoint_auth_signing_alg_values_supported": ["ES256"]}
    """
    member = "token_endpoint_auth_signing_alg_values_supported"
    methods = {"private_key_jwt", "client_secret_jwt"} & set(document.list(_METHODS))
    algorithms = document.list(member)
    if document.published and methods and (not algorithms or "none" in algorithms):
        yield Problem(
            message=f"{sorted(methods)[0]} is supported, and `{member}` is [{', '.join(algorithms)}]; it has to list algorithms, and not none",
            at=f"response.json.{member}",
            expected='["RS256", "ES256"]',
            actual=", ".join(algorithms) or None,
            patch=Patch(
                merge={member: [a for a in algorithms if a != "none"] or ["RS256", "ES256"]},
                assumes="the server verifies these algorithms",
            ),
        )


@rule(
    "as-dpop-algs-invalid",
    must(
        "RFC 9449 §4.2, §5.1 and §11.6; SEP-1932 (draft extension)",
        "https://www.rfc-editor.org/rfc/rfc9449.html#section-5.1",
    ),
    who="authorization-server",
    severity="warning",
    since="2025-11-25",
)
def dpop_algorithms(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The DPoP signing algorithms include `none` or a symmetric algorithm.

    With DPoP a client proves that it has a private key. `none` has no key, and an HS algorithm
    would share the secret with the server.

    Usual causes: the list of all algorithms the server's library knows.

    Repair: List asymmetric algorithms only, for example `["ES256"]`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "dpop_signing_alg_values_supported": ["HS256"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "dpop_signing_alg_values_supported": ["ES256"]}
    """
    member = "dpop_signing_alg_values_supported"
    value, listed = document.document.get(member), document.list(member)
    bad = [name for name in listed if name == "none" or name.startswith("HS")]
    if document.published and (bad or value == []):
        yield Problem(
            message=f"`{member}` is [{', '.join(listed)}]; it has to list asymmetric algorithms only",
            at=f"response.json.{member}",
            expected='["ES256"]',
            actual=", ".join(listed),
        )


@rule(
    "cc-metadata-auth-methods",
    must(
        "ext-auth OAuth Client Credentials (draft) 'Server Metadata Requirements'",
        "https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/draft/oauth-client-credentials.mdx",
    ),
    who="authorization-server",
    severity="warning",
    since="2025-11-25",
)
def machine_client_methods(handshake: Handshake) -> Problems:
    """`token_endpoint_auth_methods_supported` has neither `private_key_jwt` nor `client_secret_basic`.

    MCP's extension for client credentials requires `private_key_jwt` or `client_secret_basic`. A
    client that supports only these two has no method to use.

    Usual causes: only `client_secret_post` or TLS certificates are enabled.

    Repair: Enable and list `private_key_jwt` or `client_secret_basic`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token",
             "token_endpoint_auth_methods_supported": ["tls_client_auth"]}
        POST https://as.example.com/token grant_type=client_credentials&client_id=client-1
        400

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token",
             "token_endpoint_auth_methods_supported": ["private_key_jwt"]}
        POST https://as.example.com/token grant_type=client_credentials&client_id=client-1
        400
    """
    metadata = handshake.metadata
    if metadata is None or not any(
        token.grant == "client_credentials"
        for token in handshake.all(TokenOther)
        if token.exchange.request.body is not None
    ):
        return
    listed = metadata.list(_METHODS)
    if listed and not {"private_key_jwt", "client_secret_basic"} & set(listed):
        yield Problem(
            exchange=metadata.exchange.id,
            message=f"`{_METHODS}` is [{', '.join(listed)}]; machine clients count on private_key_jwt or client_secret_basic",
            at=f"response.json.{_METHODS}",
            expected="private_key_jwt or client_secret_basic",
            actual=", ".join(listed),
            severity="note" if "client_secret_post" in listed else None,
        )
