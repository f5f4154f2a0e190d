"""What stages, parties and outcomes are called in front of a person."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from oauthtap.clients.forecast import ClientForecast
from oauthtap.diagnosis.findings import Finding, Party
from oauthtap.diagnosis.multi.attribution import is_library
from oauthtap.fixes.attempts import Attempt
from oauthtap.fixes.change_log import AppliedChange, phrase
from oauthtap.model.sanitize import escape_controls
from oauthtap.report.model import Client, ExchangeRow, Refused, Report

WHO = {
    "resource-server": "the MCP server's",
    "authorization-server": "the authorization server's",
    "client": "the client's",
    "config": "the configuration's: every component behaves as configured",
    "network": "the network's",
}

STAGE = {
    "cors-preflight": "the CORS preflight",
    "mcp-challenge": "the 401 that starts the sign-in",
    "prm-discovery": "protected resource metadata",
    "as-discovery": "authorization server metadata",
    "jwks-fetch": "the key set",
    "client-metadata-fetch": "the client's metadata document",
    "client-registration": "client registration",
    "pushed-authorization": "the pushed authorization request",
    "authorization-request": "the browser opening the authorization endpoint",
    "authorization-interaction": "login and consent",
    "authorization-response": "the redirect back to the client",
    "token-request": "the code exchanged for a token",
    "token-refresh": "the token refreshed",
    "token-other-grant": "a token by another grant",
    "device-authorization": "device authorization",
    "token-maintenance": "introspection or revocation",
    "mcp-initialize": "MCP initialize",
    "mcp-discover": "MCP server/discover",
    "mcp-request": "MCP requests",
    "mcp-stream": "the MCP stream",
    "mcp-session-end": "the end of the MCP session",
    "legacy-sse": "the legacy SSE transport",
    "mcp-token-rejected": "the MCP server refusing the token",
    "mcp-step-up": "the MCP server requiring more scope",
    "other": "not part of the handshake",
    "any": "the whole handshake",
}

EVIDENCE = {"measured": "", "read": " (from its source)", "reported": " (reported)"}
"""How much a client's outlook is worth, in words to put behind its name."""

MARK = {"error": "✗", "warning": "!", "note": "·"}


def outcome(report: Report) -> str:
    """How far it got, in one sentence."""
    if report.sign_ins:
        count, connected = len(report.sign_ins), sum(one.connected for one in report.sign_ins)
        words = "all" if connected == count else str(connected or "none")
        return f"{count} clients at the same time, of which {words} connected."
    if all(step.actor != "client" for step in report.exchanges):
        if any(step.excerpt for step in report.exchanges):
            return "Requests were sent by hand: the responses are checked, no client was recorded."
        return "Nothing arrived: the client sent no request."
    if report.connected and report.attempts and report.attempts[-1].changed:
        return "Connected, with fixes of oauthtap applied: an MCP request was answered."
    if report.connected:
        return "Connected: an MCP request was answered."
    if report.ending == "signed-in":
        return f"Signed in: a token was issued. The client has sent no MCP request yet. Next: {next_step(report)}"
    if report.complete:
        return f"No problem up to {STAGE[report.reached]} ({report.reached}), where this probe ends."
    far = f"Last step reached: {STAGE[report.reached]} ({report.reached})."
    return f"Not connected. {_ended(report, far)}".rstrip()


_FIRST_USE = {"claude-code": "claude mcp list", "codex": "codex, then /mcp", "opencode": "opencode mcp list"}
"""What makes a client send its first MCP request after a login command."""


def next_step(report: Report) -> str:
    """What to type so that a client that is signed in sends its first MCP request."""
    return _FIRST_USE.get(report.client.name if report.client else "", "start the client and use a tool")


def is_command(text: str) -> bool:
    """What `next_step` says is something to type."""
    return text in _FIRST_USE.values()


def by_hand(report: Report) -> bool:
    """No client is in it: somebody pasted requests of their own."""
    rows = report.exchanges
    return bool(rows) and all(row.actor != "client" for row in rows) and any(row.excerpt for row in rows)


def _ended(report: Report, far: str) -> str:
    """How it ended, behind "Not connected"."""
    last = next((step for step in reversed(report.exchanges) if step.actor in ("client", "browser")), None)
    at = f"exchange {last.id}" if last else "the last exchange"
    if report.ending == "lost-later":
        return f"The client was connected, then lost the connection. {far}"
    if report.ending == "repeating":
        return f"{far} The client retries, and gets the same refusal."
    if report.ending == "unreachable":
        return f"{far} The request of {at} got no answer."
    if report.ending == "waiting":
        signs = report.reached == "mcp-challenge"
        return f"{far} {'The server requires a sign-in (401).' if signs else 'Next: the sign-in in the browser.'}"
    if report.ending == "abandoned":
        return f"{far} No request was refused: the client stopped after {at}."
    return far


def whose(report: Report, party: Party) -> str:
    """Whose a cause is. Where MCP server and authorization server are one origin, nobody has to tell them apart."""
    if report.same_origin and party in ("resource-server", "authorization-server"):
        return "your server's (MCP server and authorization server are one)"
    return WHO[party]


