"""Real clients at the same time through one tap: each signs in as alone, and is judged by itself."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.bed import Bed
from tests.support.clients import Outcome, run
from tests.support.running import call, started, to_the_bed

pytestmark = pytest.mark.clients

HEALTHY = ("claude-code", "typescript-sdk-1", "python-sdk-1", "python-sdk-2")
DIVIDED = ("claude-code", "typescript-sdk-1", "python-sdk-2")
"""On f03, whose metadata states another issuer, the first two go on and the last refuses."""


@dataclass(frozen=True)
class Sat:
    outcomes: dict[str, Outcome]
    report: dict[str, Any]
    said: str
    session: Path
    home: Path


@pytest.fixture(scope="module")
def sat(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sat]:
    """Both runs: all clients of each are started together."""
    return {
        target: _sit(bed, target, clients, tmp_path_factory.mktemp(target))
        for target, clients in (("good", HEALTHY), ("f03", DIVIDED))
    }


def _sit(bed: Bed, target: str, clients: tuple[str, ...], home: Path) -> Sat:
    with started(bed.url(target), *to_the_bed(bed), home=home) as tap, ThreadPoolExecutor(len(clients)) as pool:
        under_way = {name: pool.submit(run, name, tap.url, env=bed.browser_env(), timeout=90) for name in clients}
        outcomes = {name: one.result() for name, one in under_way.items()}
        tap.end()
        return Sat(outcomes, tap.report, tap.said, tap.session, home)


def agents(one: Sat) -> list[set[str]]:
    """For each sign-in, the programs that sent what was given to it."""
    lines = [json.loads(line) for line in (one.session / "session.jsonl").read_text().splitlines()]
    told = {line["id"]: dict(line["request"]["headers"]) for line in lines if "request" in line}
    by_lower = {number: {name.lower(): value for name, value in headers.items()} for number, headers in told.items()}
    named = {number: headers.get("user-agent", "").partition("/")[0] for number, headers in by_lower.items()}
    return [{named[n] for n in sign_in["exchanges"]} - {"", "Mozilla"} for sign_in in one.report["sign_ins"]]


def test_all_of_them_connect_and_none_has_anothers_exchange(sat: dict[str, Sat]) -> None:
    one = sat["good"]
    assert all(outcome.connected for outcome in one.outcomes.values()), [o.said for o in one.outcomes.values()]
    programs = sorted(agents(one), key=sorted)
    assert programs == [{"Bun", "claude-code"}, {"node"}, {"python-httpx"}, {"python-httpx2"}]
    assert all(sign_in["connected"] for sign_in in one.report["sign_ins"])
    assert one.report["connected"]
    assert one.report["cause"] is None


def test_nothing_is_found_that_is_only_a_mixture(sat: dict[str, Sat]) -> None:
    found = [(f["rule"], f["message"]) for f in sat["good"].report["findings"] if f["severity"] != "note"]
    assert found == []


def test_the_one_that_refuses_is_told_from_the_two_that_connect(sat: dict[str, Sat]) -> None:
    one = sat["f03"]
    assert [outcome.connected for outcome in one.outcomes.values()] == [True, True, False]
    by_program = {frozenset(programs): s for programs, s in zip(agents(one), one.report["sign_ins"], strict=True)}
    refusing = by_program.pop(frozenset({"python-httpx2"}))
    assert refusing["cause"]["rule"] == "as-issuer-mismatch"
    assert one.report["cause"] == refusing["cause"]
    assert len(by_program) == 2
    assert all(sign_in["connected"] and sign_in["cause"] is None for sign_in in by_program.values())
    assert "3 clients at the same time, of which 2 connected." in one.said
    assert one.said.count("  Cause    ") == 1


@pytest.mark.parametrize("target", ["good", "f03"])
def test_every_file_parts_them_the_same_way(sat: dict[str, Sat], target: str) -> None:
    one = sat[target]
    for name in ("", "session.jsonl", "flows.mitm", "session.har"):
        ran = call("check", one.session / name, "--format", "json", home=one.home)
        assert json.loads(ran.stdout) == one.report, name or "the folder"
