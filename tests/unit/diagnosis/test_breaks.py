"""A healthy sign-in that is broken at one place is blamed there: one base of `benchmarks.breaks`, which does all."""

from __future__ import annotations

from benchmarks.breaks import trials

TAKEN = {("as-discovery", "text/html"), ("token-request", "text/html"), ("token-request", "expires_in a word")}
"""What many clients read all the same, so that nobody can tell why this one stopped."""


def test_the_broken_exchange_is_the_cause() -> None:
    every = [one for one in trials("lots/2026-11-29-d/inputs/d16") if (one.stage, one.broken.name) not in TAKEN]
    assert len(every) > 100
    wrong = [f"{one.stage} {one.broken.way}: {one.broken.name}: {', '.join(one.failed)}" for one in every if one.failed]
    assert not wrong
