"""What an MCP server means by refusing a request: sign in first, more scope, or another token."""

from __future__ import annotations

import re
from typing import Any

from oauthtap.handshake.stages import Mcp
from oauthtap.model.exchange import Exchange, Request
from oauthtap.model.sse import sse_events

_ABOUT_AUTH = re.compile(
    r"unauthori[sz]ed|unauthenticated|not authenticated|authenticat|authori[sz]ation|access.token|bearer|"
    r"invalid.token|missing.token|log.?in|sign.?in|credential|api.?key",
    re.I,
)
_ABOUT_TOKEN = re.compile(
    r"\btoken|\bjwt|bearer|audience|signature|expired|unauthori[sz]ed|unauthenticated|not authenticated|"
    r"invalid_grant",
    re.I,
)
_LOGIN_PATH = re.compile(r"log-?in|sign-?in|/auth|oauth|authorize|sso|saml|/session", re.I)
_THIRD_PARTY = re.compile(r'"isError"\s*:\s*true|-32042')


def is_refusal(exchange: Exchange) -> bool:
    """An answer to an MCP request without credentials that means: sign in first."""
    response = exchange.response
    if response is None:
        return False
    status, body = response.status, (response.body or "")[:4000]
    if status == 401 or (status >= 400 and response.header("www-authenticate") is not None):
        return True
    if 300 <= status < 400:
        return bool(_LOGIN_PATH.search(response.header("location") or ""))
    if status == 200 and response.media_type == "text/html":
        return exchange.request.method == "POST" or bool(_LOGIN_PATH.search(body))
    if status == 200 and response.media_type in ("application/json", "text/event-stream"):
        error = _error_of(exchange)
        return bool(error and _ABOUT_AUTH.search(error) and not _THIRD_PARTY.search(body))
    if status in (400, 403, 404) or status >= 500:
        return bool(_ABOUT_AUTH.search(body)) and not re.search(r"\borigin\b|\bhost\b|cloudflare", body, re.I)
    return False


def _error_of(exchange: Exchange) -> str | None:
    """The words of a JSON-RPC or top-level error in a 200."""
    if exchange.response is None:
        return None
    text = exchange.response.body or ""
    if exchange.response.media_type == "text/event-stream":
        text = next((data for _, data in sse_events(text) if '"error"' in data), "")
    value = Request(method="", url="", body=text).json_object.get("error")
    return str(value) if value else None


def lacks_scope(stage: Mcp) -> bool:
    """An answer to an MCP request with a token that wants more scope (RFC 6750, 3.1)."""
    bearer = stage.challenged.bearer
    return stage.status in (401, 403) and (
        (bearer is not None and bearer.get("error") == "insufficient_scope")
        or (
            stage.status == 403
            and "insufficient_scope" in (stage.exchange.response.body or "" if stage.exchange.response else "")
        )
    )


def is_token_rejection(exchange: Exchange) -> bool:
    """An answer to an MCP request with a token that refuses it for the token's sake."""
    response = exchange.response
    if response is None:
        return False
    if response.status == 401:
        return True
    if "invalid_token" in (response.header("www-authenticate") or ""):
        return response.status >= 400
    if response.status in (400, 403) or response.status >= 500:
        return bool(_ABOUT_TOKEN.search((response.body or "")[:4000])) and not _THIRD_PARTY.search(response.body or "")
    return False


DENIED = re.compile(r"(?:error:? ?)?(?:access (?:is )?denied|forbidden|permission denied|not authori[sz]ed)[.!]?", re.I)
"""What a server says that asks nobody to sign in, and denies each tool; more words tell of something else."""


def told_by_tool(reply: dict[str, Any]) -> str:
    """The text of a tool result with `isError` (MCP, Tools, Error Handling), white space folded; else empty."""
    result = reply.get("result")
    if not isinstance(result, dict) or result.get("isError") is not True:
        return ""
    parts = [part.get("text") for part in result.get("content") or () if isinstance(part, dict)]
    return " ".join(" ".join(text for text in parts if isinstance(text, str)).split())
