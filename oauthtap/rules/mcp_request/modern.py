"""Requests of 2026-07-28 and later: each carries its version and method in headers and body alike."""

from __future__ import annotations

import base64
import binascii
import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Initialize, Mcp, text
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, should
from oauthtap.rules import rule
from oauthtap.rules.mcp_request.modern_reading import FIRST, over_two_urls

_HTTP = "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http"
_CODES = "https://modelcontextprotocol.io/specification/2026-07-28/basic/index#error-codes"
_VERSION = "io.modelcontextprotocol/protocolVersion"
_ABILITIES = "io.modelcontextprotocol/clientCapabilities"
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods that also need Mcp-Name, and the member it repeats."""
_EARLIER = {-32001: -32020, -32003: -32021, -32004: -32022}
"""Codes of the release candidate, and what they became."""
_MEANING = re.compile(r"header|mismatch|capabilit|version", re.I)


@rule(
    "modern-version-header-missing",
    must("MCP 2026-07-28 Streamable HTTP 'Protocol Version Header'", f"{_HTTP}#protocol-version-header"),
    who="client",
    since="2026-07-28",
)
def version_header_missing(mcp: Mcp, so_far: Handshake) -> Problems:
    """The request has no `MCP-Protocol-Version` header, only a version in `_meta`.

    Gateways read headers only, so the server has to refuse a request whose header is
    absent, with 400 and code -32020.

    Usual causes: a client that implements 2026-07-28 only partly; a proxy that drops unknown
    headers.

    Repair: Send `MCP-Protocol-Version` with the version in `_meta`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        Mcp-Method: tools/list
        400

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        Mcp-Method: tools/list
        MCP-Protocol-Version: 2026-07-28
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    announced = text(mcp.meta.get(_VERSION))
    if over_two_urls(mcp, so_far):
        return
    if announced and mcp.exchange.actor == "client" and mcp.request.header("mcp-protocol-version") is None:
        yield Problem(
            message=f"`_meta` names version {announced:.40}, and there is no MCP-Protocol-Version header",
            at="request.header.mcp-protocol-version",
            expected=f"{announced:.40}",
            actual="absent",
        )


@rule(
    "modern-method-header-missing",
    must("MCP 2026-07-28 Streamable HTTP 'Standard Request Headers'; SEP-2243", f"{_HTTP}#standard-request-headers"),
    who="client",
    since="2026-07-28",
)
def method_header_missing(mcp: Mcp, so_far: Handshake) -> Problems:
    """The request has no `Mcp-Method` or no `Mcp-Name` header.

    Gateways route by `Mcp-Method` and `Mcp-Name` without reading bodies, so a server has to refuse
    requests without them, with 400 and code -32020.

    Usual causes: a client that implements 2026-07-28 only partly; a proxy that drops unknown
    headers.

    Repair: Send `Mcp-Method`, and `Mcp-Name` for tools/call, prompts/get and resources/read.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        MCP-Protocol-Version: 2026-07-28
        400

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        Mcp-Method: tools/list
        MCP-Protocol-Version: 2026-07-28
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if (
        not mcp.is_stateless_revision
        or mcp.method is None
        or mcp.exchange.actor != "client"
        or over_two_urls(mcp, so_far)
    ):
        return
    needed = {"Mcp-Method": mcp.method}
    if name := text(mcp.params.get(_NAMED.get(mcp.method, ""))):
        needed["Mcp-Name"] = name
    for header, value in needed.items():
        if mcp.request.header(header) is None:
            yield Problem(
                message=f"the request has no {header} header; it has to say {value:.100}",
                at=f"request.header.{header.lower()}",
                expected=f"{value:.100}",
                actual="absent",
            )


@rule(
    "modern-header-body-mismatch",
    must("MCP 2026-07-28 Streamable HTTP 'Server Validation'", f"{_HTTP}#server-validation"),
    who="client",
    since="2026-07-28",
)
def header_body_mismatch(mcp: Mcp, so_far: Handshake) -> Problems:
    """`Mcp-Method`, `Mcp-Name` or `MCP-Protocol-Version` does not match the request body.

    The headers repeat what the body says. When they differ, a gateway and the server would act on
    different values, so the server has to refuse (400, code -32020).

    Usual causes: a proxy changed the body but not the headers.

    Repair: Derive the headers from the body, after every change to it.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        Mcp-Method: prompts/list
        MCP-Protocol-Version: 2026-07-28
        400

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
        Mcp-Method: tools/list
        MCP-Protocol-Version: 2026-07-28
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if not mcp.is_stateless_revision or mcp.exchange.actor != "client":
        return
    inside = {
        "mcp-protocol-version": text(mcp.meta.get(_VERSION)),
        "mcp-method": mcp.method,
        "mcp-name": text(mcp.params.get(_NAMED.get(mcp.method or "", ""))),
    }
    for header, value in inside.items():
        sent = mcp.request.header(header)
        if sent is not None and value is not None and _decoded(sent) != value:
            yield Problem(
                message=f"the header {header} says {sent:.80}, the body {value:.80}",
                at=f"request.header.{header}",
                expected=f"{value:.80}",
                actual=f"{sent:.80}",
            )


