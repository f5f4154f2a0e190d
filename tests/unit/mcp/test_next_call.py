"""What an agent has to call next, for each way a step can end."""

from __future__ import annotations

from typing import Any

import pytest

from oauthtap.mcp import next_call
from oauthtap.mcp.answers import solution_of
from oauthtap.session.state import SessionState

CAUSE = {"rule": "prm-as-entry-is-endpoint", "who": "resource-server", "confidence": "likely", "message": "m"}


def state(
    ending: str | None, *, over: bool = True, fixes: tuple[str, ...] = (), causes: Any = (CAUSE,)
) -> SessionState:
    report = None if ending is None else {"ending": ending, "causes": list(causes)}
    return SessionState(
        command="tap", pid=1, created=0.0, folder="/s", started=0.0, updated=0.0, url="http://localhost:1/mcp",
        over=over, fixes=fixes, report=report, ended=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("ending", "over", "fixes", "causes", "tool"),
    [
        (None, False, (), (), "wait"),
        ("refused", False, (), (CAUSE,), "wait"),
        ("refused", True, (), (CAUSE,), "try_fix"),
        ("refused", True, (CAUSE["rule"],), (CAUSE,), "stop"),
        ("refused", True, (), ({**CAUSE, "rule": "refused"},), "stop"),
        ("connected", True, (), (), "stop"),
        ("signed-in", True, (CAUSE["rule"],), (), "deploy_lines"),
    ],
)
def test_after_a_wait(
    ending: str | None, over: bool, fixes: tuple[str, ...], causes: Any, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionState, "is_running", lambda self: True)
    call = next_call.after_wait(state(ending, over=over, fixes=fixes, causes=causes))
    assert call is not None
    assert call.tool == tool


def test_after_a_tap_that_ended_nothing_is_to_be_done() -> None:
    assert next_call.after_wait(state("refused").model_copy(update={"ended": 1.0})) is None


@pytest.mark.parametrize(
    ("report", "recording", "tool"),
    [
        ({"ending": "connected", "causes": []}, "a.har", None),
        ({"ending": "waiting", "causes": []}, "a.har", None),
        ({"ending": "refused", "causes": [CAUSE]}, "a.har", "solve"),
        ({"ending": "refused", "causes": [CAUSE], "refusal": {"words": "no such scope"}}, None, "explain"),
    ],
)
def test_after_a_recording(report: dict[str, Any], recording: str | None, tool: str | None) -> None:
    call = next_call.after_recording(report, recording)
    assert (call and call.tool) == tool


def test_a_server_that_gives_no_answer_is_not_solved() -> None:
    assert next_call.after_probe({"ending": "unreachable"}, "https://a.example/mcp", {}) is None
    call = next_call.after_probe({"ending": "waiting"}, "https://a.example/mcp", {"ca": "ca.pem"})
    assert call is not None
    assert call.arguments == {"url": "https://a.example/mcp", "ca": "ca.pem"}


def test_what_ran_out_of_time_is_given_more_and_no_more_than_half_an_hour() -> None:
    call = next_call.after_solve({"outcome": "budget"}, {"url": "u", "seconds": 700.0})
    assert call is not None
    assert call.arguments == {"url": "u", "seconds": 1800.0}
    assert next_call.after_solve({"outcome": "budget"}, {"url": "u", "seconds": 1800.0}) is None
    assert next_call.after_solve({"outcome": "proved"}, {"url": "u"}) is None


def test_a_solution_tells_what_is_needed_and_what_did_not_help() -> None:
    tries = [
        {"number": 1, "fixes": [], "connected": False},
        {"number": 2, "fixes": ["a"], "connected": False},
        {"number": 3, "fixes": ["b"], "connected": True},
    ]
    needs = [{"name": "issuer", "question": "Which issuer?", "candidates": ["https://as.example"]}]
    found = solution_of({"outcome": "needs-value", "tries": tries, "needs": needs, "cause": CAUSE}, None)
    assert (found.works, found.unhelpful, found.needs[0].name) == (False, ["a"], "issuer")
    assert solution_of({"outcome": "proved", "change": [{"fix": "b", "needed_by": 1}], "tries": tries}, None).works
