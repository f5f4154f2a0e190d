"""What is known of a client is accepted; what is new is not, and what is gone is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.compare.baseline import Baseline, ClientBaseline, held_against, updated
from oauthtap.report.model import Report

SEED2 = Path(__file__).parents[2] / "recordings" / "live"


@pytest.fixture(scope="module")
def report() -> Report:
    """A recording that stopped for a cause, with findings beside it."""
    for file in sorted(SEED2.glob("*.har")):
        _, found = analyze_recording(str(file))
        if found.cause is not None and found.client is not None and len(found.findings) > 2:
            return found
    raise AssertionError("no such recording")


def test_what_was_written_down_is_all_unchanged(report: Report) -> None:
    known = updated(Baseline(), report, "x")
    (check,) = held_against(report, Baseline.model_validate_json(known.model_dump_json()), "x").baseline
    assert (check.new, check.fixed) == ((), ())
    assert {one.kind for one in check.unchanged} > {"cause"}
    assert (check.worked, check.works) == (False, False)


def test_for_a_client_that_is_not_in_it_all_is_new_but_what_ranks_behind_the_cause(report: Report) -> None:
    (check,) = held_against(report, Baseline(), "x").baseline
    assert check.worked is None
    assert report.cause is not None
    assert [one.rule for one in check.new if one.kind == "cause"] == [report.cause.rule]
    assert not check.unchanged


def test_another_cause_is_new_though_its_finding_was_known(report: Report) -> None:
    known = updated(Baseline(), report, "x")
    (name,) = known.clients
    without = tuple(one for one in known.clients[name].problems if one.kind != "cause")
    (check,) = held_against(
        report, Baseline(clients={name: ClientBaseline(works=True, problems=without)}), "x"
    ).baseline
    assert report.cause is not None
    assert [(one.kind, one.rule) for one in check.new] == [("cause", report.cause.rule)]


def test_what_is_gone_is_fixed_and_other_clients_stay(report: Report) -> None:
    other = ClientBaseline(works=True)
    known = updated(Baseline(clients={"other": other}), report, "x")
    assert known.clients["other"] == other
    well = report.model_copy(update={"findings": (), "causes": (), "cause": None, "ending": "connected"})
    (check,) = held_against(well, known, "x").baseline
    assert check.fixed
    assert (check.worked, check.works, check.new) == (False, True, ())
    (name,) = {*known.clients} - {"other"}
    assert updated(known, well, "x").clients[name] == ClientBaseline(works=True)


def test_a_client_without_a_name_is_called_as_the_caller_says(report: Report) -> None:
    (check,) = held_against(report.model_copy(update={"client": None}), Baseline(), "My Client.toml").baseline
    assert check.client == "my-client.toml"
