"""Why one of two clients stops where the other goes on, in one sentence.

Asked in this order: did the server refuse one of them, and what had that one asked
otherwise? Does one make a check that the other does not? Were they told different things?
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from oauthtap.clients.checks import Check, failing_checks, would_stop
from oauthtap.compare.compared_run import ComparedRun
from oauthtap.compare.json_diff import Deviation, deviations
from oauthtap.compare.lock_check import format_value
from oauthtap.compare.request_kinds import RequestKind
from oauthtap.diagnosis.progress import STAGE_ORDER

Pair = tuple[RequestKind | None, RequestKind | None]
_FOR_ERROR = {
    "invalid_redirect_uri": ("application_type", "redirect_uris"),
    "invalid_scope": ("scope",),
    "invalid_target": ("resource",),
    "invalid_client": ("token_endpoint_auth_method", "authorization"),
    "unauthorized_client": ("grant_types", "response_types"),
}
"""What an error is about, the likeliest first."""


@dataclass(frozen=True)
class Divergence:
    sentence: str
    detail: str = ""
    row: int | None = None
    """Which of the aligned rows it is about."""


@dataclass(frozen=True)
class _Sides:
    """The one that stops, and the other."""

    stopped: ComparedRun
    other: ComparedRun
    stops: str
    goes_on: str
    rows: list[tuple[RequestKind | None, RequestKind | None]]
    """The stopped one's move first."""


def divergence(pairs: Sequence[Pair], seen: tuple[ComparedRun, ComparedRun]) -> Divergence:
    """Where the one that came less far left the other's way. `pairs`: A's and B's moves, aligned."""
    a, b = seen
    a_stops = (a.report.works, _far(a)) < (b.report.works, _far(b))
    if a_stops:
        sides = _Sides(a, b, "A", "B", list(pairs))
    else:
        sides = _Sides(b, a, "B", "A", [(theirs, ours) for ours, theirs in pairs])
    for explain in (_refused, _checked, _told_otherwise, _went_elsewhere):
        if found := explain(sides):
            return found
    reached = sides.stopped.report.reached
    last = max((n for n, (mine, _) in enumerate(sides.rows) if mine), default=None)
    more = next((f"{sides.goes_on} goes on to {m.request}" for mine, m in sides.rows if m and not mine), "")
    return Divergence(f"{sides.stops} stops at {reached}, and the wire does not say why.", more, last)


def _far(seen: ComparedRun) -> int:
    return STAGE_ORDER.index(seen.report.reached)


