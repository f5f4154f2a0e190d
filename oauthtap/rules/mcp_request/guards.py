"""Refusals that have nothing to do with OAuth: Origin, Host, CSRF, bot protection, gateways."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Mcp, Stage
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_TRANSPORT = "https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http"
_SEARCH = ("mcp-challenge", "prm-discovery", "as-discovery", "client-registration")
"""Where clients stop that take any refusal for a wish to be signed in to."""
_ORIGIN = re.compile(r"\borigins?\b|\bcors\b", re.I)
_HOST = re.compile(
    r"(?:invalid|unknown|untrusted|disallowed|unrecogni[sz]ed|unexpected|bad|blocked)[\s:'\"]{1,3}(?:http[_ -])?hosts?\b"
    r"|\bhost\b.{0,100}\b(?:not|isn't) (?:allowed|permitted|trusted|recogni[sz]ed|valid|in the|on the)"
    r"|\bhost\b.{0,30}\b(?:invalid|forbidden|rejected|denied|mismatch)"
    r"|disallowed_?host|allowed_?hosts|dns.?rebinding|misdirected",
    re.I,
)
_CSRF = re.compile(
    r"\b[cx]srf|(?:invalid\s?|missing\s?)authenticity\s?token|cross-site (?:post )?(?:form )?(?:request|submission)",
    re.I,
)
_UPSTREAM = re.compile(r"\bupstream\b", re.I)
_EDGE_HEADERS = ("cf-mitigated", "x-amzn-waf-action", "x-vercel-mitigated", "x-sucuri-block", "x-datadome")
_BAN = re.compile(r'\s*error code: 1\d{3}\s*|.*"cloudflare_error":\s*true.*', re.I | re.S)
"""Cloudflare's refusals for clients that do not take HTML."""
_EDGE = re.compile(
    r"just a moment\.\.\.|attention required|you have been blocked|request blocked|website firewall|cf-chl|challenge-platform|incapsula|errors\.edgesuite\.net"
    r"|reference&?#?\w*;?\s*#\d+\.[0-9a-f]{6,}",
    re.I,
)


@rule(
    "mcp-origin-rejected",
    must("MCP 2026-07-28 Streamable HTTP 'Security & Endpoint'", _TRANSPORT),
    who="resource-server",
    severity="warning",  # a note could not be named as the cause, and this refusal does stop clients
    stops_at=(*_SEARCH, "cors-preflight"),
)
def origin_rejected(mcp: Mcp, so_far: Handshake) -> Problems:
    """The MCP server refuses the `Origin` header of the request.

    A server checks `Origin` so that other web pages cannot send requests to it (DNS rebinding).
    That is correct, but it is not a sign-in problem, and signing in again does not help.

    Usual causes: an allow-list with the server's own host only.

    Repair: Add the client's origin to the server's allow-list.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Origin: https://client.example.org
        403 {"error": "Origin not allowed"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Origin: https://client.example.org
        401
        WWW-Authenticate: Bearer
    """
    origin = mcp.request.header("origin")
    if not origin or mcp.status != 403 or mcp.challenged.bearer or _CSRF.search(mcp.answer_text[:8000]):
        return
    if origin.endswith(".invalid"):  # that of `probe --attack`: nobody can have it, and it has to be refused
        return
    if _ORIGIN.search(mcp.answer_text[:4000]) or _welcome_without_origin(mcp, so_far):
        yield Problem(
            message=f"the server refuses requests from {origin}; it has to allow the origins of its clients",
            at="request.header.origin",
            expected="an allowed origin",
            actual=origin,
        )


