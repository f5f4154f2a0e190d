"""Whether client and server are of one generation, and whether a server's answers are fit to be shared."""

from __future__ import annotations

import json
from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Initialize, Mcp
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import practice
from oauthtap.rules import rule
from oauthtap.rules.mcp_request.modern_reading import (
    CANDIDATE,
    FIRST,
    OWN,
    error_code,
    has_error,
    is_modern,
    plain_json,
    same_url,
    serves_modern,
)

_HTTP = "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http"
_CLOSE = 60.0
"""Lists change with time; answers further apart than this many seconds are not compared."""


@rule(
    "era-mismatch-modern-client",
    practice("MCP 2026-07-28 Streamable HTTP 'Backward Compatibility'", f"{_HTTP}#backward-compatibility"),
    who="resource-server",
    # No `since`: by the time it shows, client and server may have agreed on an older revision.
)
def modern_client(handshake: Handshake) -> Problems:
    """The client tries the protocol version 2026-07-28 first, which this server does not support.

    Since 2026-07-28 there is no `initialize`; a client that supports both sends a modern request,
    sees that the server does not support it, and falls back to `initialize`. That is normal. Only a
    client that supports nothing older stops here.

    Usual causes: the server's library is older than the client.

    Repair: Nothing, if the client continues with `initialize`. Otherwise update the server's
    library, or let the client use the older revision.

    Bad:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: server/discover
          {"jsonrpc": "2.0", "id": 1, "method": "server/discover",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        400 {"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "Server not initialized"}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}

    Good:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: server/discover
          {"jsonrpc": "2.0", "id": 1, "method": "server/discover",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"supportedVersions": ["2026-07-28"]}}
    """
    tried = [mcp for mcp in handshake.all(Mcp) if _not_understood(mcp) and mcp.exchange.actor == "client"]
    if not tried or serves_modern(handshake.all(Mcp)):
        return
    after = [mcp for mcp in handshake.all(Mcp) if mcp.exchange.id > tried[0].exchange.id]
    again = next((mcp for mcp in after if isinstance(mcp, Initialize) and mcp.method == "initialize"), None)
    if again is None and not _stopped(tried[-1], handshake):
        return
    then = f"the client goes on with initialize in exchange {again.exchange.id}" if again else "and nothing followed"
    yield Problem(
        message=f"the server does not understand {tried[0].method or '':.60} of {FIRST} ({tried[0].status}); {then}",
        at="response.status",
        actual=str(tried[0].status),
        exchange=tried[0].exchange.id,
        severity="note" if again else "warning",
    )


def _not_understood(mcp: Mcp) -> bool:
    """A modern request, refused as only a server does that knows no such thing."""
    return is_modern(mcp) and mcp.status in (400, 404, 405) and error_code(mcp) not in OWN | CANDIDATE


def _stopped(last: Mcp, handshake: Handshake) -> bool:
    """Nothing came for five seconds after a refusal by which the server shows that it is an MCP server."""
    end = last.exchange.ended
    quiet = handshake.ended is not None and end is not None and handshake.ended - end >= 5
    return quiet and last.status == 400 and has_error(last) and _is_last(last, handshake)


def _is_last(stage: Mcp, handshake: Handshake) -> bool:
    """Nothing of the handshake came after it."""
    return all(later.exchange.id <= stage.exchange.id or later.slug == "other" for later in handshake.stages)


@rule(
    "modern-cache-scope-public-but-varies",
    practice(
        "MCP 2026-07-28 Server Utilities 'Caching', Security Considerations",
        "https://modelcontextprotocol.io/specification/2026-07-28/server/utilities/caching#security-considerations",
    ),
    who="resource-server",
    severity="error",
    since="2026-07-28",
    stops_only_at=(),
)
def public_but_varies(mcp: Mcp, so_far: Handshake) -> Problems:
    """`cacheScope` is `public`, but the response differs from user to user.

    `cacheScope: public` lets a gateway cache a response and return it to the next user. When the
    response depends on the token, that user gets another user's tools or data.

    Usual causes: `public` is the library's or the framework's default for lists.

    Repair: Use `cacheScope: private` for responses that depend on the user.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        Authorization: Bearer made-up-token-of-ann
        200 {"jsonrpc": "2.0", "id": 1, "result": {"cacheScope": "public", "tools": [{"name": "read"}]}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        Authorization: Bearer made-up-token-of-bob
        200 {"jsonrpc": "2.0", "id": 1, "result": {"cacheScope": "public", "tools": [{"name": "delete"}]}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        Authorization: Bearer made-up-token-of-ann
        200 {"jsonrpc": "2.0", "id": 1, "result": {"cacheScope": "private", "tools": [{"name": "read"}]}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        Authorization: Bearer made-up-token-of-bob
        200 {"jsonrpc": "2.0", "id": 1, "result": {"cacheScope": "private", "tools": [{"name": "delete"}]}}
    """
    if not _public(mcp) or mcp.exchange.started_at is None:
        return
    for other in reversed(same_url(mcp, so_far)):
        if other.exchange.started_at is None or mcp.exchange.started_at - other.exchange.started_at > _CLOSE:
            return
        if other.bearer == mcp.bearer or not _public(other) or _asked(other) != _asked(mcp):
            continue
        if _content(other) != _content(mcp):
            yield Problem(
                message=f"{mcp.method:.60} differs from exchange {other.exchange.id}, which had another token; "
                "both answers say `cacheScope: public`",
                at="response.json.result.cacheScope",
                expected="private",
                actual="public",
                patch=Patch(merge={"result": {"cacheScope": "private"}}) if plain_json(mcp) else None,
            )
            return


def _public(mcp: Mcp) -> bool:
    seen = mcp.ok and mcp.response.body is not None and not mcp.response.truncated
    return seen and mcp.bearer is not None and mcp.method is not None and mcp.result.get("cacheScope") == "public"


def _asked(mcp: Mcp) -> tuple[str | None, str]:
    """Method and parameters, without what says who asks."""
    return mcp.method, _canonical({name: value for name, value in mcp.params.items() if name != "_meta"})


def _content(mcp: Mcp) -> dict[str, Any]:
    """The result without what belongs to this one answer, and with lists in one order."""
    kept = {name: value for name, value in mcp.result.items() if name not in ("_meta", "ttlMs")}
    return {name: sorted(map(_canonical, v)) if isinstance(v, list) else _canonical(v) for name, v in kept.items()}


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
