"""What tells a request of 2026-07-28 from an older one, and a server that understands it from one that does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from oauthtap.handshake.stages import LegacySse, Mcp, text
from oauthtap.handshake.state import Handshake

FIRST = "2026-07-28"
"""The first revision without `initialize`."""
MISMATCH, CAPABILITY, VERSION = -32020, -32021, -32022
UNKNOWN_METHOD = -32601
CANDIDATE = {-32001, -32003, -32004}
"""Codes of the release candidate: `modern-prerelease-error-codes` speaks of those."""
OWN = {MISMATCH, CAPABILITY, VERSION}
"""Codes that only a server of 2026-07-28 or later has."""
_NEW = {"resultType", "supportedVersions", "cacheScope", "ttlMs"}
"""Members of results that came with 2026-07-28. An older server may answer a modern request without noticing."""


def is_modern(mcp: Mcp) -> bool:
    """A request that only a client of 2026-07-28 or later sends, over HTTP as it is since 2025-03-26, and its answer."""
    if mcp.exchange.response is None or isinstance(mcp, LegacySse) or mcp.method in (None, "initialize"):
        return False
    return (mcp.version or "") >= FIRST


def over_two_urls(mcp: Mcp, so_far: Handshake) -> bool:
    """The transport of 2024-11-05 is in use: answers come on a stream, and none of the later headers exist."""
    return isinstance(mcp, LegacySse) or so_far.last(LegacySse, ok=True) is not None


def has_error(mcp: Mcp) -> bool:
    """The answer is a JSON-RPC error that was seen."""
    return mcp.response.body is not None and bool(mcp.rpc_error)


def error_code(mcp: Mcp) -> int | None:
    """The code of the JSON-RPC error; None without one, and where the answer was not seen."""
    value = mcp.rpc_error.get("code") if mcp.response.body is not None else None
    return value if isinstance(value, int) else None


def error_data(mcp: Mcp) -> dict[str, Any]:
    """The members of the error's `data`; none when it is no object. Raises Unseen."""
    value = mcp.rpc_error.get("data")
    return value if isinstance(value, dict) else {}


def error_text(mcp: Mcp) -> str:
    """What the error says in words. Raises Unseen."""
    return f"{text(mcp.rpc_error.get('message')) or ''} {text(mcp.rpc_error.get('data')) or ''}"[:2000]


def serves_modern(stages: Iterable[Mcp]) -> bool:
    """The server has shown that it speaks 2026-07-28: by a result, or by an error that only such a server has."""
    answered = [s for s in stages if is_modern(s) and s.response.body is not None]
    return any((s.ok and bool(_NEW & s.result.keys())) or error_code(s) in OWN for s in answered)


def same_url(mcp: Mcp, so_far: Handshake) -> Sequence[Mcp]:
    """The last requests to the same URL, oldest first."""
    return [s for s in so_far.all(Mcp)[-100:] if s.url == mcp.url]


def plain_json(mcp: Mcp) -> bool:
    """The answer is one JSON object that a patch can be applied to. Raises Unseen."""
    return bool(mcp.answer_object) and mcp.response.media_type != "text/event-stream"
