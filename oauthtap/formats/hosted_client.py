"""What claude.ai and chatgpt.com say of a connector in their own APIs, in the HAR of a browser.

The requests that matter are sent by their servers and are in no browser's HAR. What is: which MCP URL was added, the
authorization URL they lead to, what came back, and their error codes. Paths and members: the applications as they were
from 2026-03 to 2026-10 (anthropics/claude-ai-mcp#560, #913; Dexter-DAO/dexter-mcp#2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from oauthtap.diagnosis.meanings import meanings_of
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request
from oauthtap.model.sanitize import escape_controls

_CLAUDE = re.compile(r"https://claude\.(?:ai|com)/")
_CLAUDE_API = re.compile(r"/api/(?:organizations/[^/]+/)?mcp/|/settings/connectors|/mcp-auth-callback/|/auth_done")
_CHATGPT_API = re.compile(r"https://chatgpt\.com/backend-api/aip/connectors/")
_NAMES = {"claude-ai": "Claude.ai", "chatgpt": "ChatGPT"}
_CODE = re.compile(r'"(?:error_code|authErrorType|authErrorSubtype|oauth_error)"\s*:\s*"([^"]{1,200})"')
_STATUS = re.compile(r'"authStatus"\s*:\s*"(token_invalid|refresh_failed)"')
_MOST = 4


def client_of(exchanges: Iterable[Exchange]) -> str | None:
    """The profile of the hosted client whose API was recorded; None where there is none."""
    for exchange in exchanges:
        if _CHATGPT_API.match(exchange.request.url):
            return "chatgpt"
        if _CLAUDE.match(exchange.request.url) and _CLAUDE_API.search(exchange.request.path):
            return "claude-ai"
    return None


def upstream_of(exchanges: Iterable[Exchange]) -> str | None:
    """The MCP URL that was added last, as the application itself has it."""
    found = None
    for exchange in _own(exchanges):
        for members in (exchange.request.json_object, exchange.response.json_object if exchange.response else {}):
            url = members.get("mcp_url") or (members.get("url") if "remote_servers" in exchange.request.path else None)
            found = url if isinstance(url, str) and urls.origin(url) else found
    return found


def steps_of(exchanges: Iterable[Exchange]) -> Iterator[tuple[Exchange, Exchange]]:
    """Steps through the browser that only the API tells (ChatGPT), each behind the exchange that told it.

    The authorization URL in the answer of `links/oauth`, and what came back in the body of `links/oauth/callback`; how
    the other side answered is not told, so there is no response.
    """
    known = {exchange.request.url for exchange in exchanges}
    for exchange in _own(exchanges):
        answer = exchange.response.json_object if exchange.response else {}
        told = answer.get("redirect_url") if exchange.request.path.endswith("/links/oauth") else None
        if exchange.request.path.endswith("/links/oauth/callback"):
            told = next((text for text in exchange.request.json_object.values() if _is_callback(text)), None)
        if isinstance(told, str) and told not in known and urls.origin(told):
            request = Request(method="GET", url=told, partial=True)
            yield exchange, Exchange(request=request, started_at=exchange.ended, actor="browser", excerpt=True)


def notes_of(exchanges: Iterable[Exchange], client: str) -> list[str]:
    """What the application itself says went wrong, a sentence each, with what its words mean where that is known."""
    said = dict.fromkeys(words for exchange in _own(exchanges) for words in _complaints(exchange))
    return [_sentence(words, client) for words in list(said)[:_MOST]]


def _own(exchanges: Iterable[Exchange]) -> Iterator[Exchange]:
    for exchange in exchanges:
        url = exchange.request.url
        if _CHATGPT_API.match(url) or (_CLAUDE.match(url) and _CLAUDE_API.search(exchange.request.path)):
            yield exchange


def _complaints(exchange: Exchange) -> Iterator[str]:
    response = exchange.response
    for url in (exchange.request.url, (response.header("location") or "") if response else ""):
        query = dict(parse_qsl(urlsplit(url).query)) if _CLAUDE.match(url) else {}
        if code := query.get("oauth_error"):
            yield ": ".join(filter(None, (code, query.get("oauth_error_description"))))
    if response is None or response.body is None:
        return
    yield from _CODE.findall(response.body)
    yield from (f"authStatus {status}" for status in _STATUS.findall(response.body))
    if response.status >= 400:
        yield from _words(response.json_object)


def _words(members: Mapping[str, Any]) -> Iterator[str]:
    error = members.get("error")
    told = error.get("message") if isinstance(error, dict) else members.get("detail") or error
    if isinstance(told, dict):
        told = told.get("message")
    if isinstance(told, str):
        yield told


def _is_callback(text: Any) -> bool:
    return isinstance(text, str) and bool(re.search(r"[?&](?:code|error)=", text))


def _sentence(words: str, client: str) -> str:
    meaning = next((meaning for meaning in meanings_of(words, most=1) if meaning.sure), None)
    means = f" {meaning.why} Look at: {meaning.look}." if meaning else ""
    return f"{_NAMES[client]} itself says: “{escape_controls(words, limit=300)}”.{means}"