def place(message: str, pointer: str) -> str:
    """A JSON pointer below a request or answer, as reports write it: `response.json.issuer`."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.removeprefix("/").split("/")]
    return message + "".join(f"[{step}]" if step.isdecimal() else "[]" if step == "-" else f".{step}" for step in steps)


# --- the server refused one of them


def _refused(sides: _Sides) -> Divergence | None:
    for number, (mine, other) in enumerate(sides.rows):
        if mine is None or other is None or mine.ok or not other.ok or mine.slug == "mcp-challenge":
            continue
        answers = _answers(sides, mine, other)
        differing = [(row, d) for row in _leading_to(sides, number) for d in _asked(sides, row)]
        if blamed := _blamed(sides, mine, differing):
            row, name = blamed
            own, others = (move.asked.get(name, "missing") if move else "" for move in sides.rows[row])
            act = _ACTS.get(sides.rows[row][0].slug, "sends")  # type: ignore[union-attr]
            sentence = (
                f"{sides.stops} {act} `{name}` {_words(own)}, {sides.goes_on} {_words(others)}: "
                f"{sides.stops} is refused ({_said(mine).removeprefix('with ')})."
            )
            return Divergence(sentence, f"{answers}.", row)
        names = ", ".join(dict.fromkeys(f"`{d.pointer.split('/')[1]}`" for _, d in differing))
        same = "They asked for the same." if mine.request == other.request else "The same step lies at two places."
        detail = f"What they asked for differs in {names}." if names else same
        return Divergence(f"{answers}: {sides.stops} stops.", detail, number)
    return None


def _answers(sides: _Sides, mine: RequestKind, other: RequestKind) -> str:
    """What each was answered; the same step may lie at two places."""
    if mine.request == other.request:
        return f"{mine.request} answers {sides.stops} {_said(mine)} and {sides.goes_on} {_said(other)}"
    return (
        f"{sides.stops} asks {mine.request} and is answered {_said(mine)}, "
        f"{sides.goes_on} asks {other.request} and is answered {_said(other)}"
    )


_ACTS = {
    "client-registration": "registers with",
    "authorization-request": "asks for a code with",
    "token-request": "asks for a token with",
}


def _leading_to(sides: _Sides, refused: int) -> list[int]:
    """The refused request, and those its code or token came from, the nearest first."""
    mine = sides.rows[refused][0]
    slugs = ["client-registration"] if mine and mine.slug.startswith("authorization-") else []
    if mine and mine.slug.startswith(("mcp-", "token-", "authorization-response")):
        slugs = ["token-request", "authorization-request", "client-registration"]
    both = [n for n, (ours, other) in enumerate(sides.rows) if ours and other and n != refused]
    return [refused, *(n for slug in slugs for n in both if sides.rows[n][0].slug == slug)]  # type: ignore[union-attr]


def _blamed(sides: _Sides, refused: RequestKind, differing: list[tuple[int, Deviation]]) -> tuple[int, str] | None:
    """The member the refusal is for: the one the cause names, else the one such an error is about."""
    cause = sides.stopped.report.cause
    found = next((f for f in sides.stopped.report.findings if cause and f.rule == cause.rule), None)
    at = re.split(r"[.\[]", found.at)[-1] if found and found.at.startswith("request.") else ""
    rows = [(row, deviation.pointer.split("/")[1]) for row, deviation in differing]
    if found and at:
        there = [row for row in rows if row[1] == at and found.exchange in _exchanges(sides, row[0])]
        rows = there + rows
    for name in filter(None, (at, *_FOR_ERROR.get(_error(refused), ()))):
        if blamed := next((row for row in rows if row[1] == name), None):
            return blamed
    return None


def _exchanges(sides: _Sides, row: int) -> list[int]:
    mine = sides.rows[row][0]
    return mine.exchanges if mine else []


def _asked(sides: _Sides, number: int) -> Iterator[Deviation]:
    mine, other = sides.rows[number]
    if mine and other:
        yield from deviations(other.asked, mine.asked, both=True)


def _words(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else format_value(value)


def _said(move: RequestKind) -> str:
    """How it was answered at last: the status, and the error where there is one."""
    if move.slug == "authorization-response":
        return f"with {_error(move) or ('an error' if not move.ok else 'a code')}"
    status = "nothing" if move.statuses[-1] is None else str(move.statuses[-1])
    return f"{status} {_error(move)}".strip()


def _error(move: RequestKind) -> str:
    """The error code of an answer, empty without one."""
    content = move.answered.get("json") or move.answered.get("parameters")
    error = content.get("error") if isinstance(content, dict) else None
    return error if isinstance(error, str) else ""


# --- one makes a check that the other does not


def _checked(sides: _Sides) -> Divergence | None:
    stage = sides.stopped.report.reached
    checks = failing_checks(sides.stopped.handshake, stage, sides.stopped.profile)
    if not checks and sides.stopped.profile:
        return None
    alike = [check for check in checks if would_stop(check, sides.other.handshake, stage)]
    if not alike:
        return None
    words = " or ".join(check.words for check in alike)
    seems = "" if len(alike) == 1 else "probably "
    last = max(n for n, (mine, _) in enumerate(sides.rows) if mine and mine.slug == stage)
    detail = "; ".join(f"{sides.stops} {check.why}" for check in alike) + f". {_evidence(sides, alike)}"
    return Divergence(f"{sides.stops} {seems}{words}, {sides.goes_on} does not: {sides.stops} stops.", detail, last)


def _evidence(sides: _Sides, checks: list[Check]) -> str:
    if sides.stopped.profile:
        return f"That is known of {sides.stopped.profile.name} ({sides.stopped.profile.evidence})."
    only = "the only known check" if len(checks) == 1 else "the known checks"
    return f"The client is not recognized; this is {only} that would stop one just there."


# --- they were told different things


def _told_otherwise(sides: _Sides) -> Divergence | None:
    for number, (mine, other) in enumerate(sides.rows):
        if not (mine and other) or mine.slug not in ("mcp-challenge", "prm-discovery", "as-discovery"):
            continue
        for deviation in deviations(other.answered, mine.answered, both=True):
            at = place("", deviation.pointer).removeprefix(".").removeprefix("json.")
            own, others = format_value(deviation.actual), format_value(deviation.expected)
            return Divergence(
                f"`{at}` is {own} for {sides.stops}, and {others} for {sides.goes_on}: {sides.stops} stops.",
                f"{mine.slug}: {mine.request}",
                number,
            )
    return None


def _went_elsewhere(sides: _Sides) -> Divergence | None:
    """The stopped one did something the other never did."""
    for number, (mine, other) in enumerate(sides.rows):
        if (
            mine is None
            or other is not None
            or mine.ok
            or mine.slug == "mcp-challenge"
            or mine.slug != sides.stopped.report.reached
        ):
            continue
        there = next((o for m, o in sides.rows if o and not m and o.slug == mine.slug), None)
        rest = f", {sides.goes_on} {there.request}" if there else f", {sides.goes_on} does not"
        guess = " at a guess" if mine.initiator and mine.initiator.guess else ""
        return Divergence(f"{sides.stops} asks for {mine.request}{guess}{rest}: {sides.stops} stops.", "", number)
    return None
