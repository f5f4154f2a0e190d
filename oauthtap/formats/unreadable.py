"""What a file is that cannot be read as exchanges, what is missing in it, and the command that gets it. Reads nothing."""

# ruff: noqa: E501  (sentences are written whole)

from __future__ import annotations

import json
import re
from typing import Any

from oauthtap.formats.logs.client_names import client_of
from oauthtap.formats.untrusted_file import parse_json
from oauthtap.model.sanitize import escape_controls
from oauthtap.model.urls import without_query

_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "a picture", "copy the text out of the window it shows, and `oauthtap paste` it"),
    (b"\xff\xd8\xff", "a picture", "copy the text out of the window it shows, and `oauthtap paste` it"),
    (b"GIF8", "a picture", "copy the text out of the window it shows, and `oauthtap paste` it"),
    (b"%PDF", "a PDF", "copy its text, and `oauthtap paste` it"),
    (b"PK\x03\x04", "a ZIP archive", "unpack it, and give the file in it"),
    (b"\x1f\x8b", "a gzip file", "gunzip it, and give the file in it"),
    (b"\xd4\xc3\xb2\xa1", "a packet capture: what goes over TLS cannot be read in it", "oauthtap run -- COMMAND, which records the same in the clear"),
    (b"\x0a\x0d\x0d\x0a", "a packet capture: what goes over TLS cannot be read in it", "oauthtap run -- COMMAND, which records the same in the clear"),
    (b"SQLite format 3", "an SQLite database", "the client's log, see `oauthtap check --help`"),
)  # fmt: skip

MORE = {
    "claude-code": "claude --debug-file oauth.log mcp login NAME; oauthtap check oauth.log",
    "codex": "RUST_LOG=codex_rmcp_client=debug,rmcp=debug,reqwest=debug codex mcp login NAME 2> codex.log; oauthtap check codex.log",
    "cursor": "Cursor's Output panel, \"MCP Logs\", while you press Connect; or oauthtap URL, and give Cursor the URL it prints",
    "vs-code": "the command \"MCP: List Servers\", your server, \"Show Output\", with its level set to Trace; save it and oauthtap check it",
    "gemini-cli": "gemini --debug, then /mcp auth NAME; or oauthtap run -- gemini",
    "mcp-remote": "npx mcp-remote URL --debug 2> mcp-remote.log; oauthtap check mcp-remote.log",
    "mcp-inspector": "the browser's DevTools, Network, \"Export HAR (with sensitive data)\"; oauthtap check inspector.har",
    "python-sdk-1": "logging.basicConfig(level=logging.DEBUG) before the client is made, which prints every HTTP request",
    "fastmcp": "FASTMCP_LOG_LEVEL=DEBUG, and logging.getLogger(\"httpx\").setLevel(logging.INFO)",
    "typescript-sdk-1": "oauthtap URL, and give the client the URL it prints; or NODE_DEBUG=undici, fetch",
}  # fmt: skip
"""By client: the exact command that gets a log with the requests in it."""

OTHER = "oauthtap paste, with what `curl -i` prints; oauthtap URL, and give the client the URL it prints; oauthtap check --help lists all forms"


def of_bytes(data: bytes) -> tuple[str, str] | None:
    """What binary data is, and what to do; None for what may be text."""
    for start, what, then in _MAGIC:
        if data.startswith(start):
            return what, then
    if b"\x00" in data[:4000] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return "binary data", OTHER
    return None


