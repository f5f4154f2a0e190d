"""The answers of the introspection and revocation endpoints."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Stage, TokenEndpoint, TokenMaintenance
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import first_value
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule


def _revoking(stage: TokenMaintenance, so_far: Handshake) -> bool:
    """The request gives a token back: learned from metadata, or by its path."""
    last = stage.request.path.rstrip("/").rpartition("/")[2].lower()
    return so_far.learned("revocation_endpoint", stage.url) is not None or "revo" in last


@rule(
    "introspection-inactive",
    practice("RFC 7662 §2.2 and §2.3", "https://www.rfc-editor.org/rfc/rfc7662.html#section-2.2"),
    who="authorization-server",
    severity="warning",
    stops_at=("mcp-token-rejected",),
)
def inactive(asked: TokenMaintenance, so_far: Handshake) -> Problems:
    """Introspection reports a new token as inactive, or refuses the MCP server.

    The MCP server asks the authorization server whether a token is valid. When that reports it as
    inactive, or refuses the MCP server's credentials, the client is refused right after a
    successful sign-in.

    Usual causes: the MCP server asks another tenant or realm than the one that issued the token;
    its credentials there are missing or not allowed to introspect.

    Repair: Let the MCP server introspect at the authorization server that issues the
    token, with credentials that are allowed to do so.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "introspection_endpoint": "https://as.example.com/introspect"}

        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 3600}

        POST https://as.example.com/introspect token=made-up-token-1
        200 {"active": false}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "introspection_endpoint": "https://as.example.com/introspect"}

        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 3600}

        POST https://as.example.com/introspect token=made-up-token-1
        200 {"active": true}
    """
    token = first_value(asked.form, "token")
    if token is None or _revoking(asked, so_far):
        return
    if asked.status in (401, 403) and so_far.learned("introspection_endpoint", asked.url):
        yield Problem(
            message=f"the introspection request is answered {asked.status}; the MCP server has to be allowed to introspect",
            at="response.status",
            expected="200",
            actual=str(asked.status),
        )
    elif asked.ok and asked.answer_object.get("active") is False and _fresh(token, asked, so_far):
        yield Problem(
            message="`active` is false for a token that was issued in this handshake and has not expired",
            at="response.json.active",
            expected="true",
            actual="false",
        )


def _fresh(token: str, asked: Stage, so_far: Handshake) -> bool:
    """The token was issued in this handshake, still lives, and was not given back."""
    source = so_far.of(so_far.issued.get(token, 0))
    issued = next((one for one in source if isinstance(one, TokenEndpoint)), None)
    if issued is None or issued.issued.get("access_token") != token:
        return False
    lifetime = issued.issued.get("expires_in")
    seconds = lifetime if isinstance(lifetime, int | float) else 60
    now, then = asked.exchange.started_at, issued.exchange.started_at
    back = [
        one for one in so_far.all(TokenMaintenance) if _revoking(one, so_far) and first_value(one.request.form, "token")
    ]
    return now is not None and then is not None and now - then < seconds and not back


@rule(
    "revocation-status",
    must("RFC 7009 §2.2", "https://www.rfc-editor.org/rfc/rfc7009.html#section-2.2"),
    who="authorization-server",
    severity="note",
)
def revocation_status(asked: TokenMaintenance, so_far: Handshake) -> Problems:
    """Revocation of an unknown or expired token is not answered with 200.

    A sign-out is complete when the token is invalid, for whatever reason. A refusal makes clients
    report a failed sign-out although the token is invalid.

    Usual causes: the server looks the token up first, and treats "not found" as a failure.

    Repair: Answer 200 also for unknown or expired tokens; keep 400 for invalid requests.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "revocation_endpoint": "https://as.example.com/revoke"}

        POST https://as.example.com/revoke token=made-up-token-1&client_id=c1
        400 {"error": "invalid_token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "revocation_endpoint": "https://as.example.com/revoke"}

        POST https://as.example.com/revoke token=made-up-token-1&client_id=c1
        200
    """
    if not _revoking(asked, so_far) or asked.request.method != "POST" or not first_value(asked.form, "token"):
        return
    told = asked.oauth_error in ("invalid_token", "invalid_grant") or asked.status in (404, 410)
    if told and asked.status is not None and 400 <= asked.status < 500:
        yield Problem(
            message=f"the revocation is answered {asked.status} {asked.oauth_error or ''}".rstrip()
            + "; it has to be 200",
            at="response.status",
            expected="200",
            actual=str(asked.status),
            patch=Patch(status=200, body=""),
        )
