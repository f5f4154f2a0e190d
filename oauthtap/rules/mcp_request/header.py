"""The Authorization header as text: one of it, well-formed, and not too long."""

from __future__ import annotations

import re
from functools import lru_cache

from oauthtap.diagnosis.findings import Problem, Problems, Severity
from oauthtap.handshake.stages import Challenge, Mcp
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.redaction.alias_format import parse_alias
from oauthtap.rules import rule

_WELL_FORMED = re.compile(r"(?:bearer|dpop) (?P<core>\S.*)", re.I | re.S)
_PLACEHOLDER = re.compile(r"undefined|null|none|nil|true|false|\$\{?\w+\}?|\{\{[^{}]*\}\}|<[^<>]*>|%\w+%|\[object \w+\]", re.I)  # fmt: skip
_TWO = re.compile(r",\s*(?:bearer|basic|dpop)\s", re.I)
_HEADER_SIZE = re.compile(r"header.{0,40}(large|long|size|exceed|limit)|too (large|long).{0,40}header", re.I | re.S)
_CHARACTERS = "characters that no token may have"
_BIG, _TOO_BIG = 4096, 8192


@rule(
    "bearer-malformed",
    must(
        "OAuth 2.1 draft-13 §5.1.1; RFC 6750 §2.1",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-5.1.1",
    ),
    who="client",
)
def malformed(mcp: Mcp, so_far: Handshake) -> Problems:
    """The `Authorization` header is not of the form `Bearer <token>`.

    It is the word `Bearer`, one space, and the token. With the word doubled or missing, with quotes
    or an unfilled placeholder, the server finds no valid token and answers 401, although a header
    was sent.

    Usual causes: a gateway that adds a second `Bearer`; `Bearer ${TOKEN}` in a configuration whose
    variable is not set.

    Repair: Send exactly `Authorization: Bearer <token>`, or remove the configured header
    and let the client sign in.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer Bearer made-up-token-1
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    value = mcp.request.header("authorization")
    if value is None or mcp.exchange.actor in ("reporter", "authorization-server") or _TWO.search(value):
        return
    fault = _fault(value)
    if fault is None or any(s.request.header("authorization") == value for s in so_far.all(Mcp)[-50:]):
        return
    if fault == _CHARACTERS and (mcp.ok or mcp.bearer in so_far.issued):
        return  # that is how this server makes its tokens
    severity: Severity | None = None
    if fault.startswith("scheme "):
        asked_for_bearer = any(c.challenged.bearer for c in (mcp, *so_far.all(Challenge)[-50:]))
        if mcp.ok:
            return
        severity = None if asked_for_bearer else "note"
    elif mcp.ok:
        severity = "warning"
    yield Problem(
        message=f"the Authorization header is malformed: {fault}; it has to be `Bearer`, one space, and the token",
        at="request.header.authorization",
        expected="Bearer <token>",
        actual=fault,
        responsible="config" if mcp.exchange.actor == "gateway" else None,
        severity=severity,
    )


@rule(
    "bearer-too-large",
    practice("RFC 6585 §5", "https://www.rfc-editor.org/rfc/rfc6585.html#section-5"),
    who="authorization-server",
    severity="warning",
    stops_at=("mcp-token-rejected", "mcp-initialize"),
)
def too_large(mcp: Mcp, so_far: Handshake) -> Problems:
    """The access token is longer than the header limits of servers and gateways.

    Many allow 8 kB for all headers together, some 4 kB for one. They answer 431 or a plain 400,
    often from a gateway, which looks like an invalid token.

    Usual causes: every group, role and scope of the user is in the token.

    Repair: Issue a shorter token (fewer claims, or an opaque token), or raise the limit of the
    server and of every gateway in front of it.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer ‹token 1 length=9000›
        431

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    length = parse_alias(mcp.bearer or "").get("length", "")
    size = int(length) if length.isdecimal() else 0
    refused = size > _BIG and (
        mcp.status == 431 or (mcp.status in (400, 413) and bool(_HEADER_SIZE.search(mcp.answer_text[:4000])))
    )
    if refused or (size > _TOO_BIG and not any(s.bearer == mcp.bearer for s in so_far.all(Mcp)[-50:])):
        yield Problem(
            message=f"the token is {size} characters long{f' and answered {mcp.status}' if refused else ''}; many "
            "servers allow 8192 for all headers",
            at="request.header.authorization",
            expected="well below 4096 characters",
            actual=f"{size} characters",
        )


@rule(
    "bearer-duplicate-header",
    practice("RFC 9110 §5.3 and §11.6.2", "https://www.rfc-editor.org/rfc/rfc9110.html#section-5.3"),
    who="client",
    severity="warning",
    stops_at=("mcp-token-rejected",),
)
def duplicate_header(mcp: Mcp, so_far: Handshake) -> Problems:
    """The request has two `Authorization` headers.

    Whether a server reads the first, the last or both joined is not defined, so a valid token may
    be ignored.

    Usual causes: a static header in the client's configuration next to the token of the sign-in.

    Repair: Remove the static Authorization header from the configuration of this server.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-static-key
        Authorization: Bearer made-up-token-1
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    lines = mcp.request.header_lines("authorization")
    times = len(lines) if len(lines) > 1 else 2 if lines and _TWO.search(lines[0]) else 1
    if times > 1 and mcp.exchange.actor != "reporter":
        yield Problem(
            message=f"{times} credentials are in the Authorization header; there may be one",
            at="request.header.authorization",
            expected="one",
            actual=str(times),
        )


@lru_cache(256)
def _fault(value: str) -> str | None:
    """What is wrong with an Authorization value; None when nothing is."""
    match = _WELL_FORMED.fullmatch(value)
    if match is None:
        scheme, blank, _ = value.strip().partition(" ")
        if not blank or scheme.startswith("‹"):
            return (
                "nothing follows the scheme" if scheme.lower() in ("bearer", "dpop") else "no scheme before the token"
            )
        known = scheme.lower().strip("\"':") in ("bearer", "dpop")
        return f"`{scheme[:30]}` before the token" if known else f"scheme `{scheme[:30]}`"
    core = match["core"]
    if _PLACEHOLDER.fullmatch(core.strip()):
        return f"`{core.strip()[:40]}` instead of a token"
    if core.lower().startswith(("bearer ", "bearer:", "dpop ")):
        return "the word Bearer occurs twice"
    if core != core.strip() or core[0] in "\"'" or core[-1] in "\"'":
        return "spaces or quotes around the token"
    return _CHARACTERS if parse_alias(core).get("charset") == "bad" else None
