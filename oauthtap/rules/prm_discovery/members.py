"""Members of protected resource metadata that are wrong or do not belong there."""

from __future__ import annotations

from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ResourceMetadata, text
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule

_MEMBERS = "https://www.rfc-editor.org/rfc/rfc9728.html#section-2"
_ANSWER = "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.2"
_MEANT = {
    "authorization_server": "authorization_servers",
    "authorizationServers": "authorization_servers",
    "authorizationServer": "authorization_servers",
    "auth_servers": "authorization_servers",
    "issuer": "authorization_servers",
    "scopes": "scopes_supported",
    "scope": "scopes_supported",
    "scopesSupported": "scopes_supported",
}
_OF_THE_OTHER_DOCUMENT = ("authorization_endpoint", "token_endpoint", "registration_endpoint")


@rule(
    "prm-member-misspelled",
    practice("RFC 9728 §2", _MEMBERS),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration"),
)
def misspelled(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """A member of the protected resource metadata is misspelled.

    Clients read the exact names and ignore all others, so they do not see this value.

    Usual causes: a typo; a serializer that converts names to camelCase; a singular name for a
    single authorization server.

    Repair: Use the registered names: `authorization_servers` and `scopes_supported`, both
    lists.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_server": "https://as.example.com"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    for name, meant in _MEANT.items():
        if name not in prm.document or meant in prm.document:
            continue
        value = prm.document[name]
        listed: list[Any] = value if isinstance(value, list) else [value]
        if meant == "scopes_supported" and isinstance(value, str):
            listed = value.split()
        yield Problem(
            message=f"the document has `{name}` and no `{meant}`, the name that clients look for",
            at=f"response.json.{name}",
            expected=meant,
            actual=name,
            patch=Patch(merge={meant: listed, name: None}),
        )


@rule(
    "prm-empty-or-null-members",
    must("RFC 9728 §3.2", _ANSWER),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def empty_members(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """A member of the protected resource metadata is empty or `null`.

    Unset members have to be left out. The TypeScript SDK refuses `null` in a member that it knows,
    and rejects the whole document.

    Usual causes: an object that is serialized with all its fields (Pydantic without `exclude_none`,
    Jackson without `NON_NULL`).

    Repair: Leave unset members out of the document.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "jwks_uri": null}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    empty = [
        name
        for name, value in prm.document.items()
        if (value is None or value == "" or value == [])
        and not (value == [] and name in ("bearer_methods_supported", "authorization_servers"))
    ]
    if empty and "jsonrpc" not in prm.document:
        values = ", ".join(f"{name}: {prm.document[name]!r}" for name in empty[:8])
        nulls = any(prm.document[name] is None for name in empty)
        yield Problem(
            message=f"{values}: members without a value have to be left out",
            at=f"response.json.{empty[0]}",
            expected="no such member",
            actual=values,
            severity=None if nulls else "note",
            patch=Patch(merge=dict.fromkeys(empty)),
        )


