"""`scope` and `error` of the challenge."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import (
    Challenge,
    Mcp,
    ResourceMetadata,
    ServerMetadata,
    StepUp,
    TokenRejected,
    scopes,
    texts,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice, should
from oauthtap.model.www_authenticate import format_challenges, with_params
from oauthtap.rules import rule

_AT = "response.header.www-authenticate"
_BEARER_CODES = {"invalid_request": 400, "invalid_token": 401, "insufficient_scope": 403}
_EXTENSION_CODES = {"insufficient_user_authentication", "use_dpop_nonce", "invalid_dpop_proof", "invalid_tls_client"}
_IDENTITY_SCOPES = {"openid", "profile", "email", "address", "phone", "offline_access", "groups", "roles", "name"}
_SELECTION = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#scope-selection-strategy"


def _changed(stage: Mcp, **changes: str | None) -> Patch:
    """The same header with other parameters in its Bearer challenges."""
    changed = [with_params(c, **changes) if c.is_bearer() else c for c in stage.challenged.challenges]
    return Patch(headers={"WWW-Authenticate": format_challenges(changed)})


@rule(
    "challenge-scope-empty",
    must("RFC 6750 §3; RFC 6749 §3.3", "https://www.rfc-editor.org/rfc/rfc6750.html#section-3"),
    who="resource-server",
    stops_at=("authorization-request", "authorization-response", "client-registration"),
)
def scope_empty(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """`scope` in the challenge is empty.

    The common SDKs then take the two quotation marks as the scope and request it. It answers
    `invalid_scope`.

    Usual causes: an empty list of required scopes that is serialized anyway.

    Repair: Leave `scope` out when no scope is needed.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm", scope=""

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    parsed = stage.challenged
    bare = any(re.fullmatch(r"rest:scope=", deviation) for deviation in parsed.deviations)
    if bare or (stage.scope is not None and not stage.scope.strip()):
        yield Problem(
            message="The challenge has an empty scope; it has to name at least one scope or leave the parameter out",
            at=f"{_AT}.scope",
            expected="no scope parameter",
            actual='scope=""',
            patch=_changed(stage, scope=None),
        )


@rule(
    "challenge-scope-missing",
    should(
        "MCP 2026-07-28 'Scope Selection Strategy'; "
        "MCP 2025-11-25 'Protected Resource Metadata Discovery Requirements'",
        _SELECTION,
    ),
    who="resource-server",
    severity="note",
    since="2025-11-25",
)
def scope_missing(stage: Challenge, so_far: Handshake) -> Problems:
    """The challenge has no `scope`.

    The client then asks for every scope of the metadata's `scopes_supported`: more scopes than it
    needs, and sometimes more than the authorization server grants.

    Repair: Add `scope` with the scopes that are needed at first.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm", scope="files:read"
    """
    if stage.status == 401 and stage.challenged.bearer and stage.scope is None:
        yield Problem(
            message="The challenge has no scope; with one, a client would ask for just what it needs",
            at=f"{_AT}.scope",
            expected='scope="…"',
            actual="no scope",
        )


