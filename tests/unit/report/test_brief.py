"""A report cut short keeps the cause and what speaks for it, within a bound."""

from __future__ import annotations

from pathlib import Path

from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.report.brief import brief, limited
from oauthtap.report.build import build
from oauthtap.report.model import Report

RECORDING = Path(__file__).parents[2] / "recordings" / "live" / "cc197__seed2.har"


def report() -> Report:
    recording = loader.read(RECORDING)
    tap = SessionAnalyzer(recording.upstream, profiles=profiles())
    for exchange in recording.exchanges:
        tap.add(exchange)
    return build(tap)


def test_brief_keeps_the_cause_and_its_exchanges() -> None:
    whole = report()
    short = brief(whole)
    assert whole.cause
    assert short.cause == whole.cause
    assert whole.cause.exchange in {one.id for one in short.exchanges}
    assert len(short.exchanges) < 5 < len(whole.exchanges)
    assert {one.rule for one in short.findings} <= {cause.rule for cause in whole.causes}
    assert not short.not_checked
    assert not short.clients
    assert len(short.model_dump_json()) < len(whole.model_dump_json()) / 4


def test_limit_keeps_the_exchange_of_the_cause_and_the_newest_and_says_what_is_left_out() -> None:
    whole = report()
    short = limited(whole, 6)
    assert whole.cause
    assert len(short.exchanges) == 6
    assert whole.cause.exchange in {one.id for one in short.exchanges}
    assert short.exchanges[-1] == whole.exchanges[-1]
    assert len(short.findings) <= 6
    assert len(short.not_checked) == 6
    assert short.notes[-1] == f"{len(whole.exchanges) - 6} exchanges are left out (--limit 6)."
    assert limited(whole, 1000).exchanges == whole.exchanges
