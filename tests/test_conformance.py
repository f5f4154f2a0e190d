"""The official suite says the same of clients and of a server with the tap in between as without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import SERVER, WAYS, Way, before, of_a_client, open_server, suite
from tests.conformance.limits import LIMITS
from tests.conformance.table import page, unequal

LISTS = Path(__file__).parent.parent / "docs" / "conformance"
SEVERAL_ORIGINS = "auth/metadata-var3"
"""It starts more than one origin, and the tap has to follow."""
QUICK = [("typescript-sdk-2", SEVERAL_ORIGINS), ("python-sdk-2", "auth/iss-supported")]
QUICK_SERVER = ("server-sse-polling", "tools-call-sampling")


def kept(way: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((LISTS / f"{way}.json").read_text())
    return said


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with open_server() as opened:
        yield opened


def test_the_two_lists_are_the_same_but_for_what_is_known_to_be_out_of_reach() -> None:
    lists = {"direct": kept("direct"), "tap": kept("tap")}
    assert unequal(lists) <= LIMITS.keys()
    for part in ("clients", "servers"):
        assert lists["direct"][part].keys() == lists["tap"][part].keys() != set()
        for name, scenarios in lists["direct"][part].items():
            assert scenarios.keys() == lists["tap"][part][name].keys()
            assert any(check.startswith("SUCCESS") for checks in scenarios.values() for check in checks)


def test_the_page_says_what_the_lists_beside_it_say() -> None:
    lists = {way: kept(way) for way in WAYS if (LISTS / f"{way}.json").exists()}
    assert (LISTS / "README.md").read_text() == page(lists)


@pytest.mark.clients
@pytest.mark.parametrize(("client", "scenario"), QUICK)
def test_a_client_passes_the_same_checks_through_the_tap(client: str, scenario: str) -> None:
    assert of_a_client(client, scenario, "tap") == of_a_client(client, scenario, "direct")


@pytest.mark.clients
@pytest.mark.parametrize("scenario", QUICK_SERVER)
def test_a_server_passes_the_same_checks_through_the_tap(url: str, scenario: str) -> None:
    straight = suite.server(scenario, url)
    with before(url, "tap") as reached:
        assert suite.server(scenario, reached) == straight
    assert any(check.startswith("SUCCESS") for check in straight)


@pytest.mark.matrix
@pytest.mark.parametrize("way", ["direct", "tap"])
def test_everything_is_still_as_the_lists_say(way: Way) -> None:
    said = kept(way)
    for client, scenarios in said["clients"].items():
        assert {name: of_a_client(client, name, way) for name in scenarios} == scenarios
    with open_server() as url, before(url, way) as reached:
        scenarios = said["servers"][SERVER]
        assert {name: suite.server(name, reached) for name in scenarios} == scenarios
