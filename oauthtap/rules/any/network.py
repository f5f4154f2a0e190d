"""The connection to a server: connections, certificates, timeouts, rate limits, encodings, caches."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Party, Patch, Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Challenge,
    Discover,
    Document,
    Initialize,
    Interaction,
    LegacySse,
    Mcp,
    McpRequest,
    McpStream,
    Preflight,
    PushedAuthorization,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    SessionEnd,
    Stage,
    TokenEndpoint,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_TLS = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-1.5"
_CERTIFICATE = re.compile(
    r"certificat|(?:\b|_)cert(?:_|\b)|self.?signed|unable to (?:verify|get (?:local )?issuer)|x\.?509|"
    r"DEPTH_ZERO|UNABLE_TO_|ERR_TLS_CERT|altname|host ?name (?:mismatch|doesn't match)|unknown ca\b|"
    r"issuer (?:is )?(?:not|un)(?:known| trusted)|verify failed|PKIX|trust anchor|SEC_E_UNTRUSTED",
    re.I,
)
_TOO_LATE = re.compile(
    r"time(?:d)?[ _-]?out|ETIMEDOUT|deadline|\btook too long|did not (?:answer|respond) (?:in|within)|"
    r"no (?:answer|response) (?:in|within|after)",
    re.I,
)
_GIVEN_UP = re.compile(r"client (?:disconnect|closed|gave up|went away|cancel)|abort|cancel", re.I)
_SECONDS = re.compile(r"\bafter (\d{1,4}(?:\.\d{1,3})?) ?s(?:ec\w*)?\b", re.I)
_BODY = re.compile(
    r"content.?encoding|content.?decod|decod|gzip|deflate|brotli|zstd|zlib|Z_DATA|Z_BUF|incorrect header check|"
    r"incomplete ?(?:read|message|body|chunked)|content.?length.{0,20}(?:mismatch|exceed)|premature(?:ly)? (?:close|end)|"
    r"excess data|transfer closed|bytes (?:remaining|missing)",
    re.I,
)
_SOCKET = re.compile(r"refused|reset|ECONN|ENOTFOUND|EAI_AGAIN|NAME_NOT_RESOLVED|getaddrinfo|name or service", re.I)
_UNDER_WAY = re.compile(r"under way|^no answer$|not (?:recorded|seen|captured)|out of sight|in progress|^$", re.I)
_STREAMS = (McpStream, LegacySse, SessionEnd)
_PEOPLE = (AuthorizationRequest, AuthorizationResponse, Interaction)
_LONG = 10.0
"""Seconds after which impatient clients have given up."""


def _whose(stage: Stage, so_far: Handshake) -> Party:
    mcp = isinstance(stage, Mcp | ResourceMetadata)
    own = urls.origin(stage.url) == urls.origin(so_far.resource or stage.url)
    return "resource-server" if mcp or own else "authorization-server"


@rule(
    "tls-certificate-not-trusted",
    must("OAuth 2.1 draft-13 §1.5; RFC 9728 §7.3", _TLS),
    who="authorization-server",
    stops_at=("prm-discovery", "as-discovery", "mcp-initialize", "mcp-request"),
)
def certificate_not_trusted(stage: Stage, so_far: Handshake) -> Problems:
    """The server's TLS certificate is not trusted.

    A client has to check the certificate before it sends anything. When that fails it shows a
    connection failure, and no OAuth request is made.

    Usual causes: a private or self-signed certificate authority, a missing intermediate
    certificate, an expired one, one for another name; a company firewall that intercepts TLS.

    Repair: Install a certificate for this host name, with its whole chain. For a private
    authority, let the client trust it (for Claude Code: `NODE_EXTRA_CA_CERTS`).

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        - certificate verify failed: unable to get local issuer certificate

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    if stage.exchange.response is None and _CERTIFICATE.search(stage.exchange.error or ""):
        yield Problem(
            message=f"No connection to {urls.origin(stage.url)}: its certificate is not trusted ({_words(stage)})",
            at="response",
            expected="a certificate the client trusts",
            actual=_words(stage),
            responsible="network",
        )


def _forbidden(stage: Stage, so_far: Handshake) -> bool:
    """The browser itself held the request back: it asked for permission, and got none."""
    asked = next((p for p in reversed(so_far.all(Preflight)) if p.url == stage.url), None)
    own = not _SOCKET.search(stage.exchange.error or "")
    return (
        own and stage.request.header("origin") is not None and asked is not None and asked.exchange.response is not None
    )


