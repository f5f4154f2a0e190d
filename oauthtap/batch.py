"""Things that come close behind one another, done together. Knows the event loop, and not what is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PAUSE, AT_ONCE = 0.02, 64
"""Seconds that things wait for others, and how many are enough."""


class Batch[T]:
    """Does a thing as soon as the event loop comes round; those within `PAUSE` of it together, as one call costs less
    than many, and many things are done faster one after the other than each in between others.

    `do` must not raise: the event loop calls it. Where none runs, nothing waits. `at_once`: how many are worth it, and
    do not wait any longer.
    """

    def __init__(self, do: Callable[[list[T]], None], at_once: int = AT_ONCE) -> None:
        self._do, self._at_once = do, at_once
        self._waiting: list[T] = []
        self._done = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, thing: T) -> None:
        """Do it soon, and in no case before this returns, unless no event loop runs."""
        self._waiting.append(thing)
        if len(self._waiting) == self._at_once:
            self._do_in(0.0)
        elif self._timer is None:
            self._do_in(self._done + PAUSE - time.monotonic())

    def _do_in(self, seconds: float) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self.flush)

    def flush(self) -> None:
        """Do what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            things, self._waiting = self._waiting, []
            self._do(things)
            self._done = time.monotonic()
