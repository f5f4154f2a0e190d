"""A first look at the upstream, asked by us: is it there, does it speak MCP, and is it this path?

Two or three harmless requests before any client comes. What a client later meets is
judged elsewhere; here is only what would make the whole afternoon futile.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urljoin

import httpx

from oauthtap import __version__
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.model.sanitize import escape_controls
from oauthtap.upstream.options import TIMEOUT, UpstreamOptions

Kind = Literal["answers", "no-such-host", "refused", "tls", "timeout", "unreachable", "redirect", "not-mcp"]

_PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
_ENCODING = ("content-encoding", "content-length", "transfer-encoding")
_ACCEPT = {"User-Agent": f"oauthtap/{__version__}", "Accept": "application/json, text/event-stream"}


@dataclass(frozen=True)
class PreflightResult:
    """What the first look found."""

    kind: Kind
    words: str = ""
    """One sentence for the person, with what to type next; empty when all is well."""
    status: int | None = None
    challenged: bool = False
    better: str | None = None
    """A URL that looks like the MCP endpoint, where this one does not."""
    exchange: Exchange | None = None
    """Our own request and its answer, `actor` reporter: evidence, but nothing the client did."""


async def preflight(url: str, reach: UpstreamOptions) -> PreflightResult:
    """Ask the MCP URL for a sign of life. Never raises for what the network does."""
    began = time.time()
    async with reach.client() as client:
        try:
            answer = await _ask(client, url)
        except httpx.HTTPError as failure:
            return PreflightResult(*failed(url, failure, reach))
        exchange = _exchange(url, answer, began)
        return replace(await _understood(client, url, answer), exchange=exchange)


async def _understood(client: httpx.AsyncClient, url: str, answer: httpx.Response) -> PreflightResult:
    if answer.is_redirect:
        full = escape_controls(urljoin(url, answer.headers.get("location", "")))
        words = f"The upstream redirects {url} to {full}. If that is the MCP endpoint: --upstream {full}"
        return PreflightResult("redirect", words, answer.status_code)
    if speaks_mcp(answer) or await _is_legacy(client, url, answer):
        return PreflightResult("answers", "", answer.status_code, answer.status_code == 401)
    better = await _elsewhere(client, url)
    return PreflightResult("not-mcp", _not_mcp(url, answer, better), answer.status_code, better=better)


def _exchange(url: str, answer: httpx.Response, began: float) -> Exchange:
    streams = "event-stream" in answer.headers.get("content-type", "")
    return Exchange(
        started_at=began,
        duration=time.time() - began,
        actor="reporter",
        request=Request(
            method="POST",
            url=url,
            headers=(("Content-Type", "application/json"), *_ACCEPT.items()),
            body=json.dumps(_PING),
        ),
        response=Response(
            status=answer.status_code,
            headers=tuple((name, value) for name, value in answer.headers.multi_items() if name not in _ENCODING),
            body=None if streams else answer.text,
        ),
    )


async def _ask(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """POST a ping and read only the beginning of the answer: it may be a stream without an end."""
    async with client.stream("POST", url, json=_PING, headers=_ACCEPT) as answer:
        body = b""
        if "event-stream" not in answer.headers.get("content-type", ""):
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > 65536:
                    break
        return httpx.Response(
            answer.status_code,
            headers=[(k, v) for k, v in answer.headers.multi_items() if k not in _ENCODING],
            content=body,
            request=answer.request,
        )


def speaks_mcp(answer: httpx.Response) -> bool:
    """The answer is one that an MCP endpoint gives: JSON-RPC, a stream, or a challenge."""
    kind = answer.headers.get("content-type", "")
    if answer.status_code in (401, 403) or "www-authenticate" in answer.headers or "event-stream" in kind:
        return True
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and body.get("jsonrpc") == "2.0"


async def _elsewhere(client: httpx.AsyncClient, url: str) -> str | None:
    """The usual MCP paths of the same origin, tried one after the other."""
    for path in ("/mcp", "/sse"):
        candidate = urls.origin(url) + path
        if candidate == url.rstrip("/"):
            continue
        try:
            if speaks_mcp(await _ask(client, candidate)) or (path == "/sse" and await _streams(client, candidate)):
                return candidate
        except httpx.HTTPError:
            continue
    return None


async def _is_legacy(client: httpx.AsyncClient, url: str, answer: httpx.Response) -> bool:
    """The 2024-11-05 transport: no POST here, but a stream to GET."""
    try:
        return answer.status_code in (404, 405) and await _streams(client, url)
    except httpx.HTTPError:
        return False


async def _streams(client: httpx.AsyncClient, url: str) -> bool:
    async with client.stream("GET", url, headers={"Accept": "text/event-stream"}) as answer:
        return answer.status_code == 401 or "event-stream" in answer.headers.get("content-type", "")


def _not_mcp(url: str, answer: httpx.Response, better: str | None) -> str:
    kind = answer.headers.get("content-type", "no Content-Type").partition(";")[0]
    said = f"{url} answers a POST with {answer.status_code} {escape_controls(kind)}: that is no MCP endpoint."
    if better:
        transport = " (legacy SSE transport)" if better.endswith("/sse") else ""
        return f"{said} {better} looks like one{transport}: --upstream {better}"
    return f"{said} Is the path right? It is often /mcp or /sse."


def failed(url: str, failure: httpx.HTTPError, reach: UpstreamOptions) -> tuple[Kind, str]:
    """Kind and sentence for a request that got no answer."""
    host, text = httpx.URL(url).host, str(failure)
    if isinstance(failure, httpx.TimeoutException):
        return "timeout", f"{host} did not answer within {TIMEOUT:.0f} s. A firewall, or the wrong port?"
    if "CERTIFICATE_VERIFY_FAILED" in text or "SSL" in text.upper():
        how = "its CA with --ca FILE, or --insecure to look away" if not reach.ca else "the CA file given with --ca"
        return "tls", f"The TLS certificate of {host} is not trusted ({escape_controls(text, limit=160)}). Check {how}."
    if any(
        sign in text
        for sign in (
            "Name or service not known",
            "nodename nor servname",
            "No address",
            "getaddrinfo",
            "Temporary failure in name",
        )
    ):
        return "no-such-host", f"There is no host named {host}. Check the spelling of --upstream."
    if isinstance(failure, httpx.ConnectError) and ("refused" in text or "All connection attempts failed" in text):
        port = httpx.URL(url).port or {"https": 443}.get(httpx.URL(url).scheme, 80)
        return (
            "refused",
            f"{host} refuses connections on port {port}. Is the server running, and is the port right?",
        )
    return "unreachable", f"No answer from {host}: {escape_controls(text or type(failure).__name__, limit=160)}"


async def document_at(url: str, reach: UpstreamOptions) -> dict[str, Any]:
    """The JSON object at a URL; an empty one when there is anything else, or nothing."""
    try:
        async with reach.client() as client:
            answer = await client.get(url, headers={**_ACCEPT, "Accept": "application/json"})
            found = answer.json() if answer.status_code == 200 and len(answer.content) < 1 << 20 else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
