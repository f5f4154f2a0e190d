"""A long session lets go of exchanges, and no report shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from benchmarks.judging import looping
from benchmarks.score import RECORDINGS
from oauthtap import rules
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader, notation
from oauthtap.handshake import compaction
from oauthtap.handshake.stages import Mcp
from oauthtap.model.exchange import Exchange, Response
from oauthtap.render import FORMATS
from oauthtap.report.build import build
from oauthtap.report.model import Report

SIGN_INS = ("cc330__rs1", "cc330__py1", "fm__fmrem", "inspcli__cfold-sse")
ODD = ("expired", "rejected", "challenged", "failing", "wrong")


def prolonged(name: str, times: int) -> Iterator[Exchange]:
    """A recorded sign-in, its last MCP request again and again, with the whole sign-in once more in the middle."""
    recorded = loader.read(RECORDINGS / "live" / f"{name}.har").exchanges
    last = next(e for e in reversed(recorded) if e.ok and e.request.method == "POST")
    told = [*recorded, *[last] * times, *recorded, *[last] * times]
    began = max(e.started_at or 0.0 for e in recorded)
    for number, exchange in enumerate(told, 1):
        at = exchange.started_at if number <= len(recorded) else began + number
        yield exchange.model_copy(update={"id": number, "started_at": at})


def oddity(kind: str, like: Exchange, number: int) -> Exchange:
    """A request that goes wrong in a way that may go on for thousands of requests."""
    called = {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": "w", "arguments": {"n": number}},
    }
    headers = like.request.headers
    if kind == "challenged":
        headers = tuple(line for line in headers if line[0].lower() != "authorization")
    request = like.request.model_copy(update={"body": json.dumps(called), "headers": headers})
    says = (("WWW-Authenticate", 'Bearer error="invalid_token"'), ("Content-Type", "application/json"))
    refused = Response(status=401, headers=says, body='{"error": "invalid_token"}')
    failed = Response(status=500, headers=(("Content-Type", "text/plain"), ("Date", f"{number}")), body="oops")
    wrong = {"jsonrpc": "2.0", "id": number, "error": {"code": -32000, "message": "no such tool"}}
    answers = {
        "rejected": refused,
        "challenged": refused,
        "failing": failed,
        "wrong": like.response and like.response.model_copy(update={"body": json.dumps(wrong)}),
    }
    late = 10**7 if kind == "expired" else 0
    response = answers.get(kind, like.response)
    return like.model_copy(
        update={"request": request, "response": response, "started_at": (like.started_at or 0) + late}
    )


def judged_odd(name: str, kind: str, times: int) -> tuple[SessionAnalyzer, Report]:
    """A recorded sign-in, then such requests, healthy ones, both in turn, the sign-in again, and such requests."""
    recorded = loader.read(RECORDINGS / "live" / f"{name}.har").exchanges
    last = next(e for e in reversed(recorded) if e.ok and e.request.method == "POST")
    odd = [oddity(kind, last, number) for number in range(1000, 1000 + times)]
    in_turn = [one for pair in zip(odd, [last] * times, strict=True) for one in pair]
    tap, at = SessionAnalyzer(), max(e.started_at or 0.0 for e in recorded)
    for number, exchange in enumerate([*recorded, *odd, *[last] * times, *in_turn, *recorded, *odd], 1):
        late = 10**7 if (exchange.started_at or 0) - at > 10**6 else 0
        when = exchange.started_at if number <= len(recorded) else at + late + number
        tap.add(exchange.model_copy(update={"id": number, "started_at": when}))
    return tap, build(tap)


def judged(name: str, times: int) -> tuple[SessionAnalyzer, Report]:
    tap = SessionAnalyzer()
    for exchange in prolonged(name, times):
        tap.add(exchange)
    return tap, build(tap)


@pytest.mark.parametrize("name", SIGN_INS)
def test_the_report_is_the_same_as_if_everything_had_been_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tap, report = judged(name, 60)
    monkeypatch.setattr(compaction, "_NEWEST", 10**9)
    keeping, whole = judged(name, 60)
    assert len(keeping.steps) == len(whole.exchanges)
    assert len(tap.steps) < len(whole.exchanges)
    assert report == whole


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", SIGN_INS)
def test_nor_does_it_show_what_is_out_of_the_ordinary_again_and_again(
    name: str, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap, report = judged_odd(name, odd, 40)
    monkeypatch.setattr(compaction, "_NEWEST", 10**9)
    keeping, whole = judged_odd(name, odd, 40)
    assert len(keeping.steps) == len(whole.exchanges)
    assert len(tap.steps) < len(whole.exchanges)
    assert report == whole


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_again_and_again_does_not_pile_up(odd: str) -> None:
    short, few = judged_odd("cc330__rs1", odd, 100)
    long, many = judged_odd("cc330__rs1", odd, 160)
    assert len(long.steps) <= len(short.steps) + 10
    assert len(many.exchanges) > len(few.exchanges)


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_can_tell_of_what_was_let_go(form: str) -> None:
    tap, report = judged_odd("cc330__rs1", "rejected", 40)
    assert FORMATS[form](report, tuple(step.exchange for step in tap.steps))


def test_what_is_kept_does_not_grow_with_the_session() -> None:
    short, _ = judged("cc330__rs1", 100)
    long, report = judged("cc330__rs1", 400)
    assert len(long.steps) == len(short.steps) == len(long.handshake.exchanges())
    assert [row.id for row in report.exchanges] == list(range(1, len(report.exchanges) + 1))


def test_a_look_in_between_leaves_the_exchanges_out_and_nothing_else() -> None:
    tap, report = judged("cc330__rs1", 5)
    assert build(tap, story=False) == report.model_copy(update={"exchanges": ()})


def test_a_token_that_ends_in_the_middle_of_a_long_session_is_noticed() -> None:
    recorded = list(notation.parse(rules.load()["rs-accepts-expired-token"].example("Bad")))
    ends = next(e for e in recorded if e.ok and e.request.header("authorization"))
    tap, began = SessionAnalyzer(), (ends.started_at or 0.0) - 10**6
    for number in range(60):
        # Sent with ten thousand seconds between, so that the token ends on the way.
        tap.add(ends.model_copy(update={"id": number + 1, "started_at": began + number * 40_000}))
    late = [finding for finding in build(tap).findings if finding.rule == "rs-accepts-expired-token"]
    assert late
    assert all((finding.exchange or 0) > 10 for finding in late)


# --- a client that signs in without end

LOOPS = (
    "live/py1__cf022.har",
    "live/ts2__cf022.har",
    "corpus/094-slow-initialize.har",
    "corpus/102-step-up-refreshes-instead.har",
)


def looped(name: str, turns: int) -> tuple[SessionAnalyzer, Report]:
    recording = loader.read(RECORDINGS / name)
    tap = SessionAnalyzer(recording.upstream)
    for exchange in looping(recording.exchanges, turns * len(recording.exchanges)):
        tap.add(exchange)
    return tap, build(tap)


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_folded_and_no_report_shows_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tap, report = looped(name, 20)
    monkeypatch.setattr(compaction, "_NEWEST", 10**9)
    monkeypatch.setattr(compaction, "_NEWEST_ROUNDS", 10**9)
    keeping, whole = looped(name, 20)
    assert len(keeping.steps) == len(whole.exchanges)
    assert len(tap.steps) < len(whole.exchanges)
    assert report == whole


@pytest.mark.parametrize("name", LOOPS)
def test_what_is_kept_of_a_loop_does_not_grow_with_it(name: str) -> None:
    short, _ = looped(name, 24)
    long, report = looped(name, 48)
    assert len(long.steps) < len(short.steps) + 20, "they go a few at a time"
    assert len(long.steps) == len(long.handshake.exchanges())
    assert [row.id for row in report.exchanges] == list(range(1, len(report.exchanges) + 1))


def test_what_is_let_go_is_let_go_everywhere() -> None:
    told = list(prolonged("cc330__rs1", 60))
    tap = SessionAnalyzer()
    for exchange in told:
        tap.add(exchange)
    kept = [stage for step in tap.steps for stage in step.stages]
    assert len(tap.steps) < len(told)
    assert tap.handshake.stages == kept
    assert list(tap.handshake.all(Mcp)) == [stage for stage in kept if isinstance(stage, Mcp)]
