"""`scopes_supported`: what clients ask for when the refusal does not tell them."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ResourceMetadata, ServerMetadata, scopes, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule

_AT = "response.json.scopes_supported"
_MEMBERS = "https://www.rfc-editor.org/rfc/rfc9728.html#section-2"
_EVERYTHING = re.compile(r"\*|all|full[-_.:]?access|full|(?:.*[:./])?(?:\*|admin:\*|full[-_]access)", re.I)
_MANY = 20


def _challenged_scope(so_far: Handshake) -> str | None:
    return so_far.challenge.scope if so_far.challenge else None


@rule(
    "prm-scopes-type",
    must("RFC 9728 §2 and §3.2", _MEMBERS),
    who="resource-server",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def wrong_type(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`scopes_supported` is not a list of strings.

    Clients validate the metadata against a schema, and reject the whole document when one member
    does not match.

    Usual causes: the scopes as one space-separated string, as in a request; a mapping of scopes to
    descriptions.

    Repair: Write a list: `["files:read", "files:write"]`.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": "files:read files:write"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": ["files:read", "files:write"]}
    """
    value = prm.document.get("scopes_supported")
    if value is None or (isinstance(value, list) and all(isinstance(entry, str) for entry in value)):
        return
    meant = value.replace(",", " ").split() if isinstance(value, str) else [*texts(value)] or None
    if isinstance(value, dict):
        meant = list(value)
    yield Problem(
        message=f"`scopes_supported` is {value!r:.120}; it has to be a list of strings",
        at=_AT,
        expected="a list of strings",
        actual=f"{value!r:.120}",
        patch=Patch(merge={"scopes_supported": meant}),
    )


@rule(
    "prm-scopes-missing",
    should("RFC 9728 §2 (recommended member); MCP 2026-07-28 'Scope Selection Strategy'", _MEMBERS),
    who="resource-server",
    severity="note",
    since="2025-06-18",
)
def missing(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """Neither `scopes_supported` nor the challenge names a scope.

    Then the client requests none. Some authorization servers issue a token without any scope, and
    some refuse the request.

    Usual causes: the server does not use scopes, which is fine; or they are only in its
    documentation.

    Repair: Name the scopes that a basic session needs in `scopes_supported`, or in `scope` of the
    challenge.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": ["files:read"]}
    """
    if prm.found and prm.resource and not prm.document.get("scopes_supported") and not _challenged_scope(so_far):
        yield Problem(
            message="neither `scopes_supported` nor the refusal names a scope; a client needs one of them to ask for",
            at=_AT,
            expected="a list of scopes",
            actual="no scopes",
        )


@rule(
    "prm-scopes-offline-access",
    should("MCP 2026-07-28 'Refresh Tokens'; SEP-2207", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#refresh-tokens"),
    who="resource-server",
    severity="note",
    since="2026-07-28",
)  # fmt: skip
def offline_access(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`scopes_supported` of the MCP server includes `offline_access`.

    `offline_access` is not a permission on the MCP server. It requests a refresh token from the
    authorization server, so clients look for it in that server's list.

    Usual causes: it was added so that clients request refresh tokens, which works.

    Repair: Move it to `scopes_supported` of the authorization server's metadata.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": ["files:read", "offline_access"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": ["files:read"]}
    """
    listed = prm.list("scopes_supported")
    if "offline_access" in listed:
        rest = [scope for scope in listed if scope != "offline_access"]
        yield Problem(
            message="`scopes_supported` has offline_access; that belongs to the authorization server",
            at=_AT,
            expected="the scopes of the MCP server alone",
            actual=" ".join(listed)[:200],
            patch=Patch(merge={"scopes_supported": rest or None}),
        )


@rule(
    "prm-scopes-catalogue",
    practice("MCP Security Best Practices 'Scope Minimization'; RFC 9728 §7.2", "https://modelcontextprotocol.io/docs/2026-07-28/tutorials/security/security_best_practices#scope-minimization"),
    who="resource-server",
    since="2025-06-18",
)  # fmt: skip
def catalogue(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`scopes_supported` lists more scopes than a basic session needs.

    When the challenge names no scope, clients request the whole list. Users see a long consent page
    and refuse, or grant far more than is needed.

    Usual causes: the list is generated from all scopes of the API.

    Repair: List what a basic session needs, and use a step-up (`insufficient_scope`) for the rest.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": ["files:read", "admin:*"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": ["files:read"]}
    """
    listed = prm.list("scopes_supported")
    broad = [scope for scope in listed if _EVERYTHING.fullmatch(scope)]
    if (broad or len(listed) > _MANY) and not _challenged_scope(so_far):
        what = f"{' '.join(broad)[:120]}" if broad else f"{len(listed)} scopes"
        yield Problem(
            message=f"`scopes_supported` holds {what}; clients will ask for all of it, and a few should do",
            at=_AT,
            expected="the few scopes of a plain session",
            actual=" ".join(listed)[:200],
            patch=Patch(
                merge={"scopes_supported": [scope for scope in listed if scope not in broad][:5] or None},
                assumes="these scopes are enough for a first session",
            ),
        )


@rule(
    "prm-scope-unknown-to-as",
    practice("RFC 9728 §2; RFC 8414 §2", _MEMBERS),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("authorization-request", "authorization-interaction", "authorization-response"),
)
def unknown_to_authorization_server(handshake: Handshake) -> Problems:
    """The MCP server's `scopes_supported` names a scope that the authorization server does not list.

    The client requests the scopes that the MCP server names. An authorization server may refuse the
    whole request because of an unknown one.

    Usual causes: a scope that was never created at the authorization server, or is spelled
    differently there; an incomplete list there.

    Repair: Create the scope at the authorization server, or remove it from the MCP server's list.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": ["files:read"]}

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["openid", "email"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"],
             "scopes_supported": ["files:read"]}

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "scopes_supported": ["openid", "files:read"]}
    """
    prm = handshake.prm
    server = _server_of(prm, handshake) if prm else None
    known = texts(server.document.get("scopes_supported")) if server else ()
    if prm is None or not known:
        return
    strange = [scope for scope in prm.list("scopes_supported") if scope not in known]
    strange = [scope for scope in strange if scope not in _granted(handshake)]
    if strange:
        yield Problem(
            exchange=prm.exchange.id,
            message=f"{' '.join(strange)[:120]} is in `scopes_supported`; the authorization server lists "
            f"{' '.join(known)[:120]}",
            at=_AT,
            expected=" ".join(known)[:200],
            actual=" ".join(strange)[:200],
            severity="note" if handshake.token else None,
            patch=Patch(
                merge={"scopes_supported": [s for s in prm.list("scopes_supported") if s not in strange] or None}
            ),
        )


def _server_of(prm: ResourceMetadata, handshake: Handshake) -> ServerMetadata | None:
    """The metadata of an authorization server that the document names."""
    named = {entry.rstrip("/") for entry in prm.authorization_servers}
    servers = [one for one in handshake.all(ServerMetadata) if one.ok and one.response.body is not None]
    return next((one for one in reversed(servers) if (one.issuer or "").rstrip("/") in named), None)


def _granted(handshake: Handshake) -> tuple[str, ...]:
    """The scopes of the newest token, where its answer was recorded."""
    token = handshake.token
    body = token.exchange.response.json_object if token and token.exchange.response else {}
    return scopes(body.get("scope"))
