"""What the server says when a token lacks a permission: whether a client can act on it."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Mcp, StepUp, TokenEndpoint, scopes, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import practice, should
from oauthtap.model.www_authenticate import format_challenges, with_params
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.repair import as_challenge, metadata_place

_RUNTIME = (
    "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#runtime-insufficient-scope-errors"
)
_FLOW = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#step-up-authorization-flow"
_LACKS_SCOPE = re.compile(
    r"insufficient[ _-]?(?:scope|permission|privilege)|\b(?:missing|lacks?|requires?|required|needs?|without)\b"
    r"[^.\n{}]{0,40}\b(?:scopes?|permissions?|privileges?)\b|\bscopes?\b[^.\n{}]{0,40}\b(?:missing|required|insufficient|"
    r"not (?:granted|sufficient|present))",
    re.I,
)


@rule(
    "stepup-no-challenge",
    should("MCP 2026-07-28 'Runtime Insufficient Scope Errors'; RFC 6750 §3.1", _RUNTIME),
    who="resource-server",
    since="2025-06-18",
)
def no_challenge(stage: Mcp, so_far: Handshake) -> Problems:
    """The 403 for a missing scope has no `insufficient_scope` challenge.

    With a challenge the client requests that scope and continues. Without one it can only report
    that the request is forbidden.

    Repair: Send `WWW-Authenticate: Bearer error="insufficient_scope", scope="…",
    resource_metadata="…"` with the 403.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403 {"message": "Missing required scope: files:write"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403 {"message": "Missing required scope: files:write"}
        WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"
    """
    if stage.status != 403 or stage.bearer is None or stage.error is not None:
        return
    match = _LACKS_SCOPE.search(stage.answer_text[:4000])
    if match and '"isError"' not in stage.answer_text and "-32042" not in stage.answer_text:
        yield Problem(
            message=f"The 403 says “{' '.join(match[0].split())[:60]}” without a challenge insufficient_scope",
            at="response.header.www-authenticate.error",
            expected="insufficient_scope",
            actual="no such challenge",
            patch=as_challenge(stage, so_far, status=403, error="insufficient_scope"),
        )


def _with_changes(stage: Mcp, **changes: str | None) -> dict[str, str | None]:
    changed = [with_params(c, **changes) if c.is_bearer() else c for c in stage.challenged.challenges]
    return {"WWW-Authenticate": format_challenges(changed)}


@rule(
    "stepup-scope-missing",
    should("MCP 2026-07-28 'Runtime Insufficient Scope Errors'", _RUNTIME),
    who="resource-server",
    since="2025-06-18",
)
def scope_not_named(stage: StepUp, so_far: Handshake) -> Problems:
    """The `insufficient_scope` challenge has no `scope`.

    The client does not know which scope to request, and requests the same as before.

    Repair: Name all scopes of the operation in the challenge's `scope`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"
    """
    if stage.error == "insufficient_scope" and not (stage.scope or "").strip():
        yield Problem(
            message="The challenge says insufficient_scope and names no scope; it has to name what the operation needs",
            at="response.header.www-authenticate.scope",
            expected='scope="…"',
            actual="no scope",
        )


@rule(
    "stepup-resource-metadata-missing",
    should("MCP 2026-07-28 'Runtime Insufficient Scope Errors'", _RUNTIME),
    who="resource-server",
    severity="note",
    since="2025-11-25",
)
def metadata_not_named(stage: StepUp, so_far: Handshake) -> Problems:
    """The `insufficient_scope` challenge has no `resource_metadata`.

    A client that stored nothing from its sign-in has to discover the authorization server again.

    Repair: Add the same `resource_metadata` as in the challenge of a 401.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="a", resource_metadata="https://mcp.example.com/prm"
    """
    if stage.error == "insufficient_scope" and stage.metadata_url is None:
        place, assumes = metadata_place(stage, so_far)
        yield Problem(
            message=f"The challenge insufficient_scope has no resource_metadata; it has to name {place}",
            at="response.header.www-authenticate.resource_metadata",
            expected=place,
            actual="no resource_metadata",
            patch=Patch(headers=_with_changes(stage, resource_metadata=place), assumes=assumes),
        )


@rule(
    "stepup-scope-already-granted",
    practice("MCP 2026-07-28 'Step-Up Authorization Flow' (hierarchies)", _FLOW),
    who="resource-server",
    severity="error",
    since="2025-06-18",
    stops_at=("authorization-request", "authorization-response", "token-request", "mcp-token-rejected"),
)
def scope_granted_already(stage: StepUp, so_far: Handshake) -> Problems:
    """The `insufficient_scope` challenge names scopes that the token already has.

    Signing in again gives the same token, which is refused again: an endless loop.

    Usual causes: the server reads another claim than the authorization server writes (`scp` or
    `scope`, string or list), or does not know that `write` includes `read`.

    Repair: Let the server read the claim that the token has.

    Bad:
        POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
        200 {"access_token": "made-up-token", "token_type": "Bearer", "scope": "files:read files:write"}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"

    Good:
        POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
        200 {"access_token": "made-up-token", "token_type": "Bearer", "scope": "files:read"}

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"
    """
    wanted, granted = set(scopes(stage.scope)), _granted(stage, so_far)
    if wanted and wanted <= granted:
        yield Problem(
            message=f"The challenge asks for “{stage.scope}”, and the token has “{' '.join(sorted(granted))[:160]}”",
            at="response.header.www-authenticate.scope",
            expected="a scope the token does not have, or a success",
            actual=stage.scope,
        )


def _granted(stage: StepUp, so_far: Handshake) -> set[str]:
    """The scopes of the token, by its own claims or by the answer that issued it; empty when neither tells."""
    inside = claims(stage.bearer or "") or {}
    for name in ("scope", "scp"):
        if found := {*scopes(inside.get(name)), *texts(inside.get(name))}:
            return found
    issuing = so_far.of(so_far.issued.get(stage.bearer or "", 0))
    endpoint = next((s for s in issuing if isinstance(s, TokenEndpoint)), None)
    return set(scopes(endpoint.issued.get("scope"))) if endpoint else set()


@rule(
    "stepup-incremental",
    should("MCP 2026-07-28 'Runtime Insufficient Scope Errors'", _RUNTIME),
    who="resource-server",
    severity="note",
    since="2025-11-25",
)
def one_by_one(stage: StepUp, so_far: Handshake) -> Problems:
    """The `insufficient_scope` challenges of one operation name its scopes one after the other.

    Each of them sends the user to another consent page, for a single call.

    Repair: Name all scopes of the operation in the first challenge.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a"}}
        Authorization: Bearer made-up-token-1
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="read"

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "a"}}
        Authorization: Bearer made-up-token-2
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="write"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a"}}
        Authorization: Bearer made-up-token-1
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="read write"
    """
    before = [s for s in so_far.all(StepUp) if operation(s) == operation(stage) and s.bearer != stage.bearer]
    if not before or not stage.scope or not before[-1].scope:
        return
    known, wanted = set(scopes(before[-1].scope)), set(scopes(stage.scope))
    if not wanted <= known:
        both = " ".join(dict.fromkeys((*scopes(before[-1].scope), *scopes(stage.scope))))
        yield Problem(
            message=f"The same call was first told to get “{before[-1].scope}” and now “{stage.scope}”",
            at="response.header.www-authenticate.scope",
            expected=both,
            actual=stage.scope,
            exchange=before[-1].exchange.id,
            patch=Patch(headers=_with_changes(before[-1], scope=both)),
        )


def operation(stage: Mcp) -> tuple[str | None, str]:
    """What was called: the JSON-RPC method, and the tool, prompt or resource it names."""
    return stage.method, str(stage.params.get("name") or stage.params.get("uri") or "")
