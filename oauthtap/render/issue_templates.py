"""The report in the shape that one client's issue tracker asks for.

The headings are those of the forms as they stood in November 2026. What only the person at the
keyboard knows is asked for in italics; it is never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from oauthtap.render.exchange_lines import line
from oauthtap.render.labels import WHO, outcome, said
from oauthtap.render.markdown import code, code_words, findings, walk
from oauthtap.report.model import Report

Answer = Callable[[Report], str]


def tracker(report: Report, name: str) -> str:
    """Markdown to paste into the tracker of that name, one of TRACKERS."""
    parts = [*_addressee(report)]
    for heading, answer in TRACKERS[name]:
        parts += [f"### {heading}", "", answer(report).strip(), ""]
    return "\n".join(parts)


def _addressee(report: Report) -> Iterator[str]:
    """A tracker is the wrong place where the cause is somebody else's: say so before anybody files it."""
    if report.cause and report.cause.responsible != "client":
        whose = WHO[report.cause.responsible].partition(":")[0]
        yield f"> Before you file this: by what was recorded the cause is {whose}, not this client's."
        yield ""


def _ask(words: str) -> Answer:
    return lambda _: f"_Please add: {words}._"


def _wrong(report: Report) -> str:
    lines = [f"Connecting to {code(report.upstream or 'the server')}: {outcome(report)}"]
    if report.refusal:
        lines += ["", code_words(said(report.refusal))]
    if report.cause:
        where = f" (exchange {report.cause.exchange} below)" if report.cause.exchange else ""
        lines += ["", f"{code_words(report.cause.message)}{where}."]
    return "\n".join(lines)


def _expected(report: Report) -> str:
    cause = report.cause
    blamed = next((f for f in report.findings if cause and (f.rule, f.exchange) == (cause.rule, cause.exchange)), None)
    if cause is None or blamed is None:
        return "The sign-in completes, and an authenticated MCP request is answered."
    wanted = f"Expected {code(blamed.expected)}, actual {code(blamed.actual or 'nothing')}. " if blamed.expected else ""
    return f"{wanted}{code_words(cause.fix)}\n\n[{blamed.source}]({blamed.source_url}), {blamed.level}"


def _log(report: Report) -> str:
    """The exchanges as text in a fence that nothing in it can close."""
    text = "\n".join(line(step).rstrip() for step in report.exchanges) or "no request arrived"
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _steps(*first: str) -> Answer:
    def steps(report: Report) -> str:
        url = code(report.upstream or "the server's URL")
        rows = [*(step.replace("URL", url) for step in first), f"{outcome(report)} Each exchange is listed below."]
        return "\n".join(f"{number}. {row}" for number, row in enumerate(rows, 1))

    return steps


def _version(command: str, *names: str) -> Answer:
    """Of the tracker's own client, where that was the one recorded. `names`: words by which it introduces itself."""

    def version(report: Report) -> str:
        client = report.client
        if client and client.version and any(name in client.name.lower() for name in names):
            return code(client.version)
        other = f" Recorded with {code(f'{client.name} {client.version or ""}'.strip())}." if client else ""
        return f"_Please add: what `{command}` prints._{other}"

    return version


def _transport(report: Report) -> str:
    legacy = any("legacy-sse" in step.stages for step in report.exchanges)
    return "sse (deprecated)" if legacy else "streamable-http"


def _fallback(report: Report) -> str:
    """Whether a POST is refused in a way that sends clients on to the SSE transport; of an SSE server alone."""
    if not _transport(report).startswith("sse"):
        return "Not applicable (my server does not use SSE)"
    posted = [step.status for step in report.exchanges if step.method == "POST" and step.url == report.upstream]
    told = {status: "Yes" if status in (400, 404, 405) else "No" for status in posted if status not in (None, 401, 403)}
    return next((f"{word} ({status})" for status, word in told.items()), "Not sure")


def _registration(report: Report) -> str:
    seen = {stage for step in report.exchanges for stage in step.stages}
    if "client-registration" in seen:
        return "Dynamic Client Registration (DCR)"
    if "client-metadata-fetch" in seen:
        return "Client ID metadata document"
    return "Static" if "authorization-request" in seen else "It did not get that far."


def _where(report: Report) -> str:
    """The place in the flow, in the words of the form's list."""
    if report.connected or report.reached in ("mcp-token-rejected", "mcp-step-up", "token-refresh"):
        return "During a conversation (after initial auth)"
    if report.reached in ("authorization-response", "token-request", "mcp-initialize", "mcp-request"):
        return "When auth finishes and redirects back to Claude.ai"
    if report.reached in ("authorization-request", "authorization-interaction"):
        return "In the authorization screen from my server"
    return "When pressing the Connect button"


