"""Things that come close behind one another, done together. Knows the event loop, and not what is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PAUSE, AT_ONCE = 0.02, 64
"""Seconds in which things wait for others, and how many wait at most."""


class Batch[T]:
    """Does the first thing at once; those within `PAUSE` of it together, as one call costs less than many.

    `do` must not raise: it may be called by the event loop. Where none runs, nothing waits.
    """

    def __init__(self, do: Callable[[list[T]], None]) -> None:
        self._do = do
        self._waiting: list[T] = []
        self._done = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, thing: T) -> None:
        """Do it now or soon."""
        self._waiting.append(thing)
        if len(self._waiting) >= AT_ONCE or time.monotonic() - self._done >= PAUSE:
            self.flush()
        elif self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(PAUSE, self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Do what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            things, self._waiting = self._waiting, []
            self._do(things)
            self._done = time.monotonic()
