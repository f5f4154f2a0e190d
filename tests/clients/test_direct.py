"""Real clients straight at the bed, without a tap: what every run through the tap is compared with."""

from __future__ import annotations

import pytest

from tests.support.bed import Bed, Received
from tests.support.clients import Outcome, drivers, run

pytestmark = pytest.mark.clients

FIRST = ("claude-code", "python-sdk-2", "python-sdk-1")
HEALTHY = ("good", "f16", "seed1")


def straight(bed: Bed, client: str, target: str, *, timeout: float = 60) -> tuple[Outcome, list[Received]]:
    """One run, and what arrived during it."""
    with bed.watching() as seen:
        outcome = run(client, bed.url(target), env=bed.direct_env(), timeout=timeout)
    return outcome, seen


def heard_tools(seen: list[Received]) -> bool:
    return any(entry.status in (200, 202) and '"tools/list"' in entry.body for entry in seen)


@pytest.mark.parametrize("target", HEALTHY)
@pytest.mark.parametrize("client", FIRST)
def test_a_healthy_server_is_signed_into_and_its_tools_are_listed(bed: Bed, client: str, target: str) -> None:
    outcome, seen = straight(bed, client, target)
    assert outcome.connected, outcome.said
    assert heard_tools(seen)
    assert outcome.tools == (() if client == "claude-code" else ("add",))
    assert outcome.visited[0].startswith(f"https://{target}.mcp.test/authorize?")


@pytest.mark.more_clients
@pytest.mark.parametrize("client", sorted(set(drivers()) - set(FIRST)))
def test_every_other_client_signs_into_good(bed: Bed, client: str) -> None:
    outcome, _ = straight(bed, client, "good")
    assert outcome.connected, outcome.said
    assert outcome.tools == ("add",)


@pytest.mark.more_clients
def test_claude_code_of_2025_says_on_its_screen_why_it_gives_up(bed: Bed) -> None:
    outcome, _ = straight(bed, "claude-code-2.0.76", "f05")
    assert not outcome.connected
    assert "redirect URIs must use https" in outcome.said
    assert "ended for being late" not in outcome.said


def test_claude_code_fails_on_seed2_at_a_registration_endpoint_it_guessed(bed: Bed) -> None:
    outcome, seen = straight(bed, "claude-code", "seed2")
    assert not outcome.connected
    assert "Dynamic Client Registration rejected (HTTP 404)" in outcome.said
    assert str(seen[-1]) == "POST https://api.workos.com/register 404"
    assert not outcome.visited


def test_the_python_sdk_fails_on_seed2_at_the_mcp_host(bed: Bed) -> None:
    outcome, seen = straight(bed, "python-sdk-2", "seed2")
    assert not outcome.connected
    assert str(seen[-1]) == "POST https://seed2.mcp.test/register 401"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("f02", "does not match expected"),
        ("f05", "redirect URIs must use https"),
        ("f06", "Needs authentication"),
        ("f07", "Unrecognized token '<'"),
        ("f08", "token_type"),
        ("f11", "does not support dynamic client registration"),
        ("f15", "JSON Parse error"),
    ],
)
def test_claude_code_says_of_a_fault_what_it_was_measured_to_say(bed: Bed, target: str, sentence: str) -> None:
    outcome, _ = straight(bed, "claude-code", target)
    assert not outcome.connected
    assert sentence in outcome.said


@pytest.mark.parametrize("target", ["f01", "f13", "f14"])
def test_claude_code_does_not_notice_these_faults(bed: Bed, target: str) -> None:
    outcome, _ = straight(bed, "claude-code", target)
    assert outcome.connected, outcome.said


def test_a_client_that_waits_for_ever_is_ended_in_time(bed: Bed) -> None:
    outcome, _ = straight(bed, "claude-code", "f10", timeout=12)
    assert not outcome.connected
    assert "ended for being late" in outcome.said
    assert outcome.seconds < 30
