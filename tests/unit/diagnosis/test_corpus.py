"""What the diagnosis is worth on real failures, and that it leaves healthy servers in peace."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from benchmarks import score
from benchmarks.score import RECORDINGS, Score
from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.handshake.stages import ResourceMetadata, ServerMetadata
from oauthtap.report.build import build
from oauthtap.report.model import Report

LIVE = json.loads((RECORDINGS / "live" / "index.json").read_text(encoding="utf-8"))
CORPUS = sorted(RECORDINGS.rglob("*corpus/*.har"))
AS_RUN = {
    "claude-code": "cc330",
    "mcp-inspector": "inspcli",
    "mcp-remote": "mcpremote",
    "mcporter": "mcporter",
    "python-sdk-1": "py1",
    "python-sdk-2": "py2",
    "fastmcp": "fm",
    "typescript-sdk-1": "ts1",
    "typescript-sdk-2": "ts2",
}
"""Client profile to the name of its recordings."""


@cache
def scored() -> Score:
    return score.score(RECORDINGS)


def test_the_cause_is_named_where_it_can_be_seen() -> None:
    tally = scored().cause["yes"]
    assert tally.share >= 0.95, tally.misses


def test_the_cause_is_mostly_named_where_only_the_step_shows() -> None:
    tally = scored().cause["partly"]
    assert tally.share >= 0.80, tally.misses


def test_the_further_facts_are_reported() -> None:
    tally = scored().facts
    assert tally.share >= 0.95, tally.misses


def test_no_wrong_diagnosis_is_called_an_error() -> None:
    assert not scored().forbidden.misses


def test_healthy_servers_are_left_in_peace() -> None:
    assert not scored().quiet.misses


@cache
def held_out() -> Score:
    return score.score(score.HOLDOUT)


def test_recordings_it_was_not_built_on_are_judged_as_well() -> None:
    assert held_out().cause["yes"].share >= 0.95, held_out().cause["yes"].misses
    assert held_out().facts.share >= 0.95, held_out().facts.misses
    assert not held_out().forbidden.misses
    assert not held_out().quiet.misses


@cache
def live(name: str) -> Report:
    recording = loader.read(RECORDINGS / "live" / f"{name}.har")
    tap = SessionAnalyzer(recording.upstream, profiles=profiles())
    for exchange in recording.exchanges:
        tap.add(exchange)
    return build(tap, now=recording.until)


@pytest.mark.parametrize("name", LIVE)
def test_real_sign_ins_are_told_from_failures(name: str) -> None:
    report = live(name)
    assert report.connected is LIVE[name]["connected"]
    assert report.connected is False or report.cause is None
    assert not report.connected or not [f for f in report.findings if f.severity == "error"]


def test_no_rule_fails_on_any_recording() -> None:
    reports = [live(name) for name in LIVE] + [report for _, _, report in score.labelled(RECORDINGS)]
    assert not [f.message for report in reports for f in report.findings if f.rule == "internal-error"]


def test_no_forecast_contradicts_what_a_real_client_did() -> None:
    """What a profile says of a server, from another client's recording, against its own run there."""
    seen: Counter[str] = Counter()
    for name in LIVE:
        server = name.partition("__")[2]
        for outlook in live(name).clients:
            really = LIVE.get(f"{AS_RUN.get(outlook.slug)}__{server}")
            if really is None or outlook.outcome == "unknown":
                continue
            assert (outlook.outcome == "goes-through") is really["connected"], (name, outlook)
            seen[outlook.outcome] += 1
    assert seen["goes-through"] > 400
    assert seen["stops"] > 100


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_without_its_document_a_request_is_a_guess(path: Path) -> None:
    """Take a metadata document out of a recording: what only it named becomes a guess."""
    exchanges = loader.read(path).exchanges
    whole = SessionAnalyzer()
    for exchange in exchanges:
        whole.add(exchange)
    documents = {
        step.exchange.id
        for step in whole.steps
        if isinstance(step.stages[0], ResourceMetadata | ServerMetadata) and step.exchange.ok
    }
    for gone in documents:
        left = SessionAnalyzer(whole.handshake.resource)
        for exchange in exchanges:
            if exchange.id != gone:
                left.add(exchange)
        for step in left.steps:
            assert step.initiator is None or step.initiator.exchange != gone
        named = {s.exchange.id: s.initiator for s in whole.steps if s.initiator and s.initiator.exchange == gone}
        for step in left.steps:
            was, now = named.get(step.exchange.id), step.initiator
            if was is not None and not was.guess and was.at.startswith("response.json") and now is not None:
                again = now.exchange is not None and not now.guess
                assert now.guess or (again and now.exchange in documents)


def test_the_counts_in_the_repository_are_fresh() -> None:
    kept = (Path(score.__file__).parent / "counts.tsv").read_text(encoding="utf-8")
    assert kept == score.counts(), "run: uv run python -m benchmarks.score --counts > benchmarks/counts.tsv"