@rule(
    "challenge-scope-offline-access",
    should(
        "MCP 2026-07-28 'Refresh Tokens'; SEP-2207",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#refresh-tokens",
    ),
    who="resource-server",
    severity="note",
    since="2026-07-28",
)
def scope_offline_access(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """`scope` in the challenge includes `offline_access`.

    `offline_access` requests a refresh token from the authorization server; it is not a permission
    on the MCP server. Some authorization servers refuse it to public clients.

    Repair: Leave `offline_access` out of the challenge; list it in the authorization
    server's `scopes_supported`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm", scope="read offline_access"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "server/discover"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm", scope="read"
    """
    wanted = scopes(stage.scope)
    if "offline_access" in wanted:
        rest = " ".join(scope for scope in wanted if scope != "offline_access")
        yield Problem(
            message=f"The challenge asks for “{stage.scope}”; offline_access does not belong there",
            at=f"{_AT}.scope",
            expected=rest or "no scope",
            actual=stage.scope,
            patch=_changed(stage, scope=rest or None),
        )


@rule(
    "challenge-scope-delimiter",
    practice("RFC 6750 §3; RFC 6749 §3.3", "https://www.rfc-editor.org/rfc/rfc6749.html#section-3.3"),
    who="resource-server",
    severity="warning",
    stops_at=("authorization-request", "authorization-response"),
)
def scope_delimiter(
    stage: Challenge | TokenRejected | StepUp | ResourceMetadata | ServerMetadata, so_far: Handshake
) -> Problems:
    """The scopes in the challenge are separated by commas instead of spaces.

    A comma may be part of a scope, so a client requests the whole value as one unknown scope. The
    authorization server answers `invalid_scope`.

    Usual causes: a list joined with the language's default separator.

    Repair: Separate scopes with single spaces.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm", scope="read,write"

        GET https://mcp.example.com/prm
        200 {"resource": "https://mcp.example.com/mcp", "scopes_supported": ["read", "write"]}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm", scope="read write"
    """
    refused: Mcp | None
    if isinstance(stage, ResourceMetadata | ServerMetadata):
        refused = next((c for c in reversed(so_far.all(Mcp)) if c.scope), None)
        known = set(texts(stage.document.get("scopes_supported"))) if stage.found else set()
    else:
        refused, known = stage, set()
        for document in (so_far.prm, so_far.metadata):
            known |= set(document.list("scopes_supported")) if document else set()
    text = (refused.scope if refused else None) or ""
    parts = [part for part in re.split(r"[\s,\[\]'\"]+", text) if part]
    if refused and re.search(r"[,\[]", text) and not set(text.split()) <= known and parts and set(parts) <= known:
        yield Problem(
            message=f"The challenge's scope is “{text}”; scopes are separated by spaces: “{' '.join(parts)}”",
            at=f"{_AT}.scope",
            expected=" ".join(parts),
            actual=text,
            exchange=refused.exchange.id,
            patch=_changed(refused, scope=" ".join(parts)),
        )


@rule(
    "challenge-scope-unknown-to-as",
    practice("MCP 2026-07-28 'Scope Selection Strategy'; RFC 8414 §2 (scopes_supported)", _SELECTION),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("authorization-request", "authorization-response", "authorization-interaction"),
)
def scope_unknown_to_as(stage: ServerMetadata, so_far: Handshake) -> Problems:
    """The challenge names a scope that the authorization server's `scopes_supported` does not list.

    The client copies the scope into its authorization request. Many authorization servers
    answer `invalid_scope` to one they do not know.

    Repair: Create the scope at the authorization server, or name one that exists.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer scope="files:read"

        GET https://as.example.net/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.net", "scopes_supported": ["mail:read", "mail:send"]}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer scope="mail:read"

        GET https://as.example.net/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.net", "scopes_supported": ["mail:read", "mail:send"]}
    """
    refused = next((c for c in reversed(so_far.all(Mcp)) if c.scope), None)
    known = set(stage.list("scopes_supported"))
    if refused is None or not stage.found or not known - _IDENTITY_SCOPES:
        return
    unknown = [scope for scope in scopes(refused.scope) if scope not in known and scope not in _IDENTITY_SCOPES]
    if unknown and not re.search(r"[,\[]", refused.scope or ""):
        rest = [scope for scope in scopes(refused.scope) if scope not in unknown]
        yield Problem(
            message=f"The challenge asks for {', '.join(unknown)[:100]}; the authorization server lists "
            f"{', '.join(sorted(known))[:200]}",
            at=f"{_AT}.scope",
            expected="scopes of the authorization server",
            actual=" ".join(unknown),
            exchange=refused.exchange.id,
            patch=_changed(refused, scope=" ".join(rest) or None),
        )


# --- the failure code


@rule(
    "challenge-error-without-credentials",
    should("RFC 6750 §3.1; OAuth 2.1 draft-13 §5.3.2", "https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1"),
    who="resource-server",
    severity="note",
)
def code_without_credentials(stage: Challenge, so_far: Handshake) -> Problems:
    """The challenge has an `error`, although the request had no token.

    A code such as `invalid_token` says that a token was checked and refused. Few clients are
    affected, but the log is misleading: there was no token.

    Usual causes: both reference SDKs' servers do this.

    Repair: Leave `error` and `error_description` out when the request had no credentials.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer error="invalid_token", resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    if stage.error and not stage.request.carries_token and stage.request.header("authorization") is None:
        yield Problem(
            message=f"The challenge says {stage.error} to a request without a token; no code belongs there",
            at=f"{_AT}.error",
            expected="no error",
            actual=stage.error,
            patch=_changed(stage, error=None, error_description=None, error_uri=None),
        )


@rule(
    "challenge-error-code-unknown",
    should("RFC 6750 §3.1; OAuth 2.1 draft-13 §5.3.2", "https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1"),
    who="resource-server",
    stops_only_at=(),
)
def code_unknown(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """`error` in the challenge is not a registered error code.

    Clients decide by this code whether to refresh the token or to request more scopes. On an
    unknown code they do neither.

    Usual causes: a status text (`unauthorized`) or a code of another endpoint (`access_denied`).

    Repair: Use `invalid_token` for a bad or expired token, `insufficient_scope` for a missing
    scope, and no code where no token was sent.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer error="unauthorized", resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer error="invalid_token", resource_metadata="https://mcp.example.com/prm"
    """
    code = (stage.error or "").strip("'‘’“”")
    if code and code not in _BEARER_CODES and code not in _EXTENSION_CODES:
        yield Problem(
            message=f"The challenge's error is “{code[:80]}”; known are {', '.join(sorted(_BEARER_CODES))}",
            at=f"{_AT}.error",
            expected="invalid_token" if isinstance(stage, TokenRejected) else "no error",
            actual=code[:80],
            patch=_changed(stage, error="invalid_token" if isinstance(stage, TokenRejected) else None),
        )


@rule(
    "challenge-error-status-mismatch",
    should("RFC 6750 §3.1", "https://www.rfc-editor.org/rfc/rfc6750.html#section-3.1"),
    who="resource-server",
    stops_only_at=(),
)
def code_and_status(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """`error` in the challenge does not match the status of the response.

    On 401 a client gets a new token, on 403 it requests more scopes. With the wrong pair it signs
    in again for the same scopes, or does not refresh an expired token.

    Repair: Send `invalid_request` with 400, `invalid_token` with 401, `insufficient_scope` with 403.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="invalid_token"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        401
        WWW-Authenticate: Bearer error="invalid_token"
    """
    proper = _BEARER_CODES.get(stage.error or "")
    if proper is not None and proper != stage.status:
        yield Problem(
            message=f"The answer is {stage.status} with error={stage.error}; that code goes with {proper}",
            at="response.status",
            expected=str(proper),
            actual=str(stage.status),
            patch=Patch(status=proper),
        )
