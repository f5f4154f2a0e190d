"""Two recordings side by side: where they part, and why.

What decides is the outcome: as long as both came equally far, it does not matter that two
clients take different ways. Then only another answer to the same question does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from oauthtap.compare.compared_run import ComparedRun
from oauthtap.compare.divergence import Divergence, divergence, place
from oauthtap.compare.json_diff import Deviation, deviations
from oauthtap.compare.lock_check import format_value
from oauthtap.compare.request_kinds import Key, Names, RequestKind, request_kinds
from oauthtap.diagnosis.ending import EndingId
from oauthtap.diagnosis.progress import STAGE_ORDER
from oauthtap.handshake.stages import Initiator, ResourceMetadata, ServerMetadata, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import json_keys
from oauthtap.report.model import Report


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class Side(_Row):
    """One of the two recordings."""

    name: Literal["A", "B"]
    client: str
    upstream: str | None
    connected: bool
    ending: EndingId = "nothing-arrived"
    complete: bool = False
    """A probe that came as far as it was asked to."""
    reached: str
    cause: str | None
    """The rule that is named as the cause."""
    exchanges: int


class Performed(_Row):
    """What one side did of a row, and what it was answered."""

    model_config = json_keys(initiator="because")

    exchanges: tuple[int, ...]
    statuses: tuple[int | None, ...]
    initiator: Initiator | None


class Difference(_Row):
    """One member that is not the same on both sides."""

    at: str
    """`request.scope`, `response.json.issuer`, …"""
    a: str
    b: str


class Row(_Row):
    """One kind of request, on either side or on both."""

    stage: str
    request: str
    a: Performed | None
    b: Performed | None
    differences: tuple[Difference, ...] = ()
    matters: bool = False


class Comparison(_Row):
    """What `oauthtap diff` prints. Version 1 of the contract."""

    version: Literal[1] = 1
    a: Side
    b: Side
    same: bool
    """Nothing that matters differs."""
    sentence: str
    """The first divergence that matters, or that there is none."""
    detail: str = ""
    """What it comes down to, with the values."""
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class _Pair:
    key: Key
    a: RequestKind | None
    b: RequestKind | None


def compare(a: ComparedRun, b: ComparedRun) -> Comparison:
    """Align two recordings by stage and because, and tell what differs."""
    names_a, names_b = _names(a.handshake, b.handshake)
    pairs = _aligned(request_kinds(a.handshake, names_a), request_kinds(b.handshake, names_b))
    rows = [_row(pair) for pair in pairs]
    ends_alike = a.report.works == b.report.works and (a.report.works or a.report.reached == b.report.reached)
    if ends_alike:
        rows = [row.model_copy(update={"matters": _answered_otherwise(row)}) for row in rows]
        found = _between_servers(rows, _end_of_both(a.report, b.report))
    else:
        found = divergence([(pair.a, pair.b) for pair in pairs], (a, b))
        marked = found.row
        rows = [row.model_copy(update={"matters": number == marked}) for number, row in enumerate(rows)]
    return Comparison(
        a=_side("A", a.report),
        b=_side("B", b.report),
        same=ends_alike and not any(row.matters for row in rows),
        sentence=found.sentence,
        detail=found.detail,
        rows=tuple(rows),
    )


def _end_of_both(a: Report, b: Report) -> str:
    """What became of two that came equally far."""
    if not a.works:
        return f"both stop at {a.reached}"
    if a.connected and b.connected:
        return "both connect"
    if a.complete or b.complete:
        both = a.complete and b.complete and a.reached == b.reached
        return f"both probes end at {a.reached}, with no problem" if both else "neither meets a problem"
    return "both sign in"


def _between_servers(rows: Sequence[Row], end: str) -> Divergence:
    """Both came equally far: has either been answered otherwise?"""
    for row in rows:
        if row.matters:
            first = next((d for d in row.differences if d.at.startswith("response.")), None)
            if first is None:
                return Divergence(f"The same request is answered otherwise, though {end}.", row.request)
            member = first.at.removeprefix("response.").removeprefix("json.")
            words = f"`{member}` is {first.a} for A, and {first.b} for B"
            return Divergence(f"The server answers otherwise: {words}; {end}.", f"{row.stage}: {row.request}")
    other_ways = any(row.a is None or row.b is None or row.differences for row in rows)
    ways = " They take different ways there." if other_ways else ""
    return Divergence(f"No difference that matters: {end}.{ways}")


_PROMISES = ("mcp-challenge", "prm-discovery", "as-discovery", "client-registration", "authorization-response",
             "token-request", "token-refresh", "mcp-initialize", "mcp-discover")  # fmt: skip


def _answered_otherwise(row: Row) -> bool:
    """The same question got another answer."""
    if row.stage not in _PROMISES or row.a is None or row.b is None:
        return False
    same_question = not any(difference.at.startswith("request.") for difference in row.differences)
    return same_question and any(difference.at.startswith("response.") for difference in row.differences)


def _side(name: Literal["A", "B"], report: Report) -> Side:
    client = f"{report.client.name} {report.client.version or ''}".strip() if report.client else "unknown client"
    return Side(
        name=name,
        client=client,
        upstream=report.upstream,
        connected=report.connected,
        ending=report.ending,
        complete=report.complete,
        reached=report.reached,
        cause=report.cause.rule if report.cause else None,
        exchanges=len(report.exchanges),
    )


# --- aligning


def _names(a: Handshake, b: Handshake) -> tuple[Names, Names]:
    """Names for what both recordings have under different ones: the same server on another host or port."""
    if urls.origin(a.resource or "") == urls.origin(b.resource or ""):
        return str, str
    return _roles(a), _roles(b)


def _roles(handshake: Handshake) -> Names:
    """Origins by what they are for; the MCP server first, then authorization servers as they were named."""
    named = [urls.origin(handshake.resource or "")]
    for stage in handshake.stages:
        try:
            if isinstance(stage, ResourceMetadata):
                named += map(urls.origin, stage.authorization_servers)
            elif isinstance(stage, ServerMetadata):
                named += map(urls.origin, (stage.issuer or "", *stage.endpoints.values()))
        except Unseen:
            continue
    origins = list(dict.fromkeys(filter(None, named)))
    roles = {o: "mcp-server:" if n == 0 else f"as-{n}:" for n, o in enumerate(origins)}

    def renamed(text: str) -> str:
        origin = urls.origin(text) if "://" in text else ""
        return roles[origin] + text[len(origin) :] if origin in roles and text.startswith(origin) else text

    return renamed


def _aligned(a: dict[Key, RequestKind], b: dict[Key, RequestKind]) -> list[_Pair]:
    """Pairs of the same stage and place; then of the same stage by the member that named the place."""
    pairs = [_Pair(key, move, b.get(key)) for key, move in a.items()]
    left = {key: move for key, move in b.items() if key not in a}
    for number, pair in enumerate(pairs):
        if pair.b is None and (met := next((key for key, move in left.items() if _same_step(pair, key, move)), None)):
            pairs[number] = _Pair(pair.key, pair.a, left.pop(met))
    pairs += [_Pair(key, None, move) for key, move in left.items()]
    return sorted(pairs, key=lambda pair: STAGE_ORDER.index(pair.key[0]))


def _same_step(pair: _Pair, key: Key, move: RequestKind) -> bool:
    """Told by the same member of the same kind of document, and so the same step at another place."""
    mine, other = pair.a.initiator if pair.a else None, move.initiator
    if pair.key[:2] != key[:2] or mine is None or other is None:
        return False
    return bool(mine.at) and mine.at == other.at and not mine.guess and not other.guess


def _row(pair: _Pair) -> Row:
    return Row(
        stage=pair.key[0],
        request=pair.a.request if pair.a else pair.b.request if pair.b else "",
        a=_did(pair.a),
        b=_did(pair.b),
        differences=tuple(_differences(pair.a, pair.b)) if pair.a and pair.b else (),
    )


def _did(move: RequestKind | None) -> Performed | None:
    if move is None:
        return None
    return Performed(exchanges=tuple(move.exchanges), statuses=tuple(move.statuses), initiator=move.initiator)


def _differences(a: RequestKind, b: RequestKind) -> Iterator[Difference]:
    if a.request != b.request:
        yield Difference(at="request.url", a=a.request, b=b.request)
    for deviation in deviations(a.asked, b.asked, both=True):
        yield _told(place("request", deviation.pointer), deviation)
    if set(a.statuses) != set(b.statuses):
        yield Difference(at="response.status", a=_statuses(a), b=_statuses(b))
        return
    for deviation in deviations(a.answered, b.answered, both=True):
        yield _told(place("response", deviation.pointer), deviation)


def _told(at: str, deviation: Deviation) -> Difference:
    return Difference(at=at, a=format_value(deviation.expected), b=format_value(deviation.actual))


def _statuses(move: RequestKind) -> str:
    return " and ".join("no answer" if status is None else str(status) for status in move.statuses)
