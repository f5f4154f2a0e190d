"""Clients' own log files, as exchanges.

A log tells what its client thought worth saying: most bodies and nearly all headers are
missing. What it does not hold stays unseen; an answer of which only the outcome is
known is given as an error that says so, so that nothing is judged by its absence.

Read from: Claude Code 2.1.197 to 2.1.332 (`mcp-logs-*/*.jsonl` below its cache folder, and what `--debug-file`
writes), mcp-remote 0.1.18 to 0.15.1 (`*_debug.log`, with `--debug`, and what it prints with and without).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from oauthtap.formats.logs.builder import Event, object_in
from oauthtap.formats.logs.claude_code import ClaudeCode
from oauthtap.formats.logs.mcp_remote import McpRemote
from oauthtap.model.recording import Recording

__all__ = ["read", "recognizes", "recognizes_line"]

_AT = r"^(?:(?P<at>\d{4}-\d\d-\d\dT\S+Z?) )?"
_CLAUDE_TEXT = re.compile(_AT + r'\[\w+\] MCP server "(?P<server>[^"]*)":? (?P<text>.*)$', re.MULTILINE)
_MCP_REMOTE = re.compile(
    r"^(?:\[(?P<at>\d{4}-[^\]]+Z)\])?\[(?:\d{1,7}|pid|PID|[xX*]{3,8})\] (?P<text>.*)$", re.MULTILINE
)
_CHILD = re.compile(
    r"^[^\n]{0,80}?(?:\[server stderr\]|MCP STDERR \([^)\n]{1,60}\):|\bstderr:)[ \t]*"
    r"(?=\[(?:\d{1,7}|\d{4}-[^\]\n]{1,30}Z)\])",
    re.MULTILINE,
)
"""VS Code, Gemini CLI, LM Studio."""
_MCP_REMOTE_WORDS = re.compile(
    r"mcp-remote|callback port|Discovering OAuth server|Connecting to remote server|Using transport strategy|"
    r"authorization server|Please authorize this client|OAuth callback server|"
    r"Completing authorization|Reading code verifier|Code verifier found|Client info result|Saving tokens"
)


def recognizes(text: str) -> bool:
    """The text is a log of a client we can read: its first lines are."""
    return bool(_CLAUDE_TEXT.search(text, 0, 200_000) or _is_mcp_remote(_of_child(text[:200_000])))


def _of_child(text: str) -> str:
    """The log without what the client that started mcp-remote puts in front of the lines of its child."""
    return _CHILD.sub("", text) if "stderr" in text or "STDERR" in text else text


def _is_mcp_remote(text: str) -> bool:
    return bool(_MCP_REMOTE.search(text, 0, 20_000) and _MCP_REMOTE_WORDS.search(text, 0, 200_000))


def recognizes_line(line: dict[str, Any]) -> bool:
    """The JSON object is a line of Claude Code's MCP log."""
    return "timestamp" in line and ("debug" in line or "error" in line)


def read(text: str) -> Recording:
    """The exchanges a log speaks of; none when it speaks of none. Never raises."""
    if _CLAUDE_TEXT.search(text):
        return ClaudeCode().read(
            Event(_seconds(match["at"]), match["text"], match["server"]) for match in _CLAUDE_TEXT.finditer(text)
        )
    if _is_mcp_remote(text := _of_child(text)):
        return McpRemote().read(_mcp_remote_events(text))
    return ClaudeCode().read(_claude_lines(text))


def _mcp_remote_events(text: str) -> Iterator[Event]:
    """Every line with those below it that belong to it; of what is printed twice, the one with a time."""
    heads = list(_MCP_REMOTE.finditer(text))
    timed = any(match["at"] for match in heads)
    ends = [match.start() for match in heads[1:]] + [len(text)]
    for match, end in zip(heads, ends, strict=True):
        if match["at"] or not timed:
            yield Event(_seconds(match["at"]), f"{match['text']}{text[match.end() : end]}".strip())


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