@rule(
    "prm-as-members-in-prm",
    practice("RFC 9728 §2; RFC 8414 §2", _MEMBERS),
    who="resource-server",
    since="2025-06-18",
)
def members_of_the_other_document(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The protected resource metadata contains members of authorization server metadata.

    Clients ignore them here. They read the endpoints from the authorization server metadata, so
    changing them here has no effect. Usual causes: both documents come from one template.

    Repair: Publish the endpoints in the authorization server's metadata
    (`/.well-known/oauth-authorization-server`), and leave them out here.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    misplaced = [name for name in _OF_THE_OTHER_DOCUMENT if name in prm.document]
    if misplaced:
        yield Problem(
            message=f"the document has {', '.join(misplaced)}; clients read that in the authorization server's metadata",
            at=f"response.json.{misplaced[0]}",
            expected="no such member",
            actual=str(prm.document[misplaced[0]])[:200],
        )


@rule(
    "prm-signed-metadata-conflict",
    must("RFC 9728 §2.2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-2.2"),
    who="resource-server",
    severity="note",
    since="2025-06-18",
)
def signed_metadata_conflict(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`signed_metadata` does not agree with the plain members of the protected resource metadata.

    A client that verifies the signature uses the signed values, all others the plain ones, so the
    same server behaves differently for different clients.

    Usual causes: the JWT was signed once, and the document has changed since.

    Repair: Sign again whenever the document changes, and name the signer in `iss`.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "signed_metadata": "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL21jcC5leGFtcGxlLmNvbSIsInJlc291cmNlIjoiaHR0cHM6Ly9vbGQuZXhhbXBsZS5jb20ifQ.bWFkZS11cA"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    said = claims(text(prm.document.get("signed_metadata")) or "")
    if said is None:
        return
    differing = [n for n, v in said.items() if n in prm.document and n != "signed_metadata" and prm.document[n] != v]
    for name in differing:
        yield Problem(
            message=f"`{name}` is {prm.document[name]!r:.80} in the document and {said[name]!r:.80} in its signed copy",
            at=f"response.json.{name}",
            expected=f"{said[name]!r:.80}",
            actual=f"{prm.document[name]!r:.80}",
            patch=Patch(merge={"signed_metadata": None}),
        )
    if "iss" not in said:
        yield Problem(
            message="the signed copy has no `iss`; it has to name who signed it",
            at="response.json.signed_metadata",
            expected="iss",
            actual=", ".join(said)[:120],
            patch=Patch(merge={"signed_metadata": None}),
        )


@rule(
    "prm-bearer-methods-no-header",
    practice("RFC 9728 §2; MCP 2026-07-28 'Token Requirements'", _MEMBERS),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
)
def bearer_methods_no_header(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`bearer_methods_supported` does not include `header`.

    MCP clients send a token in the `Authorization` header and nowhere else. A client that follows
    this list cannot send its token.

    Usual causes: the list was copied from another API.

    Repair: Put "header" into `bearer_methods_supported`, or leave the member out.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "bearer_methods_supported": ["body"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "bearer_methods_supported": ["header"]}
    """
    methods = prm.document.get("bearer_methods_supported")
    if isinstance(methods, list) and "header" not in methods:
        yield Problem(
            message=f'`bearer_methods_supported` is {methods!r:.80}; MCP clients need "header" in it',
            at="response.json.bearer_methods_supported",
            expected='["header"]',
            actual=f"{methods!r:.80}",
            patch=Patch(merge={"bearer_methods_supported": ["header"]}),
        )


@rule(
    "prm-bearer-methods-query",
    practice("MCP 2026-07-28 'Token Requirements'; OAuth 2.1 draft-13 §5.1", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#token-requirements"),
    who="resource-server",
    since="2025-06-18",
)  # fmt: skip
def bearer_methods_query(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`bearer_methods_supported` includes `query`.

    MCP forbids tokens in URLs, because URLs end up in logs and histories. No client uses it; it
    only shows that the server accepts such tokens. Usual causes: a list of everything the framework
    supports.

    Repair: Remove "query" from `bearer_methods_supported`, and stop accepting such tokens.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "bearer_methods_supported": ["header", "query"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "bearer_methods_supported": ["header"]}
    """
    methods = prm.list("bearer_methods_supported")
    if "query" in methods:
        yield Problem(
            message='`bearer_methods_supported` has "query"; MCP allows tokens in the header alone',
            at="response.json.bearer_methods_supported",
            expected='["header"]',
            actual=", ".join(methods)[:80],
            patch=Patch(merge={"bearer_methods_supported": [m for m in methods if m != "query"]}),
        )


@rule(
    "prm-jwks-uri-not-https",
    must("RFC 9728 §2", _MEMBERS),
    who="resource-server",
    severity="note",
    since="2025-06-18",
)
def jwks_uri_not_https(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`jwks_uri` of the protected resource metadata is not an https URL.

    This member is for keys of the MCP server itself, which clients hardly ever use. Often the
    authorization server's keys were meant, and those belong in its own metadata.

    Usual causes: a development URL; a value copied from the authorization server's metadata.

    Repair: Leave `jwks_uri` out, unless your MCP server signs something; then use https.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "jwks_uri": "http://mcp.example.com/jwks"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    value = prm.get("jwks_uri")
    if value and not urls.origin(value).startswith("https://") and not urls.is_loopback(value):
        yield Problem(
            message=f"`jwks_uri` is {value}; it has to be an https URL, or be left out",
            at="response.json.jwks_uri",
            expected="an https URL",
            actual=value,
            patch=Patch(merge={"jwks_uri": None}),
        )


@rule(
    "prm-dpop-required",
    practice("RFC 9728 §2; RFC 9449 §7.1", _MEMBERS),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("mcp-token-rejected", "token-request"),
)
def dpop_required(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The MCP server requires DPoP (`dpop_bound_access_tokens_required`), which few MCP clients support.

    Few MCP clients support DPoP yet. The others sign in, get a Bearer token, and are refused with
    it after a successful sign-in. Usual causes: a security profile of the company's APIs applies to
    the MCP server.

    Repair: Make DPoP optional until your clients support it.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "dpop_bound_access_tokens_required": true}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    if prm.document.get("dpop_bound_access_tokens_required") is True:
        yield Problem(
            message="`dpop_bound_access_tokens_required` is true; clients without DPoP need it false",
            at="response.json.dpop_bound_access_tokens_required",
            expected="false",
            actual="true",
            patch=Patch(
                merge={"dpop_bound_access_tokens_required": False}, assumes="the server takes plain tokens as well"
            ),
        )
