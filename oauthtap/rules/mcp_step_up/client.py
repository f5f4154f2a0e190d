"""What the client does about a missing permission: asks for it, asks for too little, or does something else."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, StepUp, TokenRefresh, scopes
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import practice, should
from oauthtap.rules import rule
from oauthtap.rules.mcp_step_up.challenge import operation

_FLOW = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#step-up-authorization-flow"
_CYCLES = 3


@rule(
    "stepup-client-drops-scopes",
    should("MCP 2026-07-28 'Step-Up Authorization Flow'; SEP-2350", _FLOW),
    who="client",
    since="2025-06-18",
    stops_at=("mcp-step-up", "authorization-response", "token-request"),
)
def drops_scopes(stage: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client does not request all scopes of the `insufficient_scope` challenge.

    When it requests fewer scopes than the challenge names, the next call is refused again; when it
    leaves out scopes it had before, calls fail that worked so far.

    Usual causes: a scope list fixed in the client's configuration.

    Repair: Request the scopes of the challenge together with those of the previous sign-in.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"

        GET https://as.example.net/authorize?response_type=code&client_id=app&scope=files:read
        200

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"

        GET https://as.example.net/authorize?response_type=code&client_id=app&scope=files:read%20files:write
        200
    """
    told = so_far.last(StepUp)
    if told is None or not told.scope or stage.exchange.actor not in ("client", "browser"):
        return
    earlier = [a for a in so_far.all(AuthorizationRequest) if a.get("client_id") == stage.get("client_id")]
    if any(a.exchange.id > told.exchange.id for a in earlier):
        return
    # Keeping the scopes of earlier sign-ins is asked for since 2026-07-28 only.
    before = scopes(earlier[-1].get("scope")) if earlier and so_far.revision >= "2026-07-28" else ()
    # What an earlier challenge demanded is needed all the same: without it that call is refused again.
    demanded = [scope for one in so_far.all(StepUp) if one.exchange.actor == "client" for scope in scopes(one.scope)]
    needed = tuple(dict.fromkeys((*before, *demanded, *scopes(told.scope))))
    missing = [scope for scope in needed if scope not in scopes(stage.get("scope"))]
    if missing:
        yield Problem(
            message=f"The client asks for “{stage.get('scope') or ''}” and leaves out {', '.join(missing)[:120]}",
            at="request.query.scope",
            expected=" ".join(needed),
            actual=stage.get("scope") or "no scope",
        )


@rule(
    "stepup-client-no-retry-limit",
    should("MCP 2026-07-28 'Step-Up Authorization Flow'", _FLOW),
    who="client",
    since="2025-11-25",
    symptom=True,
)
def no_retry_limit(stage: StepUp, so_far: Handshake) -> Problems:
    """The client repeats the step-up authorization for the same call without limit.

    If three new tokens did not help, a fourth will not either. The user sees one consent page after
    another.

    Repair: Let the client stop after a few attempts and show the server's error.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token-1
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="a"

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/call"}
        Authorization: Bearer made-up-token-2
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="a"

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 3, "method": "tools/call"}
        Authorization: Bearer made-up-token-3
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="a"

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 4, "method": "tools/call"}
        Authorization: Bearer made-up-token-4
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="a"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token-1
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="a"

        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/call"}
        Authorization: Bearer made-up-token-2
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="a"
    """
    before = [s for s in so_far.all(StepUp) if operation(s) == operation(stage) and s.exchange.actor == "client"]
    tokens = {s.bearer for s in before}
    if stage.exchange.actor == "client" and stage.bearer not in tokens and len(tokens) >= _CYCLES:
        yield Problem(
            message=f"{stage.method} is refused for a missing scope with {len(tokens) + 1} different tokens in a row",
            at="request.header.authorization",
            expected=f"at most {_CYCLES} attempts",
            actual=f"{len(tokens) + 1} attempts",
        )


@rule(
    "stepup-refresh-instead",
    practice("OAuth 2.1 draft-13 §4.3.1; MCP 2026-07-28 'Step-Up Authorization Flow'", _FLOW),
    who="client",
    severity="warning",
    stops_at=("mcp-step-up", "mcp-request"),
)
def refreshes_instead(stage: TokenRefresh, so_far: Handshake) -> Problems:
    """The client refreshes its token after `insufficient_scope` instead of requesting the scope.

    A refreshed token has the scopes of the old one. The call is refused again, and the user is
    never asked. Usual causes: a client that treats every refusal as an expired token.

    Repair: After `insufficient_scope`, start a new authorization request with the scope
    that the challenge names.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"

        POST https://as.example.net/token grant_type=refresh_token&refresh_token=made-up-refresh&client_id=app
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        401
        WWW-Authenticate: Bearer error="invalid_token"

        POST https://as.example.net/token grant_type=refresh_token&refresh_token=made-up-refresh&client_id=app
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    walk = [s for s in so_far.stages if s.exchange.actor in ("client", "browser") and s.slug != "other"]
    last = so_far.of(walk[-1].exchange.id)[0] if walk else None
    if not isinstance(last, StepUp) or stage.exchange.actor != "client" or last.error != "insufficient_scope":
        return
    at, since = stage.exchange.started_at, last.exchange.ended
    if at is not None and since is not None and at - since > 60:
        return
    yield Problem(
        message=f"After insufficient_scope (exchange {last.exchange.id}) the client refreshes its token; "
        f"it has to ask for {last.scope or 'the missing scope'}",
        at="request.form.grant_type",
        expected="an authorization request",
        actual="refresh_token",
    )