@rule(
    "modern-meta-missing",
    must(
        "MCP 2026-07-28 Base Protocol '_meta'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/index#_meta",
    ),
    who="client",
    since="2026-07-28",
)
def meta_missing(mcp: Mcp, so_far: Handshake) -> Problems:
    """`params._meta` lacks the protocol version or the client capabilities.

    There is no `initialize` any more. Every request carries version and capabilities in
    `params._meta`; one that does not is refused with 400 and code -32602.

    Usual causes: a client that implements 2026-07-28 only partly; a gateway that sends the new
    header on behalf of an older client.

    Repair: Put `io.modelcontextprotocol/protocolVersion` and `io.modelcontextprotocol/clientCapabilities`
    (`{}` where there are none) into `params._meta` of every request.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        MCP-Protocol-Version: 2026-07-28
        400

    Good:
        POST https://mcp.example.com/mcp
        Mcp-Method: tools/list
        MCP-Protocol-Version: 2026-07-28
          {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}}
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    version = mcp.request.header("mcp-protocol-version") or ""
    if version < FIRST or mcp.method in (None, "initialize") or "id" not in mcp.message or over_two_urls(mcp, so_far):
        return
    missing = [name for name in (_VERSION, _ABILITIES) if name not in mcp.meta]
    if missing and mcp.exchange.actor == "client":
        yield Problem(
            message=f"the header says {version:.40}, and `params._meta` has no {' and no '.join(missing)}",
            at="request.json.params._meta",
            expected=f"{_VERSION} and {_ABILITIES}",
            actual=", ".join(mcp.meta)[:200] or "absent",
        )


@rule(
    "modern-prerelease-error-codes",
    must("MCP 2026-07-28 Base Protocol 'Error Codes'; 2026-07-28 changelog minor item 12", _CODES),
    who="resource-server",
    severity="note",
    since="2026-07-28",
)
def prerelease_codes(mcp: Mcp, so_far: Handshake) -> Problems:
    """The JSON-RPC error code is one of the release candidate.

    The codes were renumbered before the release, so clients do not recognize them.

    Usual causes: a server library from before the release.

    Repair: Update the server's library.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32004, "message": "Unsupported protocol version"}}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "Unsupported protocol version"}}
    """
    code = mcp.rpc_error.get("code") if mcp.is_stateless_revision else None
    said = text(mcp.rpc_error.get("message")) or "" if code is not None else ""
    if isinstance(code, int) and code in _EARLIER and _MEANING.search(said):
        yield Problem(
            message=f"the error code is {code}, of the release candidate; it has to be {_EARLIER[code]}",
            at="response.json.error.code",
            expected=str(_EARLIER[code]),
            actual=str(code),
            patch=Patch(merge={"error": {"code": _EARLIER[code]}}),
        )


@rule(
    "modern-session-id-minted",
    should(
        "MCP 2026-07-28 Streamable HTTP 'Earlier Streamable HTTP Revisions'",
        f"{_HTTP}#earlier-streamable-http-revisions",
    ),
    who="resource-server",
    severity="note",
    since="2026-07-28",
)
def session_minted(mcp: Mcp, so_far: Handshake) -> Problems:
    """The server sends `Mcp-Session-Id` to a client of 2026-07-28, which has no sessions.

    Clients of 2026-07-28 ignore the header. This is harmless, unless the server expects it back.

    Usual causes: a server that handles old and new clients with the same code.

    Repair: Send `Mcp-Session-Id` only in responses to `initialize`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
        Mcp-Session-Id: session-1

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Mcp-Method: tools/list
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if not mcp.is_stateless_revision or isinstance(mcp, Initialize) or not mcp.ok:
        return  # a server that refuses a modern request is likely an older one, where sessions are right
    given = mcp.response.header("mcp-session-id")
    if given is not None:
        yield Problem(
            message=f"the answer carries Mcp-Session-Id {given:.60}; sessions are gone since 2026-07-28",
            at="response.header.mcp-session-id",
            expected="absent",
            actual=f"{given:.60}",
            patch=Patch(headers={"Mcp-Session-Id": None}),
        )


def _decoded(value: str) -> str:
    """The value of an Mcp header, taken out of its `=?base64?…?=` wrapping."""
    if not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2]).decode()
    except (ValueError, binascii.Error):
        return value
