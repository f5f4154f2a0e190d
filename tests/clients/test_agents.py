"""An agent that reads no prose, only `next`, through a real MCP client: how far it gets with `oauthtap mcp`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.agents import EXPECTED, MOST, TARGETS, follow, follow_by_inspector, secrets_in
from tests.support.bed import Bed

FAST = "f02"
"""The one that is run each time."""
TOKENS = 2_000

pytestmark = pytest.mark.clients


@pytest.mark.parametrize(
    "target", [FAST, *(pytest.param(one, marks=pytest.mark.more_clients) for one in TARGETS if one != FAST)]
)
def test_next_leads_to_a_connection_or_to_the_value_that_a_person_has_to_name(
    bed: Bed, tmp_path: Path, target: str
) -> None:
    got = asyncio.run(follow(bed.url(target), tmp_path, ca=str(bed.ca_file), connect_to=bed.connect_to))
    assert got.goal == EXPECTED[target], got.answer
    assert got.answer["next"] is None
    assert len(got.calls) <= MOST
    assert 0 < got.tokens <= TOKENS
    assert secrets_in(got.texts, bed) == []


@pytest.mark.more_clients
def test_the_same_by_the_command_line_of_mcp_inspector(bed: Bed, tmp_path: Path) -> None:
    reach = {"ca": str(bed.ca_file), "connect_to": bed.connect_to}
    got = asyncio.run(follow_by_inspector(bed.url(FAST), tmp_path, **reach))
    assert (got.goal, len(got.calls) <= MOST, 0 < got.tokens <= TOKENS) == (EXPECTED[FAST], True, True), got.answer
    assert secrets_in(got.texts, bed) == []