def of_text(text: str) -> tuple[str, str]:
    """What a text is, as far as anybody can tell, and what to do."""
    bare = text.strip()
    if re.fullmatch(r"https?://\S+", bare):
        return "a URL and nothing else", f"oauthtap probe {escape_controls(without_query(bare))}"
    if re.match(r"\{\s*[\"'}]|\[\s*(?:[\"'{\[\]]|-?\d+(?:\.\d+)?\s*[,\]])", bare):
        return _of_json(bare)
    if re.match(r"(?i)<!doctype html|<html", bare):
        return (
            "a web page, not what was sent and answered",
            'the browser\'s DevTools, Network, "Export HAR"; oauthtap check page.har',
        )
    client = client_of(bare)
    lines = [line for line in bare.splitlines() if line.strip()]
    if len(lines) <= 3 and len(bare) < 600:
        words = quoted(bare)
        log = f"; or the log behind it: {MORE[client]}" if client in MORE else ""
        return "a message by itself, without the exchange behind it", f'oauthtap explain "{words}"{log}'
    if client:
        return f"a log of {client}, with no request of a sign-in in it", MORE.get(client, OTHER)
    if re.search(r"^(?:import |from \w+ import|const |function |class |def |package )", bare, re.M):
        return "source code", OTHER
    if re.search(r"\b(?:GET|POST)\b", bare):
        return (
            "text that names requests, but none with its answer: every line needs method, URL or path, and status",
            OTHER,
        )
    return "text without a request in it", OTHER


def quoted(words: str) -> str:
    """Words of a text on one line, without what may be a secret in them."""
    words = re.sub(r"\s+", " ", words).strip().replace('"', "'")
    return escape_controls(re.sub(r"[\w~+/=-]{24,}(?:\.[\w~+/=-]+)*", "…", words), limit=160)


def missing(text: str) -> str:
    """What tells more than an error message, and how to get it."""
    log = MORE.get(client_of(text) or "")
    return f"the exchange behind this message is not in the text. Try: {log or OTHER}"


def _of_json(text: str) -> tuple[str, str]:
    try:
        value = parse_json(text)
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        if problem.pos >= len(text) - 1:
            then = "save it once more: it was cut" if '"log"' in text[:300] else "copy it again, to its last bracket"
            return f"JSON that breaks off ({where})", then
        return (
            f"no JSON from {where} on ({problem.msg})",
            "copy that part again; if these are several documents, put each in a fence of its own",
        )
    except RecursionError:
        return "JSON nested too deep", OTHER
    if found := _configured(value):
        url = escape_controls(without_query(found), limit=200)
        if not url.startswith(("http://", "https://")):
            return (
                f"a client's configuration, whose URL {url!r} has no scheme: a client sends nothing to it",
                f"write https://{url} there; then oauthtap probe https://{url}",
            )
        return "a client's configuration, and no log", f"oauthtap probe {url}"
    if isinstance(value, dict) and "log" in value:
        return (
            "JSON with a `log` as a HAR has it, but no `entries` list in it",
            'the browser\'s DevTools, Network, "Export HAR"',
        )
    if isinstance(value, dict) and value.get("jsonrpc") == "2.0":
        return (
            "one JSON-RPC message: what was sent around it (URL, status, headers) is missing",
            "curl -i with the same body; oauthtap paste",
        )
    names = (
        ", ".join(list(map(str, value))[:6])
        if isinstance(value, dict)
        else f"a list of {len(value)}"
        if isinstance(value, list)
        else str(value)[:40]
    )
    return f"JSON, but neither a HAR nor a session nor a document of OAuth ({escape_controls(names, limit=120)})", OTHER


def _configured(value: Any) -> str | None:
    """The first URL in the configuration of a client."""
    servers: dict[str, Any]
    servers = next(
        (
            value[name]
            for name in ("mcpServers", "servers", "mcp")
            if isinstance(value, dict) and isinstance(value.get(name), dict)
        ),
        {},
    )
    for server in servers.values():
        if isinstance(server, dict):
            found = server.get("url") or server.get("serverUrl") or server.get("httpUrl")
            arguments = server.get("args")
            found = (
                found or next((a for a in arguments if isinstance(a, str) and re.match(r"https?://", a)), None)
                if isinstance(arguments, list)
                else found
            )
            if isinstance(found, str):
                return found
    return None
