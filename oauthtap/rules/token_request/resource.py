"""`resource` in the token request: for which server the token is meant (RFC 8707)."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, ResourceMetadata, TokenEndpoint, TokenRefresh, TokenRequest
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import authorization_request_for, by_client
from oauthtap.model.exchange import all_values
from oauthtap.model.requirements import must
from oauthtap.rules import rule


@rule(
    "token-resource-missing",
    must(
        "MCP 2026-07-28 'Resource Parameter Implementation'; RFC 8707 §2.2",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#resource-parameter-implementation",
    ),
    who="client",
    severity="warning",
    since="2025-06-18",
    symptom=True,  # most servers know the audience without it: it explains a stop only where nothing else does
    stops_only_at=("mcp-token-rejected",),
)
def missing(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token request has no `resource` (RFC 8707).

    Some authorization servers take the audience from this request. Without it they issue a token
    with another audience, or none, and the MCP server refuses it.

    Usual causes: a client older than the 2025-06-18 revision.

    Repair: Send `resource` with the MCP server's identifier in every token request.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&resource=https://mcp.example.com/mcp
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token) or token.grant is None or token.get("resource") or so_far.last(ResourceMetadata) is None:
        return
    described = so_far.prm.resource if so_far.prm else None
    if described is not None:
        yield Problem(
            message=f"the token request has no `resource`; it has to say {described}",
            at="request.form.resource",
            expected=described,
            actual="absent",
        )


@rule(
    "token-resource-differs",
    must(
        "RFC 8707 §2.2; MCP conformance check resource-parameter-consistency",
        "https://www.rfc-editor.org/rfc/rfc8707.html#section-2.2",
    ),
    who="client",
    since="2025-06-18",
    stops_at=("mcp-token-rejected", "mcp-challenge"),
)
def differs(token: TokenRequest | TokenRefresh, so_far: Handshake) -> Problems:
    """`resource` of the token request is not that of the authorization request.

    Code and refresh token are valid for the resources of the authorization request. For any other,
    the server answers `invalid_target`, or issues a token that the MCP server refuses. Usual causes: one
    request uses the URL as typed, the other the one from the metadata; a trailing slash that a URL
    library adds.

    Repair: Store the `resource` of the authorization request and send the same string here.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&resource=https://mcp.example.com/mcp
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&resource=https://mcp.example.com/
        400 {"error": "invalid_target"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&resource=https://mcp.example.com/mcp
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&resource=https://mcp.example.com/mcp
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    asked = _authorization_for(token, so_far) if by_client(token) else None
    wanted = asked.all("resource") if asked else ()
    for sent in all_values(token.params, "resource"):
        if asked and wanted and sent and sent not in wanted:
            yield Problem(
                message=f"`resource` is {sent}, but exchange {asked.exchange.id} asked for {wanted[0]}",
                at="request.form.resource",
                expected=wanted[0],
                actual=sent,
            )


def _authorization_for(token: TokenRequest | TokenRefresh, so_far: Handshake) -> AuthorizationRequest | None:
    """The authorization request behind a code, or behind the refresh token that its exchange gave."""
    if isinstance(token, TokenRequest):
        return authorization_request_for(token, so_far)
    before = [one for one in so_far.all(TokenRequest) if one.ok and one.get("client_id") == token.get("client_id")]
    return authorization_request_for(before[-1], so_far) if before else None
