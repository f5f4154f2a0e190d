"""Logs and outputs of clients that say how a step ended in a sentence.

Most clients are built on an SDK and print its messages: `Token exchange failed (400): {…}`, `HTTP Request: POST …`,
`Error POSTing to endpoint (HTTP 401): …`, an authorization URL to open. Each such sentence is an exchange, or completes
the one before it. Whose log it is follows from a few words that only that client writes (`client_names`).

Read from: Codex 0.130 to 0.171 (`RUST_LOG`, `codex mcp login`), Gemini CLI 0.9 to 0.30, Cursor 1.x and 2.x (MCP Logs), opencode
1.0 (`--print-logs`), Claude Desktop (`mcp*.log`), MCP Inspector 0.16 to 2.12 (console), Python SDK 1.12 to 2.3 and fastmcp
2 to 4 (`logging`), TypeScript SDK 1.10 to 2.4, LibreChat 0.8, n8n 1.1xx.
"""

# ruff: noqa: E501  (patterns are written whole)

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from oauthtap.formats import access_log, facts
from oauthtap.formats.builder import Draft, recording
from oauthtap.formats.logs.client_names import client_of
from oauthtap.formats.logs.log_lines import has_times, messages
from oauthtap.formats.logs.outcome import names_step
from oauthtap.formats.logs.rich_handler import unwrap
from oauthtap.formats.logs.story import CHALLENGE, PROBE, URL, Story
from oauthtap.model.recording import Recording

WHAT = "what a client printed"
FORM = "logs and outputs of Codex, Gemini CLI, Cursor, opencode, Claude Desktop, MCP Inspector, the Python and TypeScript SDKs, LibreChat, n8n"

_BROKEN = 4
"""Lines of a message that a dialog or a terminal has broken in the middle of its sentence."""
_OVER_LINES = re.compile(
    r"(Streamable HTTP error:(?=[ \t]*\n[ \t]*Error POSTing)|Error POSTing to endpoint:(?=[ \t]*\n[ \t]*\{))[ \t]*\n[ \t]*"
)
"""A message of the TypeScript SDK's transport, with its parts on lines of their own."""
_PROBED = re.compile(r"resource metadata discovery url: (https?://\S+)")
_TRANSPORT = re.compile(
    r"(?:Streamable|SSE)\w*Transport|io\.modelcontextprotocol\.|rmcp::transport|streamable_http_client|MCP (?:client|server|bridge)|Error POSTing to endpoint|(?:Streamable HTTP|SSE) error: "
)
"""What only a client of an MCP server says."""
_SERVER_URL = re.compile(
    r"(?:server[_ ]?url|mcp[_ ]?url|\"?url\"?|endpoint|connecting to|connection to|connect to|for url|http transport)[\"']?\s*[:=(]?\s*[\"'(]?(https?://[^\s\"'`<>,)\]}\\]+)",
    re.I,
)
_STEP_URLS = re.compile(
    r"/\.well-known/|/token\b|/register\b|/clients-registrations/|/authorize\b|/oauth|callback|(?:localhost|127\.0\.0\.1):\d+/(?:oauth/|done|callback)|[?&]error=|github\.com/|docs\.|spec|datatracker|nodejs\.org|npmjs|errors\.pydantic|developer\.mozilla|/issues/"
)


def recognizes(text: str) -> bool:
    """Something in it says how a step of a sign-in ended."""
    return read(text) is not None


def read(text: str) -> Recording | None:
    """The exchanges the sentences tell of; None when there are none."""
    text = _OVER_LINES.sub(r"\1 ", "\n".join(facts.joined(unwrap(text))))
    if len(text.strip().splitlines()) <= _BROKEN and not has_times(text):
        text = re.sub(r"\n[ \t]*(?=(?:does|did) not |received [\"'])", " ", text)
    client = client_of(text)
    stamped = has_times(text)
    story = Story(_mcp_url(text), known=stamped or client is not None or _TRANSPORT.search(text) is not None)
    story.around = text if not stamped and len(text) < 3000 else ""
    if (probe := PROBE.search(text)) and (probed := _PROBED.search(text)):
        story.drafts.append(Draft("GET", probed[1], status=int(probe[1])))
    for at, line in messages(text):
        story.take(at, line)
    story.drafts = access_log.in_order(access_log.without_reports(story.drafts), text)
    by_itself = len(text.strip().splitlines()) <= 3 and not stamped
    told = [draft for draft in story.drafts if draft.status and not draft.presumed]
    shown = told and (_TRANSPORT.search(text) or names_step(text))
    if by_itself and CHALLENGE.match(text.strip()):
        return None  # a document by itself
    if not story.drafts or (by_itself and not (shown or client or URL.search(text) or _placed(told))):
        return None  # a message by itself, which is for `oauthtap explain`
    return recording(
        story.drafts,
        text,
        what=f"a log of {client}" if client else WHAT,
        client=client,
        upstream=story.mcp_url,
        notes=story.notes,
    )


def _placed(told: list[Draft]) -> bool:
    """A path that only metadata have, with its status."""
    return any("/.well-known/" in draft.target for draft in told)


def _mcp_url(text: str) -> str | None:
    named = [match[1].rstrip(".:") for match in _SERVER_URL.finditer(text) if not _STEP_URLS.search(match[1])]
    every = [match[0].rstrip(".:") for match in URL.finditer(text)]
    asked = (dict(parse_qsl(urlsplit(url).query)).get("resource", "") for url in every if "resource=" in url)
    ends = [
        url
        for url in (*every, *asked)
        if re.search(r"/(?:mcp|sse)/?$", url.partition("?")[0]) and not _STEP_URLS.search(url)
    ]
    return next(iter((*ends, *named)), None)
