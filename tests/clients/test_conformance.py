"""The official suite says the same of clients and of a server with the tap in between as without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance import CLIENT_NAMES, ROOT, SERVER, Way, before, of_a_client, open_server
from tests.conformance.limits import LIMITS
from tests.conformance.lists import LISTS, kept
from tests.conformance.suite import RELEASES, Suite
from tests.conformance.table import differences, page, unequal

SEVERAL_ORIGINS = "auth/metadata-var3"
"""It starts more than one origin, and the tap has to follow."""
REGISTERED_BEFOREHAND = "auth/pre-registration"
"""Its client compares `iss`, and nothing but the port tells our callback from its own."""
STABLE, NEWEST = map(Suite, RELEASES)
QUICK = [
    ("typescript-sdk-2", SEVERAL_ORIGINS, NEWEST),
    ("python-sdk-2", REGISTERED_BEFOREHAND, NEWEST),
    pytest.param("python-sdk-2", "auth/iss-supported", NEWEST, marks=pytest.mark.matrix),
    pytest.param("typescript-sdk-1", SEVERAL_ORIGINS, STABLE, marks=pytest.mark.matrix),
]
QUICK_SERVER = ("server-sse-polling", "tools-call-sampling")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with open_server() as opened:
        yield opened


@pytest.mark.parametrize("release", RELEASES)
def test_the_two_lists_are_the_same_but_for_what_is_known_to_be_out_of_reach(release: str) -> None:
    lists = kept()[release]
    assert unequal(lists) <= LIMITS.keys()
    assert lists["direct"]["clients"].keys() == set(CLIENT_NAMES)
    for part in ("clients", "servers"):
        assert lists["direct"][part].keys() == lists["tap"][part].keys() != set()
        for name, scenarios in lists["direct"][part].items():
            assert scenarios.keys() == lists["tap"][part][name].keys()
            assert any(check.startswith("SUCCESS") for checks in scenarios.values() for check in checks)


def test_the_page_says_what_the_lists_beside_it_say() -> None:
    assert (LISTS / "README.md").read_text() == page(kept())


def test_the_readme_gives_the_figures_of_the_lists() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    for part, who in (("clients", "clients"), ("servers", "a server")):
        asked = sum(len(scenarios) for lists in kept().values() for scenarios in lists["tap"][part].values())
        other = sum(way == "tap" and of == part for lists in kept().values() for way, of, *_ in differences(lists))
        assert f"of {who} in {asked - other} of {asked}" in readme


@pytest.mark.clients
@pytest.mark.parametrize(("client", "scenario", "suite"), QUICK)
def test_a_client_passes_the_same_checks_through_the_tap(client: str, scenario: str, suite: Suite) -> None:
    assert of_a_client(client, scenario, "tap", suite) == of_a_client(client, scenario, "direct", suite)


@pytest.mark.clients
@pytest.mark.parametrize("scenario", QUICK_SERVER)
def test_a_server_passes_the_same_checks_through_the_tap(url: str, scenario: str) -> None:
    straight = NEWEST.server(scenario, url)
    with before(url, "tap") as reached:
        assert NEWEST.server(scenario, reached) == straight
    assert any(check.startswith("SUCCESS") for check in straight)


@pytest.mark.matrix
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("way", ["direct", "tap"])
def test_everything_is_still_as_the_lists_say(way: Way, release: str) -> None:
    said, suite = kept()[release][way], Suite(release)
    for client, scenarios in said["clients"].items():
        assert {name: of_a_client(client, name, way, suite) for name in scenarios} == scenarios
    with open_server() as url, before(url, way) as reached:
        scenarios = said["servers"][SERVER]
        assert {name: suite.server(name, reached) for name in scenarios} == scenarios
