"""What the client did because of the cause, in one sentence: what it did not find, what it guessed, what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from oauthtap.clients import EMULATED_SUFFIX, profiles
from oauthtap.clients.messages import ClientMessages, Message, messages
from oauthtap.diagnosis.multi.attribution import is_library
from oauthtap.diagnosis.phrases import CODES, fold
from oauthtap.model.sanitize import escape_controls
from oauthtap.report.model import Client, ExchangeRow, Report
from oauthtap.vendors import matched, pattern

_BUILT_ON = {
    "claude-code": ("typescript-sdk",),
    "mcp-remote": ("typescript-sdk",),
    "mcp-inspector": ("typescript-sdk",),
    "mcporter": ("typescript-sdk",),
    "typescript-sdk-1": ("typescript-sdk",),
    "typescript-sdk-2": ("typescript-sdk",),
    "fastmcp": ("python-sdk",),
    "python-sdk-1": ("python-sdk",),
    "python-sdk-2": ("python-sdk",),
}
"""The SDK whose messages a client shows besides its own."""
_LOOKUPS = {"prm-discovery": "resource metadata", "as-discovery": "server metadata"}
_STATUS = re.compile(r"\b([45]\d\d)\b")


PROBE = "oauthtap-probe"
"""What `oauthtap probe` calls itself: it walks, and is no client that gives up."""


def title(client: Client | None) -> str:
    """The client's name as its makers write it, with its version; `the client` where nothing is known of it. The
    runtime or library that it is made with (Bun, Node, python-httpx) is no name of a client."""
    if client is None:
        return "the client"
    if client.name == PROBE:
        return "oauthtap"
    known = next((profile.name for profile in profiles() if profile.slug == client.name), None)
    if known is None and is_library(client.name):
        return "the client"
    return escape_controls(f"{known or client.name} {client.version or ''}".strip(), limit=60)


def consequence(report: Report, spoken: str = "") -> str:
    """One sentence; empty where nothing followed that the cause did not say already.

    `spoken`: what the client printed, where that was heard.
    """
    if report.cause is None or report.cause.exchange is None or report.ending == "unreachable":
        return ""
    after = list(_following(report, report.cause.exchange))
    parts = [*_looked(after), *_guessed(after)]
    walked = report.client is not None and (report.client.name == PROBE or report.client.name.endswith(EMULATED_SUFFIX))
    if report.ending == "abandoned" and not parts and not walked:
        last = _last(report)
        parts += [f"sent no request after exchange {last}"] if last else []
    spoken = spoken or "\n".join(note for note in report.notes if " says: " in note[:40])
    words = _heard(spoken, report) if spoken else _known(report, after)
    if not parts and not words:
        return ""
    name = title(report.client.model_copy(update={"version": None}) if report.client else None).partition(" (")[0]
    said = [f'{"said" if spoken else "says"} "{words}"'] if words else []
    return f"So {name} {_list([*parts, *said])}."


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _following(report: Report, cause: int) -> Iterator[ExchangeRow]:
    """What client and browser sent because of the exchange of the cause, up to the next attempt."""
    document = next((row.url for row in report.exchanges if row.id == cause), None)
    led = {cause}
    for row in report.exchanges:
        if row.id <= cause or row.actor not in ("client", "browser"):
            continue
        if row.stage == "mcp-challenge":
            return
        if row.url == document:
            led.add(row.id)
        elif row.initiator is not None and row.initiator.exchange in led:
            led.add(row.id)
            yield row


def _looked(after: Sequence[ExchangeRow]) -> Iterator[str]:
    for stage, what in _LOOKUPS.items():
        missed = [row for row in after if row.stage == stage]
        if missed and all(row.status is None or row.status >= 400 for row in missed):
            yield f"found no {what} there ({_numbers([row.id for row in missed])})"


def _guessed(after: Sequence[ExchangeRow]) -> Iterator[str]:
    guess = next((r for r in after if r.initiator and r.initiator.guess and r.stage not in _LOOKUPS), None)
    if guess is not None:
        url = escape_controls(guess.url.partition("?")[0], limit=100)
        yield f"guessed {guess.method} {url}"
        yield f"got {guess.status}" if guess.status is not None else "got no answer"


def _numbers(ids: Sequence[int]) -> str:
    spans: list[tuple[int, int]] = []
    for number in ids:
        begun = spans.pop()[0] if spans and spans[-1][1] == number - 1 else number
        spans.append((begun, number))
    joined = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans[:4])
    return f"exchange{'s' if len(ids) > 1 else ''} {joined}"


def _last(report: Report) -> int | None:
    return next((row.id for row in reversed(report.exchanges) if row.actor in ("client", "browser")), None)


# --- what it shows to its user


def _tables(report: Report) -> list[ClientMessages]:
    name = report.client.name if report.client else ""
    wanted = (name, *_BUILT_ON.get(name, ()))
    return [table for slug in wanted for table in messages() if table.slug == slug]


def _heard(spoken: str, report: Report) -> str:
    """The last of the client's messages in what it printed, up to the end of its line; one that only wraps another's
    where there is none else."""
    known = [one for table in _tables(report) for one in table.message]
    for some in ([one for one in known if not one.wraps], known):
        for line in reversed(spoken.splitlines()):
            hits = [hit for one in some if (hit := matched(pattern(one.match), fold(line)))]
            if hits:
                best = max(hits, key=lambda hit: hit[1])[0]
                return escape_controls(line[max(line.find(best[0]), 0) :].strip(" !|\t"), limit=160)
    return ""


def _known(report: Report, after: Sequence[ExchangeRow]) -> str:
    """The one message by which this client is known to report it; empty where there is none, or more than one."""
    assert report.cause is not None
    rules = {report.cause.rule} | {f.rule for f in report.findings if f.consequence_of == report.cause.rule}
    failed = [row for row in after if row.status is not None and row.status >= 400]
    last = failed[-1] if failed else None
    if last is not None and last.stage == "client-registration" and last.status == 404:
        rules.add("dcr-endpoint-not-found")
    status = last.status if last else report.refusal.status if report.refusal else None
    for table in _tables(report):
        fitting = [
            one for one in table.message if one.meaning[0].rule in rules and not one.wraps and _has_status(one, status)
        ]
        fitting = [one for one in fitting if _has_code(one, report.refusal.code if report.refusal else None)]
        exact = [one for one in fitting if _STATUS.search(one.example)] or fitting
        if len(exact) == 1 and (hit := pattern(exact[0].match).search(fold(exact[0].example))):
            return escape_controls(f"{hit[0]} …" if hit[0].endswith(":") else hit[0], limit=120)
    return ""


def _has_status(message: Message, status: int | None) -> bool:
    named = _STATUS.search(message.example)
    return named is None or int(named[1]) == status


def _has_code(message: Message, code: str | None) -> bool:
    """It quotes no OAuth error code but the one that was answered."""
    named = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", message.example)) & set(CODES)
    return not named or code in named