@rule(
    "mcp-host-rejected",
    practice("MCP 2026-07-28 Streamable HTTP 'Security & Endpoint'", _TRANSPORT),
    who="resource-server",
    severity="warning",
    stops_at=(*_SEARCH, "mcp-initialize", "mcp-token-rejected", "mcp-stream"),
)
def host_rejected(mcp: Mcp, so_far: Handshake) -> Problems:
    """The MCP server refuses the `Host` header of the request.

    Server libraries protect against DNS rebinding with an allow-list of host names. A correct
    public name that is not on the list is refused.

    Usual causes: the allow-list has its default (localhost) on a public domain; a proxy or tunnel
    that sends another `Host`.

    Repair: Add the public host name to the server's list of allowed hosts.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        421 text/plain Invalid Host header

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    if mcp.status == 421 or (mcp.status in (400, 403) and _HOST.search(mcp.answer_text[:4000])):
        host = mcp.request.parts.netloc
        yield Problem(
            message=f"the server answers {mcp.status} because its allowed hosts do not include {host}",
            at="request.header.host",
            expected="a host on the server's list",
            actual=host,
        )


@rule(
    "mcp-csrf-rejected",
    practice("Observed with web frameworks", _TRANSPORT),
    who="resource-server",
    severity="warning",
    stops_at=(*_SEARCH, "mcp-initialize"),
)
def csrf_rejected(mcp: Mcp, so_far: Handshake) -> Problems:
    """The web framework's CSRF protection refuses the MCP request.

    It requires a token that only a page of the site has. An MCP client has none and is refused
    before its Bearer token is checked, without a challenge.

    Usual causes: the MCP route goes through the middleware for web forms.

    Repair: Exempt the MCP path, with and without a trailing slash, from CSRF protection.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        403 text/html <h1>CSRF verification failed</h1>

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    if mcp.status == 419 or (mcp.status in (400, 403, 422) and _CSRF.search(mcp.answer_text[:8000])):
        yield Problem(
            message=f"the answer is {mcp.status} of a CSRF check; an MCP request has to get past it",
            at="response.status",
            expected="an answer of the MCP server",
            actual=str(mcp.status),
        )


@rule(
    "mcp-cdn-block",
    practice(
        "RFC 9110 §15.5.4 (403 may be unrelated to credentials)",
        "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.4",
    ),
    who="resource-server",
    severity="error",
)
def cdn_block(stage: Stage, so_far: Handshake) -> Problems:
    """A bot protection (CDN or WAF) answers instead of the server.

    It requires a browser that solves a challenge. A client cannot, so it does not reach the server.

    Usual causes: the protection of the web site includes the MCP and OAuth paths.

    Repair: Exempt the MCP path, `/.well-known/`, and the registration and token endpoints
    from bot protection.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        403 text/html <title>Just a moment...</title>
        cf-mitigated: challenge

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    if stage.status not in (403, 429, 503) or stage.exchange.actor == "browser":
        return
    by_header = any(stage.response.header(name) for name in _EDGE_HEADERS)
    page = stage.response.media_type == "text/html" and stage.response.body is not None
    if by_header or _banned(stage) or (page and _EDGE.search(stage.answer_text[:8000])):
        yield Problem(
            message=f"a bot protection answers {stage.status} instead of the server",
            at="response.status",
            expected="an answer of the server",
            actual=str(stage.status),
        )


@rule(
    "mcp-gateway-upstream-error",
    practice("RFC 9110 §15.6.3", "https://datatracker.ietf.org/doc/html/rfc9110#section-15.6.3"),
    who="resource-server",
    severity="error",
    stops_at=_SEARCH,
)
def gateway_error(mcp: Mcp, so_far: Handshake) -> Problems:
    """A gateway answers with a 5xx error instead of the upstream server's response.

    The upstream server may have answered 401. What arrives is a 5xx, which does not start a
    sign-in.

    Usual causes: the gateway has no credentials for the upstream server and does not forward the
    401 and its challenge.

    Repair: Forward status and `WWW-Authenticate` of the upstream server, or give the gateway
    credentials for it.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        500 {"error": "upstream error: 401 Unauthorized"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
    """
    if mcp.status in (500, 502, 503, 504) and _UPSTREAM.search(mcp.answer_text[:4000]):
        yield Problem(
            message=f"the answer is {mcp.status} and speaks of an upstream; the client needs that server's own answer",
            at="response.status",
            expected="the status of the upstream server",
            actual=str(mcp.status),
        )


def _welcome_without_origin(mcp: Mcp, so_far: Handshake) -> bool:
    """The same URL answered, or asked for a token, when a request came without `Origin`."""
    others = [s for s in so_far.all(Mcp)[-50:] if s.url == mcp.url and s.request.header("origin") is None]
    return any((s.ok or s.status == 401) and s.bearer == mcp.bearer for s in others)


def _banned(stage: Stage) -> bool:
    body = stage.response.body or ""
    return len(body) < 4000 and _BAN.fullmatch(body) is not None
