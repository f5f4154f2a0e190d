"""Things that come close behind one another are done together, in order, and none is left undone."""

from __future__ import annotations

import asyncio

from oauthtap.batch import AT_ONCE, PAUSE, Batch


async def added(things: int, wait: float = 0.0) -> tuple[list[list[int]], Batch[int]]:
    done: list[list[int]] = []
    batch = Batch(done.append)
    for thing in range(things):
        batch.add(thing)
        if wait:
            await asyncio.sleep(wait)
    return done, batch


def test_the_first_are_done_as_soon_as_the_loop_comes_round_and_the_next_ones_together() -> None:
    async def run() -> None:
        done, batch = await added(2)
        assert done == []
        await asyncio.sleep(PAUSE / 4)
        assert done == [[0, 1]]
        for thing in (2, 3):
            batch.add(thing)
        assert done == [[0, 1]]
        await asyncio.sleep(3 * PAUSE)
        assert done == [[0, 1], [2, 3]]

    asyncio.run(run())


def test_what_comes_after_a_pause_waits_for_nobody() -> None:
    done, _ = asyncio.run(added(3, wait=2 * PAUSE))
    assert done == [[0], [1], [2]]


def test_no_more_wait_than_are_done_at_once() -> None:
    done, batch = asyncio.run(added(AT_ONCE + 10))
    assert [len(one) for one in done] == [AT_ONCE]
    batch.flush()
    assert [thing for one in done for thing in one] == list(range(AT_ONCE + 10))


def test_without_a_loop_nothing_waits() -> None:
    done: list[list[int]] = []
    batch = Batch(done.append)
    for thing in range(3):
        batch.add(thing)
    assert done == [[0], [1], [2]]
    batch.flush()
    assert done == [[0], [1], [2]]
