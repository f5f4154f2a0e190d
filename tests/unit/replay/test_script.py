"""What a replayed authorization endpoint answers: the way back to the client, or the page where the browser stayed."""

from __future__ import annotations

from pathlib import Path

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.replay.script import Answer, build_script

LOTS = Path(__file__).parents[2] / "recordings" / "lots"


def authorization(name: str) -> Answer:
    """Of the recording `lot/name`: what its first authorization request is answered."""
    lot, name = name.split("/")
    recording = loader.read(LOTS / lot / "inputs" / f"{name}.har")
    tap = SessionAnalyzer(recording.upstream)
    for exchange in recording.exchanges:
        tap.add(exchange)
    answers: list[Answer] = build_script(tap.handshake)["answers"]
    return next(one for one in answers if "callback" in one or "authorize" in one["path"])


def test_a_page_that_was_signed_in_at_leads_straight_back() -> None:
    assert "callback" in authorization("2026-11-29-n/n05")


@pytest.mark.parametrize(
    ("name", "status"),
    [("2026-11-30-o/o13", 303), ("2026-11-30-p/p24", 200), ("2026-11-29-c/c34", 302)],
)
def test_a_page_whose_policy_held_the_browser_back_is_shown_again(name: str, status: int) -> None:
    assert (authorization(name).get("status"), "callback" in authorization(name)) == (status, False)


def test_a_redirect_to_the_servers_own_page_of_errors_does_not_go_to_the_client() -> None:
    shown = authorization("2026-11-30-o/o06")
    assert "callback" not in shown
    assert any("RemoteAccessErrorPage" in value for name, value in shown["headers"] if name == "Location")
