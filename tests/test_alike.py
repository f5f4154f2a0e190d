"""A long session lets go of exchanges, and no report shows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.score import RECORDINGS
from oauthtap import alike, sources
from oauthtap.report import Report
from oauthtap.tap import Tap
from oauthtap.wire import Exchange

SIGN_INS = ("cc330__rs1", "cc330__py1", "fm__fmrem", "inspcli__cfold-sse")


def prolonged(name: str, times: int) -> Iterator[Exchange]:
    """A recorded sign-in, its last MCP request again and again, with the whole sign-in once more in the middle."""
    recorded = sources.read(RECORDINGS / "live" / f"{name}.har").exchanges
    last = next(e for e in reversed(recorded) if e.ok and e.request.method == "POST")
    told = [*recorded, *[last] * times, *recorded, *[last] * times]
    began = max(e.at or 0.0 for e in recorded)
    for number, exchange in enumerate(told, 1):
        at = exchange.at if number <= len(recorded) else began + number
        yield exchange.model_copy(update={"id": number, "at": at})


def judged(name: str, times: int) -> tuple[Tap, Report]:
    tap = Tap()
    for exchange in prolonged(name, times):
        tap.feed(exchange)
    return tap, tap.report()


@pytest.mark.parametrize("name", SIGN_INS)
def test_the_report_is_the_same_as_if_everything_had_been_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tap, report = judged(name, 60)
    monkeypatch.setattr(alike, "_NEWEST", 10**9)
    keeping, whole = judged(name, 60)
    assert len(keeping.steps) == len(whole.exchanges)
    assert len(tap.steps) < len(whole.exchanges)
    assert report == whole


def test_what_is_kept_does_not_grow_with_the_session() -> None:
    short, _ = judged("cc330__rs1", 100)
    long, report = judged("cc330__rs1", 400)
    assert len(long.steps) == len(short.steps) == len(long.handshake.exchanges())
    assert [row.id for row in report.exchanges] == list(range(1, len(report.exchanges) + 1))


def test_a_look_in_between_leaves_the_exchanges_out_and_nothing_else() -> None:
    tap, report = judged("cc330__rs1", 5)
    assert tap.report(story=False) == report.model_copy(update={"exchanges": ()})
