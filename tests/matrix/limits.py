"""Pairs that differ because reverse mode cannot do better, each with its one-sentence reason."""

from __future__ import annotations

from tests.support.bed import EVERY_TARGET

_AI_SDK = (
    "Without a `fetch` that validates DNS, AI SDK 2 asks no authorization server on another origin than the "
    "MCP server's; loopback origins, and so the tap's, it trusts. Under `oauthtap run` it stops as it does directly."
)
_GEMINI_CLI = (
    "Gemini CLI looks up every OAuth host itself, and the bed's names are known to a proxy alone: directly it stops "
    "there. Where the names resolve (`--namespace`) the pairs are equal."
)
LIMITS: dict[tuple[str, str, str], str] = {
    **{("ai-sdk", server, "tap"): _AI_SDK for server in ("seed2", "nosuch-as", "closed-as")},
    **{("gemini-cli", server, "tap"): _GEMINI_CLI for server in EVERY_TARGET},
}
"""(client, server, way) → why it differs, and the command that works."""
