"""The revision that client and server agree on, and the session id that comes with it."""

from __future__ import annotations

import json
import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Initialize, Mcp, Preflight
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule

_SESSION = "mcp-session-id"
_MODERN_CODES = (-32020, -32022)
"""Header mismatch, and unsupported protocol version: codes that only servers of 2026-07-28 have."""
_MODERN_WORDS = re.compile(r"_meta|protocol.?version|mcp-method|unsupported.{0,20}version", re.I)
_DATE = re.compile(r"20\d\d-\d\d-\d\d")
_VISIBLE = re.compile(r"[\x21-\x7e]*")
_ALIAS = re.compile(r"‹[^›]*›")


def _refused(stage: Initialize) -> bool:
    return stage.method == "initialize" and stage.status is not None and 400 <= stage.status < 500


def _era(stage: Initialize, so_far: Handshake) -> bool:
    """The refusal is one that only a server of 2026-07-28 gives."""
    code = stage.rpc_error.get("code")
    said = f"{stage.rpc_error.get('message')} {json.dumps(stage.rpc_error.get('data'))}"
    served = any(mcp.ok and mcp.is_stateless_revision for mcp in so_far.all(Mcp))
    return code in _MODERN_CODES or (code == -32602 and (served or bool(_MODERN_WORDS.search(said))))


@rule(
    "mcp-session-id-charset",
    must(
        "MCP 2025-11-25 Transports 'Session Management'",
        "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#session-management",
    ),
    who="resource-server",
    severity="warning",
    until="2025-11-25",
)
def session_id_charset(stage: Initialize, so_far: Handshake) -> Problems:
    """`Mcp-Session-Id` contains characters outside visible ASCII.

    The client has to send the id back in a header of every later request. Spaces, control
    characters and non-ASCII characters are dropped or changed in transit, and the server then does
    not find the session.

    Usual causes: the id is built from a user's name, raw bytes or JSON.

    Repair: Make session ids of visible ASCII characters, for example a UUID.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
        Mcp-Session-Id: session of Zoë

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
        Mcp-Session-Id: 0b5c7d7e
    """
    session = stage.response.header(_SESSION)
    if session is not None and not _VISIBLE.fullmatch(_ALIAS.sub("", session.strip())):
        bad = next(char for char in _ALIAS.sub("", session.strip()) if not _VISIBLE.fullmatch(char))
        yield Problem(
            message=f"Mcp-Session-Id contains {bad!r}; only visible ASCII characters may be in it",
            at="response.header.mcp-session-id",
            expected="characters from 0x21 to 0x7E",
            actual=bad,
        )


@rule(
    "modern-initialize-refused-silently",
    should(
        "MCP 2026-07-28 Versioning 'Backward Compatibility with Initialization-Based Versions'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning#backward-compatibility-with-initialization-based-versions",
    ),
    who="resource-server",
)
def refused_silently(stage: Initialize, so_far: Handshake) -> Problems:
    """A server of 2026-07-28 refuses `initialize` without naming its supported versions.

    An older client begins with `initialize` and does not know that this server no longer supports
    it. If the error names the supported versions, its user learns that a newer client is needed;
    without them it is a plain 400 that looks like a sign-in problem.

    Usual causes: the server's general request validation answers first.

    Repair: Name the supported versions in the message or in `data.supported` of the error.

    Bad:
        POST https://mcp.example.com/mcp
          {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "unsupported"}}

    Good:
        POST https://mcp.example.com/mcp
          {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "unsupported",
             "data": {"supported": ["2026-07-28"]}}}
    """
    if _refused(stage) and _era(stage, so_far):
        asked = stage.version or ""
        said = json.dumps(stage.rpc_error)
        if not any(date != asked for date in _DATE.findall(said)):
            yield Problem(
                message=f"initialize is refused with {stage.rpc_error.get('code')}, and no supported version is named",
                at="response.json.error",
                expected="the supported versions",
                actual=said[:160],
            )


@rule(
    "era-mismatch-legacy-client",
    practice(
        "MCP 2026-07-28 Versioning 'Compatibility Matrix'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning#compatibility-matrix",
    ),
    who="resource-server",
    severity="warning",
)
def legacy_client(stage: Initialize, so_far: Handshake) -> Problems:
    """The client's MCP revision is older than any that this server supports.

    The client opens with `initialize`, and the server supports only 2026-07-28, where that does not
    exist. They cannot connect; the sign-in is not the cause.

    Usual causes: the server was updated before its clients.

    Repair: Use a newer client, or a server that supports both.

    Bad:
        POST https://mcp.example.com/mcp
          {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
        400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "only 2026-07-28"}}

    Good:
        POST https://mcp.example.com/mcp
          {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
    """
    if _refused(stage) and _era(stage, so_far):
        yield Problem(
            message=f"initialize for {stage.version or 'an older revision'} is refused with "
            f"{stage.rpc_error.get('code')}: the server has no revision with initialize; this is not a sign-in problem",
            at="response.json.error.code",
            expected="a result",
            actual=str(stage.rpc_error.get("code")),
        )


@rule(
    "cors-expose-session-id",
    practice(
        "Fetch Standard, CORS-safelisted response-header name; MCP 2025-11-25 'Session Management'",
        "https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name",
    ),
    who="resource-server",
    severity="error",
    until="2025-11-25",
    stops_at=("mcp-request", "mcp-stream"),
)
def expose_session_id(stage: Initialize, so_far: Handshake) -> Problems:
    """`Access-Control-Expose-Headers` does not include `Mcp-Session-Id`.

    Browsers expose only a few headers to scripts of another origin, unless the response lists more.
    A client in a browser cannot read its session id, sends the next request without it and is
    refused.

    Usual causes: CORS is set up for requests, but `Access-Control-Expose-Headers` was forgotten.

    Repair: Send `Access-Control-Expose-Headers: Mcp-Session-Id` (and `WWW-Authenticate`)
    with answers of the MCP endpoint.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Origin: https://app.example.org
        Sec-Fetch-Mode: cors
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
        Access-Control-Allow-Origin: *
        Mcp-Session-Id: 0b5c7d7e

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Origin: https://app.example.org
        Sec-Fetch-Mode: cors
        200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
        Access-Control-Allow-Origin: *
        Access-Control-Expose-Headers: Mcp-Session-Id
        Mcp-Session-Id: 0b5c7d7e
    """
    if not stage.ok or stage.response.header(_SESSION) is None or stage.request.header("origin") is None:
        return
    site = stage.request.header("sec-fetch-site") or "cross-site"
    script = stage.request.header("sec-fetch-mode") == "cors" or any(p.url == stage.url for p in so_far.all(Preflight))
    exposed = stage.response.header("access-control-expose-headers") or ""
    names = {name.strip().lower() for name in exposed.split(",")}
    if not script or site == "same-origin" or _SESSION in names:
        return
    if "*" in names and (stage.response.header("access-control-allow-credentials") or "").lower() != "true":
        return
    yield Problem(
        message=f"Mcp-Session-Id is set, and Access-Control-Expose-Headers is {exposed or 'missing'}; "
        "a script in a browser cannot read the id",
        at="response.header.access-control-expose-headers",
        expected="Mcp-Session-Id",
        actual=exposed or None,
        patch=Patch(headers={"Access-Control-Expose-Headers": f"{exposed}, Mcp-Session-Id".lstrip(", ")}),
    )
