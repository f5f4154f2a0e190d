"""How servers answer requests of 2026-07-28: by which error a client tells a modern server from an older one."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Initialize, Mcp, text, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.rules import rule
from oauthtap.rules.mcp_request.modern_reading import (
    CANDIDATE,
    CAPABILITY,
    MISMATCH,
    OWN,
    UNKNOWN_METHOD,
    VERSION,
    error_code,
    error_data,
    error_text,
    has_error,
    is_modern,
    plain_json,
    same_url,
    serves_modern,
)

_HTTP = "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http"
_BASE = "https://modelcontextprotocol.io/specification/2026-07-28/basic/index"
_DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b")
_SAYS_MISMATCH = re.compile(
    r"header\s?mismatch|mcp-(?:method|name|protocol-version)\b.{0,60}(?:mismatch|match|differ|missing|required|absent)"
    r"|(?:mismatch|missing|differ\w*)\b.{0,60}mcp-(?:method|name|protocol-version)\b",
    re.I,
)
_SAYS_VERSION = re.compile(r"(?:unsupported|not support\w*|unknown|unrecogni[sz]ed)\b.{0,30}\bversion|version\b.{0,50}not support", re.I)  # fmt: skip
_SAYS_CAPABILITY = re.compile(r"client\b.{0,40}capabilit.{0,80}|capabilit.{0,60}\bclient\b", re.I)


@rule(
    "modern-mismatch-answer",
    must("MCP 2026-07-28 Streamable HTTP 'Server Validation'", f"{_HTTP}#server-validation"),
    who="resource-server",
    severity="warning",
    since="2026-07-28",
)
def mismatch_answer(mcp: Mcp, so_far: Handshake) -> Problems:
    """MCP headers that do not match the body are not answered with 400 and error -32020.

    A client knows by status 400 and code -32020 that the server supports 2026-07-28 and that its
    headers are wrong. Anything else looks like an older server, and the client falls back to
    `initialize`, which does not exist here.

    Usual causes: a general request validation with another error; a JSON-RPC library that answers
    every error with 200.

    Repair: Answer 400 with the JSON-RPC error -32020 when a header is missing or differs from the body.

    Bad:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "Mcp-Method header missing"}}

    Good:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32020, "message": "Mcp-Method header missing"}}
    """
    if not is_modern(mcp) or not has_error(mcp) or mcp.status in (401, 403):
        return
    code = error_code(mcp)
    meant = code == MISMATCH or (code not in OWN | CANDIDATE and _SAYS_MISMATCH.search(error_text(mcp)))
    if meant and (mcp.status, code) != (400, MISMATCH):
        yield _other_error(mcp, MISMATCH, "a header that does not fit the body")


@rule(
    "modern-unsupported-version-answer",
    must(
        "MCP 2026-07-28 Streamable HTTP 'Protocol Version Header'; Versioning",
        f"{_HTTP}#protocol-version-header",
    ),
    who="resource-server",
    severity="warning",
    since="2026-07-28",
)
def unsupported_version(handshake: Handshake) -> Problems:
    """An unsupported version is not answered with 400, error -32022 and `data.supported`.

    Status 400, code -32022 and the list `data.supported` tell a client which version to use
    instead. Without them it can only guess: some clients fall back to `initialize`, some stop, and
    it looks like a failed connection.

    Usual causes: a server that is older than the client; a text instead of the list.

    Repair: Answer 400 with error -32022 and the supported versions as `data.supported`.

    Bad:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: tools/list
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "Unsupported protocol version"}}

    Good:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: tools/list
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "Unsupported protocol version",
            "data": {"supported": ["2025-11-25"], "requested": "2026-07-28"}}}
    """
    newest = handshake.last(Initialize)
    proven = serves_modern(handshake.all(Mcp))
    for mcp in handshake.all(Mcp):
        if not is_modern(mcp) or not has_error(mcp) or mcp.status in (401, 403) or error_code(mcp) in CANDIDATE:
            continue
        if error_code(mcp) != VERSION and (error_code(mcp) in OWN or not _SAYS_VERSION.search(error_text(mcp))):
            continue
        listed = texts(error_data(mcp).get("supported"))
        fell_back = newest is not None and newest.exchange.id > mcp.exchange.id
        if (mcp.status, error_code(mcp)) == (400, VERSION) and listed:
            continue
        if error_code(mcp) == VERSION or proven or not fell_back:
            yield _version_problem(mcp, listed)
            return


def _version_problem(mcp: Mcp, listed: tuple[str, ...]) -> Problem:
    asked = mcp.version or ""
    named = [date for date in dict.fromkeys(_DATE.findall(error_text(mcp))) if date != asked]
    known = list(listed) or named
    change = {"code": VERSION, "data": {"supported": known, "requested": asked}}
    found = f"{mcp.status} with code {error_code(mcp)} and {'' if listed else 'no '}list of supported versions"
    return Problem(
        message=f"version {asked:.40} is refused with {found}; it has to be 400 with {VERSION} and `data.supported`",
        at="response.json.error",
        expected=f"400, {VERSION}, data.supported",
        actual=f"{mcp.status}, {error_code(mcp)}, {'data.supported' if listed else 'no data.supported'}",
        exchange=mcp.exchange.id,
        patch=Patch(
            status=400,
            merge={"error": change},
            assumes=None if listed else f"the server speaks {', '.join(known)}",
        )
        if known and plain_json(mcp)
        else None,
    )


@rule(
    "modern-unknown-method-answer",
    must("MCP 2026-07-28 Streamable HTTP 'Protocol Version Header'", f"{_HTTP}#protocol-version-header"),
    who="resource-server",
    severity="note",
    since="2026-07-28",
)
def unknown_method(mcp: Mcp, so_far: Handshake) -> Problems:
    """Unknown JSON-RPC methods are not answered with 404 and error -32601.

    The status is for gateways; the code tells the client that this is an MCP server and only the
    method is unknown. A plain 404 looks like a wrong URL.

    Usual causes: a router that answers unknown methods with its default page; a JSON-RPC library
    that answers every error with 200.

    Repair: Answer unknown methods with 404 and the JSON-RPC error -32601.

    Bad:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: tools/list
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "tools": []}}
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: prompts/list
          {"jsonrpc": "2.0", "id": 2, "method": "prompts/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        200 {"jsonrpc": "2.0", "id": 2, "error": {"code": -32601, "message": "Method not found"}}

    Good:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: tools/list
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "tools": []}}
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: prompts/list
          {"jsonrpc": "2.0", "id": 2, "method": "prompts/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        404 {"jsonrpc": "2.0", "id": 2, "error": {"code": -32601, "message": "Method not found"}}
    """
    if not is_modern(mcp) or mcp.response.body is None:
        return
    code = error_code(mcp)
    wrong = (mcp.status != 404 and code == UNKNOWN_METHOD) or (mcp.status == 404 and code is None)
    if wrong and serves_modern(same_url(mcp, so_far)):
        yield _other_error(mcp, UNKNOWN_METHOD, f"the unknown method {mcp.method or '':.60}", status=404)


@rule(
    "modern-capability-error",
    must(
        "MCP 2026-07-28 Base Protocol 'Error Codes'; Streamable HTTP 'Backward Compatibility'", f"{_BASE}#error-codes"
    ),
    who="resource-server",
    severity="note",
    since="2026-07-28",
)
def capability(mcp: Mcp, so_far: Handshake) -> Problems:
    """The server refuses the request because the client lacks a capability.

    This is about capabilities, such as elicitation, not about permissions: the token is valid, and
    signing in again does not help. Clients recognize this by status 400 and code -32021.

    Usual causes: a tool that needs sampling or elicitation, called by a client without it.

    Repair: On the client, declare the capability or do not call the tool. On the server, use 400
    with -32021 only for this case.

    Bad:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: tools/list
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32021, "message": "needs elicitation"}}

    Good:
        POST https://mcp.example.com/mcp
        MCP-Protocol-Version: 2026-07-28
        Mcp-Method: tools/list
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
          "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "tools": []}}
    """
    if not is_modern(mcp) or not has_error(mcp):
        return
    code = error_code(mcp)
    said = code not in OWN | CANDIDATE and _SAYS_CAPABILITY.search(error_text(mcp))
    if code == CAPABILITY and mcp.status == 400:
        yield Problem(
            message=f"the client lacks a capability ({text(mcp.rpc_error.get('message')) or '':.100}); its token is fine",
            at="response.json.error.code",
            actual=str(code),
        )
    elif code == CAPABILITY or (said and serves_modern(so_far.all(Mcp))):
        yield _other_error(mcp, CAPABILITY, "an ability that the client lacks")


def _other_error(mcp: Mcp, code: int, what: str, status: int = 400) -> Problem:
    """The answer means one thing and says another."""
    found = (
        f"{mcp.status} with code {error_code(mcp)}"
        if error_code(mcp) is not None
        else f"{mcp.status} without a JSON-RPC error"
    )
    error = {"jsonrpc": "2.0", "id": mcp.message.get("id"), "error": {"code": code}}
    if error_code(mcp) is None:
        error["error"] = {"code": code, "message": "Method not found"}
    return Problem(
        message=f"{what} is answered {found}; it has to be {status} with {code}",
        at="response.status" if mcp.status != status else "response.json.error.code",
        expected=f"{status} with {code}",
        actual=found,
        patch=Patch(status=status, merge=error) if mcp.response.media_type != "text/event-stream" else None,
    )
