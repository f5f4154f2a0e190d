"""Every case of the labelled lots of hosted clients, and what a walk does not get right."""

from __future__ import annotations

import pytest

from tests.hosted import LOTS, Case, cases, fare, right

MISSED = {
    "k10": "the stop at a guessed endpoint is told of what led there, the resource's metadata",
    "k15": "the table lets the guessed /register work, which the thread's server would not",
    "k16": "a typed client id goes past the 403; by the documentation Claude.ai takes 401 alone",
    "k17": "it stops after the registration, for a reason that no trait tells",
    "k29": "it had a consent page although `resource` is http; by a trait it drops that document",
    "k30": "a version of it left `client_name` out, and every log has it",
    "s02": "other servers with a typed client id and the same answers are signed in to at the endpoints they name",
    "s03": "the same",
    "s14": "one thread tells of a stop at an OpenID document that is none, and no second one",
    "t09": "the secret for a client without one is its author's guess, and no second thread tells of it",
    "t13": "one thread of 2025-06 tells of a stop at another method than was asked for",
    "t16": "the table lets the guessed endpoints work, which the thread's server has not",
    "t19": "by a log of 2026-10 Cursor takes metadata URLs; in the thread, of 2026-09, it did not",
    "tc3": "it connected in 2025-11; since 2026-06 it drops a document with another `resource`",
}
"""What a walk does not get right, with the reason."""


def every() -> list[Case]:
    return [case for lot in sorted(LOTS.glob("*.toml")) for case in cases(lot)]


@pytest.mark.parametrize("case", every(), ids=lambda case: case.id)
def test_the_walk_ends_where_the_thread_says(case: Case) -> None:
    assert right(case, fare(case)) is (case.id not in MISSED), fare(case)
