"""Fidelity: a client fares through the tap as it does without it. The whole matrix is `python -m tests.matrix`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.matrix import settled
from tests.matrix.ledger import Ledger, loaded
from tests.matrix.limits import LIMITS
from tests.matrix.runs import Run, failed
from tests.matrix.sites import Seen, Site, servers
from tests.matrix.table import difference, number, page
from tests.support.clients import drivers

DOCS = Path(__file__).parents[2] / "docs"
QUICK_CLIENTS = ("claude-code", "python-sdk-2", "typescript-sdk-2")
QUICK_SERVERS = ("good", "seed1", "seed2", "cloudflare-1-mcp", "python-sdk-2")
STOPS = {("seed2", client) for client in QUICK_CLIENTS} | {("cloudflare-1-mcp", "python-sdk-2")}
"""Quick pairs that do not connect directly either. All others do, or the comparison would be worth little."""

RUN = Run("a-client", "a-server", "direct", "connected", ("add",), None, ("GET s/x 404",), ("http://s/mcp",), 0, 1.0)


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest) -> Iterator[tuple[str, Site]]:
    """A server that is up, for all clients that are run at it."""
    with servers()[request.param].opened() as opened:
        yield request.param, opened


# --- real clients


@pytest.mark.clients
@pytest.mark.parametrize("site", QUICK_SERVERS, indirect=True)
@pytest.mark.parametrize("client", QUICK_CLIENTS)
def test_a_client_fares_through_the_tap_as_without_it(client: str, site: tuple[str, Site]) -> None:
    straight = fared(client, site, "tap")
    assert (straight.outcome == "connected") == ((site[0], client) not in STOPS), straight


@pytest.mark.matrix
@pytest.mark.parametrize("site", servers(), indirect=True)
@pytest.mark.parametrize("client", drivers())
@pytest.mark.parametrize("way", ["tap", "run"])
def test_every_client_fares_alike_every_way(client: str, site: tuple[str, Site], way: str) -> None:
    fared(client, site, way)


def fared(client: str, site: tuple[str, Site], way: str) -> Run:
    """The direct run of a pair whose other run was found equal."""
    straight, run = settled(Ledger(), client, site[0], site[1], ["direct", way], print)  # type: ignore[list-item]
    assert run.recorded > 0
    assert run.compared == straight.compared or (client, site[0], way) in LIMITS, difference((straight, run))
    return straight


# --- what it makes of them


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": "gave up"},
        {"tools": ()},
        {"stopped": "POST s/token 400"},
        {"failed": ()},
        {"audience": ("http://localhost:8080/mcp",)},
    ],
)
def test_one_difference_is_enough_and_is_told(changed: dict[str, object]) -> None:
    ledger = Ledger()
    ledger.add(RUN)
    ledger.add(replace(RUN, way="tap"))
    assert number(ledger) == "1 of 1 pairs equal through the tap"
    unlike = replace(RUN, way="tap", **changed)  # type: ignore[arg-type]
    ledger.add(unlike)
    assert number(ledger) == "0 of 1 pairs equal through the tap"
    assert next(iter(changed)) in difference((RUN, unlike))


def test_how_long_it_took_and_how_much_was_recorded_is_no_difference() -> None:
    assert replace(RUN, way="run", seconds=9.0, recorded=12).compared == RUN.compared


def test_a_stream_that_is_not_offered_is_no_failure() -> None:
    assert not failed(Seen("GET", "s", "/mcp", 405, ()))
    assert failed(Seen("POST", "s", "/mcp", 405, ()))
    assert failed(Seen("GET", "s", "/mcp", 401, ()))


def test_a_ledger_is_read_as_it_was_written(tmp_path: Path) -> None:
    ledger = Ledger(again={"a-client a-server tap": 1}, made_with={"oauthtap": "0"})
    ledger.add(RUN)
    ledger.save(tmp_path / "ledger.json")
    assert loaded(tmp_path / "ledger.json") == ledger


@pytest.mark.parametrize("name", ["fidelity", "fidelity-more"])
def test_the_page_says_what_the_ledger_beside_it_says(name: str) -> None:
    assert (DOCS / f"{name}.md").read_text() == page(loaded(DOCS / f"{name}.json"), f"docs/{name}.json")


def test_readme_says_so_too() -> None:
    ledger, readme = loaded(DOCS / "fidelity.json"), (DOCS.parent / "README.md").read_text()
    assert f"({ledger.date}): {number(ledger)}" in " ".join(readme.split())