def _words(stage: Stage) -> str:
    return " ".join((stage.exchange.error or "").split())[:160]


@rule(
    "connection-failed",
    practice(
        "Observed with hosted connectors and desktop clients",
        "https://datatracker.ietf.org/doc/html/rfc9110#section-7.3",
    ),
    who="resource-server",
    severity="error",
    stops_at=("prm-discovery", "as-discovery"),
)
def connection_failed(stage: Stage, so_far: Handshake) -> Problems:
    """The connection to a server failed: refused, reset, or its host name did not resolve.

    The name is unknown, the port is closed, or the connection is cut before an answer. Many clients
    show this as a failed authentication, and the server's log stays empty.

    Usual causes: a wrong or private host name, a firewall, a port that the client's host
    does not allow, an address range that is blocked.

    Repair: Check name, port and firewall from where the client runs, which for hosted
    clients is not your machine.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        - connect ECONNREFUSED 192.0.2.7:443

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404
    """
    words = stage.exchange.error or ""
    if stage.exchange.response is not None or isinstance(stage, AuthorizationResponse | Interaction):
        return
    others = (_CERTIFICATE, _TOO_LATE, _GIVEN_UP, _BODY, _UNDER_WAY)
    if stage.slug == "other" or any(pattern.search(words) for pattern in others) or _forbidden(stage, so_far):
        return
    yield Problem(
        message=f"The request to {urls.origin(stage.url)} got no response: {_words(stage)}",
        at="response",
        expected="an answer",
        actual=_words(stage),
        responsible="network",
    )


@rule(
    "response-timeout",
    practice(
        "Observed with httpx-based and hosted clients",
        "https://datatracker.ietf.org/doc/html/rfc9110#section-9.3",
    ),
    who="resource-server",
    severity="error",
)
def too_slow(stage: Stage, so_far: Handshake) -> Problems:
    """The response takes longer than the timeout of most clients.

    Clients wait 5 to 30 seconds for a step of the sign-in. After that they report a failed
    authentication, although the server was only slow.

    Usual causes: a cold start; a call to another service inside the step.

    Repair: Make the step faster (keep an instance warm, cache what it waits for), or raise
    the client's limit (for Claude Code: `MCP_TIMEOUT`).

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        - ReadTimeout: timed out after 10 s

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp"}
    """
    words = stage.exchange.error or ""
    told = _SECONDS.search(words)
    took = max(stage.exchange.duration or 0.0, float(told[1]) if told else 0.0)
    if isinstance(stage, _STREAMS) or stage.slug == "other":
        return
    if isinstance(stage, _PEOPLE) and not (isinstance(stage, AuthorizationRequest) and stage.exchange.response is None):
        return  # a person takes their time
    if stage.exchange.response is None:
        gave_up = _GIVEN_UP.search(words) and took >= 5 and not isinstance(stage, McpRequest)
        if (_TOO_LATE.search(words) or gave_up) and not _CERTIFICATE.search(words):
            yield Problem(
                message=f"No answer from {urls.origin(stage.url)} in {took:.0f} s: {_words(stage)}"
                if took >= 1
                else f"No answer from {urls.origin(stage.url)} in time: {_words(stage)}",
                at="response",
                expected=f"an answer within {_LONG:.0f} s",
                actual=_words(stage),
                responsible=_whose(stage, so_far),
            )
        return
    steps = (Document, Registration, PushedAuthorization, TokenEndpoint, Challenge, Initialize, Discover)
    if took > _LONG and not words and isinstance(stage, steps) and stage.response.media_type != "text/event-stream":
        yield Problem(
            message=f"The answer took {took:.0f} s; clients give up after {_LONG:.0f} s or little more",
            at="response",
            expected=f"at most {_LONG:.0f} s",
            actual=f"{took:.0f} s",
            responsible=_whose(stage, so_far),
            severity=None if took > 3 * _LONG else "warning",
        )


