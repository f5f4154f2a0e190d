"""Clients' messages: what each says of the step at which the client says it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from oauthtap.clients.messages import Message, messages
from oauthtap.diagnosis.phrases import fold
from oauthtap.vendors import matched, pattern

AT_A_STEP = [(client.slug, said) for client in messages() for said in client.message if said.step]

BASE: dict[str, Any] = {
    "match": "Registration failed",
    "example": "Registration failed: 403",
    "source": "a/b#1",
    "meaning": [{"subject": "registration", "who": "client", "why": "It was refused.", "look": "the answer"}],
}


@pytest.mark.parametrize(("slug", "said"), AT_A_STEP, ids=[f"{slug}-{said.match[:50]}" for slug, said in AT_A_STEP])
def test_the_best_match_of_an_example_is_of_its_step(slug: str, said: Message) -> None:
    """A longer wording that fits the example too is of the same step, or it would be read as another exchange."""
    text = fold(said.example)
    hits = [(other, matched(pattern(other.match), text)) for _, other in AT_A_STEP]
    lengths = [(hit[1] + other.weight, other) for other, hit in hits if hit]
    assert any(other is said for _, other in lengths)
    longest = max(length for length, _ in lengths)
    assert {other.step for length, other in lengths if length == longest} == {said.step}


@pytest.mark.parametrize(
    "text",
    [
        "Dynamic client registration is not supported",
        "No authorization code received from Google OAuth.",
        "code: Field required",
        "State mismatch",
        "TypeError: fetch failed",
        "HTTP 401 Unauthorized",
    ],
)
def test_what_servers_and_other_programs_say_too_has_no_step(text: str) -> None:
    assert not [said.match for _, said in AT_A_STEP if matched(pattern(said.match), fold(text))]


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 401},
        {"sent": False},
        {"step": "registration"},
        {"step": "client-registration", "status": 42},
        {"step": "client-registration", "status": 403, "sent": False},
    ],
)
def test_a_status_and_what_was_not_sent_need_a_step(wrong: dict[str, Any]) -> None:
    assert Message(**BASE).sent
    with pytest.raises(ValidationError):
        Message(**BASE, **wrong)


def test_a_message_may_say_that_nothing_was_sent() -> None:
    said = Message(**BASE, step="client-registration", sent=False)
    assert (said.step, said.sent, said.status) == ("client-registration", False, None)


def test_steps_of_well_known_messages() -> None:
    """Of the source code of each: what has a status has it whatever the server answered."""
    known = {
        "Auth required, when send initialize request": ("mcp-request", 401, True),
        "Incompatible auth server: does not support dynamic client registration": ("client-registration", None, False),
        "Protected resource http://a/ does not match expected https://a/mcp (or origin)": ("prm-discovery", None, True),
        "State parameter mismatch": ("authorization-response", None, True),
        "Token refresh failed: 400 - boom": ("token-refresh", None, True),
    }
    found = {said.example: (said.step, said.status, said.sent) for _, said in AT_A_STEP if said.example in known}
    assert found == known