def _when(report: Report) -> str:
    times = [step.started_at for step in report.exchanges if step.started_at is not None]
    return f"{datetime.fromtimestamp(max(times), UTC):%Y-%m-%d %H:%M} UTC" if times else "_Please add: date and time._"


def _server(report: Report) -> str:
    return "\n".join(
        [
            f"- Server: {code(report.upstream or 'unknown')}",
            f"- Transport: {_transport(report)}",
            f"- MCP revision: {report.revision or 'none named'}",
            f"- OAuth: yes; registration: {_registration(report)}",
        ]
    )


def _whole(report: Report) -> str:
    """What was tried and found, and how it was recorded."""
    made = "Recorded with oauthtap between client and server; tokens, codes and other secrets are replaced by aliases."
    return "\n".join([made, "", *walk(report), *findings(report)])


def _confirm(*sentences: str) -> Answer:
    """Boxes that only the person can tick."""
    return lambda _: "\n".join(f"- [ ] {sentence}" for sentence in sentences)


_SYSTEM = ("Operating System", _ask("operating system, and browser"))
_NO_DUPLICATE = "I have searched existing issues and this has not been reported yet"

TRACKERS: dict[str, tuple[tuple[str, Answer], ...]] = {
    "claude-code": (
        (
            "Preflight Checklist",
            _confirm(_NO_DUPLICATE, "This is a single bug report", "I am using the latest version"),
        ),
        ("What's Wrong?", _wrong),
        ("What Should Happen?", _expected),
        ("Error Messages/Logs", _log),
        ("Steps to Reproduce", _steps("`claude mcp add --transport http server` URL", "`claude mcp login server`")),
        ("Is this a regression?", _ask("whether it worked in a previous version")),
        ("Last Working Version", _ask("which, where there is one")),
        ("Claude Code Version", _version("claude --version", "claude-code")),
        ("Platform", _ask("Anthropic API, AWS Bedrock, Google Vertex AI")),
        _SYSTEM,
        ("Terminal/Shell", _ask("which terminal")),
        ("Additional Information", _whole),
    ),
    "claude-ai": (
        ("MCP server URL", lambda report: code(report.upstream or "unknown")),
        ("Where does the issue occur?", _where),
        ("Transport used", _transport),
        ("Client registration type", _registration),
        ("SSE only: Does your server return the expected status code for POST requests?", _fallback),
        ("When did you last reproduce this?", _when),
        ("Browser and OS", _ask("browser and operating system")),
        ("Describe the issue", _wrong),
        ("Issue details", _ask("the text of the pop-up in Claude.ai, with its error id (`ofid_…`)")),
        ("Expected behavior", _expected),
        ("Logs from your server", _log),
        ("Additional context", _whole),
    ),
    "vscode": (
        ("VS Code Version", _version("code --version", "visual studio code", "vscode")),
        ("OS Version", _ask("operating system and its version")),
        (
            "Steps to Reproduce",
            _steps("`MCP: Add Server…`, HTTP, URL", "Start the server from `mcp.json`, and sign in"),
        ),
        ("What happens", _wrong),
        ("What should happen", _expected),
        ("Does this issue occur when all extensions are disabled?", _ask("yes or no")),
        ("Log", _log),
        ("Details", _whole),
    ),
    "inspector": (
        ("Which version line?", _ask("v2 or v1")),
        ("Which client?", _ask("Web, CLI or TUI")),
        ("Inspector version", _version("npx @modelcontextprotocol/inspector --version", "inspector")),
        ("Node version", _ask("what `node --version` prints")),
        ("Operating system (and browser, for the web client)", _ask("operating system, and browser")),
        ("Transport", lambda r: "SSE (legacy)" if _transport(r).startswith("sse") else "Streamable HTTP"),
        ("MCP server under inspection", _server),
        ("Steps to reproduce", _steps("Run `npx @modelcontextprotocol/inspector`", "Add URL, and connect")),
        ("Expected behavior", _expected),
        ("Actual behavior", _wrong),
        ("Logs, errors, or screenshots", lambda report: f"{_log(report)}\n\n{_whole(report)}"),
        ("Before you submit", _confirm(_NO_DUPLICATE, "This is not a security vulnerability report")),
    ),
}
"""Name of the client to the headings of its form, each with what to write below it."""
