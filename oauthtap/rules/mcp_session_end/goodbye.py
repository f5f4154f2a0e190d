"""How the server answers the DELETE of a session."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import SessionEnd
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import may
from oauthtap.rules import rule


@rule(
    "mcp-session-delete-answer",
    may(
        "MCP 2025-11-25 Transports 'Session Management'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management",
    ),
    who="resource-server",
    until="2025-11-25",
)
def delete_answer(stage: SessionEnd, so_far: Handshake) -> Problems:
    """The server refuses DELETE for the session, which is not an error.

    Clients end a session with DELETE. A server may refuse with 405, or no longer know the session;
    it is the last line of the log and looks like the reason of a failure. A 401 there only means
    that the token was not sent, or was revoked before.

    Usual causes: the server ends sessions by itself.

    Repair: None needed; for a 401, send the token with DELETE too.

    Bad:
        DELETE https://mcp.example.com/mcp
        Mcp-Session-Id: s-1
        405
        Allow: POST

    Good:
        DELETE https://mcp.example.com/mcp
        Mcp-Session-Id: s-1
        200
    """
    if stage.request.header("mcp-session-id") is None or stage.status not in (401, 404, 405):
        return
    if stage.status == 401:
        token = "came without a token" if stage.bearer is None else "came with a token that is no longer accepted"
        message = f"DELETE {token} and is answered 401: the session was over, nothing failed"
    else:
        message = f"DELETE is answered {stage.status}: the server ends sessions itself, which is legal"
    yield Problem(message=message, at="response.status", actual=str(stage.status))
