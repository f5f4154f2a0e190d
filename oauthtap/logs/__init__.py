"""Clients' own log files, as exchanges. Knows the wording of Claude Code and mcp-remote; judges nothing.

A log tells what its client thought worth saying: most bodies and nearly all headers are
missing. What it does not hold stays unseen; an answer of which only the outcome is
known is given as an error that says so, so that nothing is judged by its absence.

Read from: Claude Code 2.1.197 (`mcp-logs-*/*.jsonl` below its cache folder, and what
`--debug-file` writes), mcp-remote 0.1.37 and 0.15.1 (`*_debug.log`, with `--debug`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from oauthtap.logs.claude_code import ClaudeCode
from oauthtap.logs.mcp_remote import McpRemote
from oauthtap.logs.story import Event, object_in
from oauthtap.recording import Recording

__all__ = ["read", "recognizes", "recognizes_line"]

_CLAUDE_TEXT = re.compile(r'^(?P<at>\d{4}-\S+Z) \[\w+\] MCP server "(?P<server>[^"]*)":? (?P<text>.*)$', re.MULTILINE)
_MCP_REMOTE = re.compile(r"^\[(?P<at>\d{4}-\S+Z)\]\[\d+\] (?P<text>.*)$", re.MULTILINE)


def recognizes(text: str) -> bool:
    """The text is a log of a client we can read: its first lines are."""
    return bool(_CLAUDE_TEXT.search(text, 0, 20_000) or _MCP_REMOTE.search(text, 0, 20_000))


def recognizes_line(line: dict[str, Any]) -> bool:
    """The JSON object is a line of Claude Code's MCP log."""
    return "timestamp" in line and ("debug" in line or "error" in line)


def read(text: str) -> Recording:
    """The exchanges a log speaks of; none when it speaks of none. Never raises."""
    if _MCP_REMOTE.search(text):
        events = (Event(_seconds(match["at"]), match["text"]) for match in _MCP_REMOTE.finditer(text))
        return McpRemote().read(events)
    if _CLAUDE_TEXT.search(text):
        return ClaudeCode().read(
            Event(_seconds(match["at"]), match["text"], match["server"]) for match in _CLAUDE_TEXT.finditer(text)
        )
    return ClaudeCode().read(_claude_lines(text))


def _claude_lines(text: str) -> Iterator[Event]:
    for line in text.splitlines():
        value = object_in(line)
        said = value.get("debug") or value.get("error")
        if isinstance(said, str):
            yield Event(_seconds(value.get("timestamp")), said)


def _seconds(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None
