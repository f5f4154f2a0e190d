"""The metadata document as a whole: JSON types, empty lists, members that belong together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ServerMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule

_RFC8414_2 = "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"
_RFC8414_32 = "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.2"
_FLAGS = {
    "client_id_metadata_document_supported",
    "authorization_response_iss_parameter_supported",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "claims_parameter_supported",
    "request_parameter_supported",
    "request_uri_parameter_supported",
    "require_request_uri_registration",
    "tls_client_certificate_bound_access_tokens",
}
_URLS = {"jwks_uri", "service_documentation", "op_policy_uri", "op_tos_uri"}
_OIDC_MEMBERS = {
    "jwks_uri": None,
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["RS256"],
}


def _is_list(name: str) -> bool:
    return name.endswith("_values_supported") or name in {
        "scopes_supported",
        "response_types_supported",
        "response_modes_supported",
        "grant_types_supported",
        "token_endpoint_auth_methods_supported",
        "revocation_endpoint_auth_methods_supported",
        "introspection_endpoint_auth_methods_supported",
        "code_challenge_methods_supported",
        "subject_types_supported",
        "claims_supported",
        "ui_locales_supported",
    }


def _wanted(name: str) -> str | None:
    """The JSON type a known member has to have; None for members nobody knows."""
    if name in _FLAGS:
        return "true or false"
    if _is_list(name):
        return "a list of strings"
    return "a string" if name in _URLS or name.endswith("_endpoint") else None


def _fits(value: Any, wanted: str) -> bool:
    if wanted == "true or false":
        return isinstance(value, bool)
    if wanted == "a string":
        return isinstance(value, str)
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _coerced(value: Any, wanted: str) -> Any:
    """The value in the right type; None (which takes the member away) where nothing can be read from it."""
    if wanted == "true or false" and isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    if wanted == "a list of strings" and isinstance(value, str):
        return value.replace(",", " ").split() or None
    if wanted == "a list of strings" and isinstance(value, list):
        return [item for item in value if isinstance(item, str)] or None
    return None


def _kind(value: Any) -> str:
    return {type(None): "null", bool: "a boolean", str: "a string", list: "a list", dict: "an object"}.get(
        type(value), "a number"
    )


@rule(
    "as-metadata-wrong-types",
    must("RFC 8414 §2 and §3.2", _RFC8414_32),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def wrong_types(document: ServerMetadata, so_far: Handshake) -> Problems:
    """A member of the authorization server metadata has the wrong JSON type, or is `null`.

    Clients check the document against a schema, and one member of the wrong type makes
    them throw away all of it: a `null` where nothing was meant, or `"true"` in quotation
    marks, is enough for "invalid metadata".

    Usual causes: a serializer writes unset fields as null; flags come from environment variables as
    strings; a list is written as one string with spaces.

    Repair: Give the member its type, and leave out unset members.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "introspection_endpoint": null}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com"}
    """
    if not document.published:
        return
    for name, value in document.document.items():
        wanted = _wanted(name)
        if wanted and not _fits(value, wanted):
            yield Problem(
                message=f"`{name}` is {_kind(value)}; it has to be {wanted}, or left out",
                at=f"response.json.{name}",
                expected=wanted,
                actual=_kind(value),
                patch=Patch(merge={name: _coerced(value, wanted)}),
            )


@rule(
    "as-metadata-empty-arrays",
    must("RFC 8414 §3.2", _RFC8414_32),
    who="authorization-server",
    severity="note",
)
def empty_lists(document: ServerMetadata, so_far: Handshake) -> Problems:
    """A member of the authorization server metadata is an empty list.

    A missing list means the default; an empty one means that nothing is supported. A client that
    finds no response type or no PKCE method in the list may well refuse to go on.

    Usual causes: unset configuration, serialized as `[]`.

    Repair: Leave empty lists out, or fill them with what the server really supports.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": []}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com"}
    """
    if document.published:
        for name, value in document.document.items():
            if value == []:
                yield Problem(
                    message=f"`{name}` is an empty list; a list without elements has to be left out",
                    at=f"response.json.{name}",
                    expected="left out",
                    actual="[]",
                    patch=Patch(merge={name: None}),
                )


@rule(
    "as-signed-metadata-conflict",
    must("RFC 8414 §2.1", "https://www.rfc-editor.org/rfc/rfc8414.html#section-2.1"),
    who="authorization-server",
    severity="note",
)
def signed_metadata_conflict(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`signed_metadata` does not agree with the plain members of the authorization server metadata.

    `signed_metadata` repeats the document as a signed token. A client that verifies it uses the
    signed values, all others the plain members, so the same server works for one client and fails
    for another.

    Usual causes: the token was signed once and the document has changed since.

    Repair: Sign the metadata again whenever it changes, with `iss` in the token; or leave
    `signed_metadata` out.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token", "signed_metadata": "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwidG9rZW5fZW5kcG9pbnQiOiJodHRwczovL29sZC5leGFtcGxlLmNvbS90b2tlbiJ9.c2ln"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token", "signed_metadata": "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIiwidG9rZW5fZW5kcG9pbnQiOiJodHRwczovL2FzLmV4YW1wbGUuY29tL3Rva2VuIn0.c2ln"}
    """
    signed = document.get("signed_metadata")
    told = claims(signed) if signed else None
    if told is None:
        return
    if not isinstance(told.get("iss"), str):
        yield Problem(
            message="the token in `signed_metadata` has no `iss`; it has to name who vouches for it",
            at="response.json.signed_metadata",
            expected="iss",
            patch=Patch(merge={"signed_metadata": None}),
        )
        return
    for name, value in told.items():
        if name in document.document and document.document[name] != value:
            yield Problem(
                message=f"`{name}` is {document.document[name]} in the document and {value} in `signed_metadata`",
                at="response.json.signed_metadata",
                expected=str(document.document[name]),
                actual=str(value),
                patch=Patch(merge={"signed_metadata": None}),
            )
            return


