"""Words that call something missing make a refusal the client's only where the request really lacks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.variations import judged
from oauthtap.formats import loader

LOTS = Path(__file__).parents[2] / "recordings" / "lots"


@pytest.mark.parametrize(
    ("recording", "client"),
    [
        ("2026-11-29-e/inputs/e20.har", True),  # client credentials without client_id
        ("2026-11-29-c/inputs/c35.har", True),  # Accept without text/event-stream
        ("2026-11-29-e/inputs/e19.har", False),  # client_id is there, in Basic
        ("2026-11-29-e/inputs/v04.har", False),  # the words name no parameter
    ],
)
def test_whose_an_omission_is(recording: str, client: bool) -> None:
    whole = loader.read(str(LOTS / recording))
    cause = judged(whole, list(whole.exchanges)).cause
    assert cause is not None
    assert (cause.responsible == "client") is client


def test_a_404_at_a_guess_is_not_what_was_said() -> None:
    whole = loader.read(str(LOTS / "2026-11-29-e/inputs/v03.har"))
    refusal = judged(whole, list(whole.exchanges)).refusal
    assert refusal is not None
    assert refusal.words == "missing Bearer token or X-MCP-Session header"


def test_a_tool_that_wants_a_scope_ends_no_connection() -> None:
    whole = loader.read(str(LOTS / "2026-11-29-e/inputs/e13.har"))
    report = judged(whole, list(whole.exchanges))
    assert report.ending == "connected"
    assert report.refusal is not None
    assert report.refusal.subject == "scope"
