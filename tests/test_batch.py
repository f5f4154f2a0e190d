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


def test_when_there_are_enough_they_wait_no_longer() -> None:
    async def run() -> None:
        done, batch = await added(1)
        await asyncio.sleep(PAUSE / 4)
        for thing in range(1, AT_ONCE + 1):
            batch.add(thing)
            assert done == [[0]]
        batch.add(AT_ONCE + 1)
        assert done == [[0]]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == [[0], list(range(1, AT_ONCE + 2))]

    asyncio.run(run())


def test_without_a_loop_nothing_waits() -> None:
    done: list[list[int]] = []
    batch = Batch(done.append)
    for thing in range(3):
        batch.add(thing)
    assert done == [[0], [1], [2]]
    batch.flush()
    assert done == [[0], [1], [2]]