@rule(
    "oidc-required-members-missing",
    must("OIDC Discovery 1.0 §3", "https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata"),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def openid_members_missing(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The OpenID configuration lacks a member that OpenID Connect Discovery requires.

    A document at `openid-configuration` has to follow OpenID Connect Discovery. Clients that
    validate it (the TypeScript SDK does) throw, although the same document is valid as OAuth
    metadata.

    Usual causes: an OAuth server without OpenID serves its metadata at both URLs.

    Repair: Add the missing members, or serve the document at
    `/.well-known/oauth-authorization-server` only and answer 404 here.

    Bad:
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/jwks"}

    Good:
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/jwks",
             "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]}
    """
    if not (document.oidc and document.published):
        return
    missing = [name for name in _OIDC_MEMBERS if name not in document.document]
    if missing:
        added = {name: _OIDC_MEMBERS[name] for name in missing if _OIDC_MEMBERS[name]}
        yield Problem(
            message=f"the OpenID configuration has no {', '.join(f'`{name}`' for name in missing)}",
            at=f"response.json.{missing[0]}",
            expected=", ".join(missing),
            patch=Patch(merge=added, assumes="the server signs id tokens with RS256")
            if added and "jwks_uri" not in missing
            else None,
        )


@rule(
    "as-documents-disagree",
    practice(
        "MCP 2026-07-28 AS Discovery; RFC 8414 §5",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery#authorization-server-metadata-discovery",
    ),
    who="authorization-server",
    severity="warning",
    since="2025-11-25",
    stops_only_at=(),
)
def documents_disagree(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The OAuth metadata and the OpenID configuration of one issuer name different endpoints.

    Which of the two a client uses depends on which URL it tries first. So sign-in works with one
    client and fails with another.

    Usual causes: a gateway serves one document and the identity provider the other.

    Repair: Publish the same issuer and endpoints in both documents.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://idp.example.com/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    if not document.published:
        return
    for other in _counterparts(document, so_far):
        for name in ("issuer", "authorization_endpoint", "token_endpoint", "registration_endpoint"):
            here, there = document.get(name), other.get(name)
            if here and there and here != there:
                yield Problem(
                    message=f"`{name}` is {here} here and {there} at {other.url}",
                    at=f"response.json.{name}",
                    expected=there,
                    actual=here,
                )
        return


def _counterparts(document: ServerMetadata, so_far: Handshake) -> Iterator[ServerMetadata]:
    """The documents of the other kind that were published for the same issuer, newest first."""
    for other in reversed(so_far.all(ServerMetadata)):
        if other.status != 200 or other.oidc is document.oidc or not other.published:
            continue
        if (other.expected_issuer or "").rstrip("/") == (document.expected_issuer or "").rstrip("/"):
            yield other