@rule(
    "response-encoding-broken",
    must("RFC 9110 §8.4 and §8.6", "https://datatracker.ietf.org/doc/html/rfc9110#section-8.4"),
    who="resource-server",
    stops_at=("prm-discovery", "as-discovery", "client-registration", "token-request"),
)
def body_unreadable(stage: Stage, so_far: Handshake) -> Problems:
    """The response body does not match its `Content-Encoding` or `Content-Length`.

    The client decompresses a body that is not compressed, or waits for bytes that never come. It
    shows an empty answer, or a failure far from OAuth.

    Usual causes: a proxy that decompressed the body and kept the old headers.

    Repair: Drop `Content-Encoding` and `Content-Length` where the body is forwarded decompressed.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        - decompression failed: incorrect header check

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp"}
    """
    words = stage.exchange.error or ""
    response = stage.exchange.response
    told = _BODY.search(words) is not None and not isinstance(stage, _STREAMS) and stage.slug != "other"
    packed = response is not None and (response.body or "")[:2] in ("\x1f\x8b", "\x1f\ufffd")
    if told or packed:
        encoding = response.header("content-encoding") if response else None
        yield Problem(
            message=f"The body does not match its headers ({_words(stage) or 'it is still compressed'})",
            at="response.header.content-encoding",
            expected="headers that fit the body",
            actual=encoding or _words(stage) or "gzip without Content-Encoding",
            responsible=_whose(stage, so_far),
            patch=Patch(headers={"Content-Encoding": None, "Content-Length": None}) if response and told else None,
        )


@rule(
    "handshake-rate-limited",
    practice("RFC 6585 §4", "https://www.rfc-editor.org/rfc/rfc6585.html#section-4"),
    who="authorization-server",
    severity="warning",
    stops_at=("as-discovery", "client-registration", "token-request", "authorization-request"),
)
def rate_limited(
    stage: Mcp | Document | Registration | PushedAuthorization | TokenEndpoint, so_far: Handshake
) -> Problems:
    """The server rate-limits a request of the sign-in (429).

    Hosted clients share a few IP addresses, and one sign-in sends several requests at once. Many
    clients read a 429 on metadata as "not there" and go on with a wrong guess.

    Repair: Raise the limits for the well-known, registration and token paths, and send
    `Retry-After` with a 429.

    Bad:
        GET https://as.example.net/.well-known/oauth-authorization-server
        429

    Good:
        GET https://as.example.net/.well-known/oauth-authorization-server
        404
    """
    if stage.status != 429 or (isinstance(stage, Mcp) and so_far.authorized is not None):
        return
    needed = isinstance(stage, Registration | TokenEndpoint | PushedAuthorization)
    wait = stage.response.header("retry-after")
    yield Problem(
        message=f"The request is answered 429 ({f'retry after {wait}' if wait else 'without Retry-After'}); "
        "a sign-in needs an answer",
        at="response.status",
        expected="an answer",
        actual="429",
        responsible=_whose(stage, so_far),
        severity="error" if needed else None,
    )


@rule(
    "response-cache-hides-fix",
    practice(
        "RFC 9728 §7.10 (normal HTTP caching applies to the metadata GET)",
        "https://www.rfc-editor.org/rfc/rfc9728.html#section-7.10",
    ),
    who="resource-server",
)
def cached_too_long(stage: Challenge | ResourceMetadata | ServerMetadata, so_far: Handshake) -> Problems:
    """`Cache-Control` lets caches keep this response for a long time, which hides a fix.

    That is legal, but it hides a correction: the CDN or the client keeps using the old response.

    Repair: Send `Cache-Control: no-store` with a 401, and a few minutes for metadata.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp"}
        Cache-Control: public, max-age=604800

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp"}
        Cache-Control: public, max-age=300
    """
    value = (stage.response.header("cache-control") or "").lower() if stage.exchange.response else ""
    if not value or "no-store" in value or "no-cache" in value:
        return
    age = max((int(number[:9]) for number in re.findall(r"(?:s-maxage|max-age)\s*=\s*\"?(\d+)", value)), default=0)
    refusal = isinstance(stage, Challenge)
    if (stage.status == 401 and refusal and ("public" in value or age > 0)) or (
        not refusal and stage.ok and age >= 86400
    ):
        proper = "no-store" if refusal else "max-age=300"
        yield Problem(
            message=f"Cache-Control is “{value[:80]}”; while you debug, use {proper}",
            at="response.header.cache-control",
            expected=proper,
            actual=value[:80],
            responsible=_whose(stage, so_far),
            patch=Patch(headers={"Cache-Control": proper, "Expires": None}),
        )
