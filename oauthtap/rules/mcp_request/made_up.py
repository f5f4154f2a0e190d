"""A server that accepts a made-up token, which `oauthtap probe` sends."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Challenge, Initialize, LegacySse, McpRequest, TokenRejected
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.rules import rule


@rule(
    "rs-accepts-made-up-token",
    must(
        "OAuth 2.1 §5.2; MCP 2025-11-25 Authorization 'Token Handling'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization#token-handling",
    ),
    who="resource-server",
    stops_only_at=(),
)
def made_up(mcp: Initialize | McpRequest | LegacySse, so_far: Handshake) -> Problems:
    """The MCP server accepts any access token, even a made-up one.

    Without a token the server refuses; with a made-up one it answers. It requires the header but
    does not validate it, so anyone can use it as any user.

    Usual causes: token validation is not implemented, or the gateway that should do it is not in
    front of this route.

    Repair: Validate every token (signature or introspection, issuer, audience, expiry)
    before the request is handled, and answer 401 with `error="invalid_token"` otherwise.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        @reporter
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-that-nobody-issued
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        @reporter
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-that-nobody-issued
        401
        WWW-Authenticate: Bearer error="invalid_token"
    """
    if mcp.exchange.actor != "reporter" or mcp.bearer is None:
        return
    # By the name of the alias: a secret inside the claims is written in another way in a header than in JSON.
    if mcp.bearer.partition(" {")[0] in {token.partition(" {")[0] for token in so_far.issued}:
        return
    asks = any(stage.status == 401 for stage in (*so_far.all(Challenge), *so_far.all(TokenRejected)))
    if asks and mcp.ok and (mcp.endpoint if isinstance(mcp, LegacySse) else "result" in mcp.reply):
        yield Problem(
            message=f"{mcp.request.bare_url} answers 401 without a token and {mcp.status} with one that was made up",
            at="response.status",
            expected="401",
            actual=str(mcp.status),
        )