def runners_up(report: Report) -> Iterator[str]:
    """The other likely causes, a sentence each."""
    for one in report.causes[1:]:
        where = f", exchange {one.exchange}" if one.exchange else ""
        yield f"{one.title} ({one.confidence}{where}): {one.message}"


def said(refusal: Refused) -> str:
    """What the one who said no actually said, in one line. Upstream text in it is made plain."""
    code = refusal.code if refusal.code and refusal.code not in refusal.words else ""
    head = " ".join(filter(None, (str(refusal.status or ""), escape_controls(code, limit=80))))
    words = f'"{escape_controls(refusal.words, limit=400)}"' if refusal.words else ""
    return f"It said: {': '.join(filter(None, (head, words)))} (exchange {refusal.exchange})"


def begins(report: Report) -> str:
    """What to say of the exchange whose words are shown, where these only begin the sign-in; else empty."""
    told = report.refusal.exchange if report.refusal else None
    of_challenge = any(row.id == told and row.stage == "mcp-challenge" for row in report.exchanges)
    return ", the challenge" if of_challenge and report.ending == "abandoned" else ""


def attempts(report: Report) -> str:
    """What came of the sign-in without and with fixes, in one sentence; empty where none was ever on."""
    return "; ".join(_attempt(one, number) for number, one in enumerate(report.attempts))


def _attempt(one: Attempt, number: int) -> str:
    if one.changed:
        head = f"with {phrase(one.changed)}"
    elif one.fixes:
        head = f"with {', '.join(one.fixes[:3])} (nothing to change)"
    else:
        head = "without fixes" if number else "before"
    if one.connected:
        return f"{head}: connected, {one.good} of {one.steps} steps"
    if one.ending == "signed-in":
        return f"{head}: signed in, {one.good} of {one.steps} steps"
    return f"{head}: stopped at {one.reached}"


def cured(report: Report) -> list[Finding]:
    """What stops clients and was not met, because fixes of oauthtap were at work: each rule once."""
    causes = {one.cause for one in report.attempts[:-1]} if report.works else set()
    found: dict[str, Finding] = {}
    for one in report.findings:
        if one.severity == "error" and (one.fixed_by or one.rule in causes) and not one.consequence_of:
            found.setdefault(one.rule, one)
    return list(found.values())


def patched(step: ExchangeRow) -> Iterator[str]:
    """What fixes changed in an exchange, a line for each place. Upstream text in it is made plain."""
    by = escape_controls(", ".join(step.applied_fixes), limit=120)
    for one in step.patched:
        said, saw = parties(one, step)
        yield (
            f"patched by {by}: `{escape_controls(one.name, limit=80)}`: "
            f"{said} {quoted(one.original)}, {saw} {quoted(one.delivered)}"
        )


def parties(one: AppliedChange, step: ExchangeRow) -> tuple[str, str]:
    """Who said the one thing, and who saw the other."""
    asked = one.at.startswith("request.") and step.stage != "authorization-response"
    return ("client said", "upstream saw") if asked else ("upstream said", "client saw")


def quoted(value: str | None) -> str:
    return "nothing" if value is None else escape_controls(value, limit=200)


def client(named: Client | None) -> str:
    """What the client calls itself; the User-Agent of a runtime or library does not name it."""
    if named is None:
        return "an unknown client"
    called = f"{named.name} {named.version or ''}".strip()
    return f"unnamed client (User-Agent {called})" if is_library(named.name) else called


def no_cause(report: Report) -> str:
    """Why a handshake that came to nothing has no cause, in one sentence."""
    if report.injected_faults:
        return "It stopped after a fault that oauthtap injected; no finding blames client or server for it."
    return "No single cause stands out."


def faults(report: Report) -> list[str]:
    """A sentence for every fault that oauthtap itself made."""
    return [
        f"oauthtap injected {f.name} in exchange {f.exchange} (--inject). {f.says}".rstrip()
        for f in report.injected_faults
    ]


def others(report: Report) -> list[tuple[str, list[str]]]:
    """What other clients would do with this server: a heading, and a line for each client or reason."""
    rest = [outlook for outlook in report.clients if not outlook.recorded]
    through = [_named(outlook) for outlook in rest if outlook.outcome == "goes-through"]
    stops = [f"{_named(o)}: at {o.stage}, {o.why}" for o in rest if o.outcome == "stops"]
    unknown = sorted((o for o in rest if o.outcome == "unknown"), key=lambda o: o.why)
    reasons = [f"{why}: {', '.join(map(_named, same))}" for why, same in groupby(unknown, key=lambda o: o.why)]
    sections = [("Others that go through", [", ".join(through)] if through else []), ("Others that stop", stops)]
    return [(head, lines) for head, lines in (*sections, ("Unknown for", reasons)) if lines]


def _named(outlook: ClientForecast) -> str:
    age = f" (as of {outlook.seen})" if outlook.stale else ""
    return f"{outlook.client}{EVIDENCE[outlook.evidence]}{age}"
