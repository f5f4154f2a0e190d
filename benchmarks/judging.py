"""How fast a session is judged, and in how much memory: `uv run python -m benchmarks.judging [EXCHANGES]`.

A recorded sign-in, then MCP requests without end. Prints exchanges per second and
the memory each further exchange costs, measured at a quarter and at the whole, so that
anything that grows faster than the session shows.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Iterator

from benchmarks.score import RECORDINGS
from oauthtap import sources
from oauthtap.tap import Tap
from oauthtap.wire import Exchange

SIGN_IN = RECORDINGS / "live" / "cc330__rs1.har"


def session(length: int) -> Iterator[Exchange]:
    """The recorded sign-in of Claude Code, its last MCP request repeated until there are `length` exchanges."""
    recorded = list(sources.read(SIGN_IN).exchanges)
    yield from recorded[:length]
    last = next(e for e in reversed(recorded) if e.ok and e.request.method == "POST")
    for number in range(len(recorded) + 1, length + 1):
        yield last.model_copy(update={"id": number, "at": (last.at or 0) + number / 10})  # within the life of its token


def seconds(length: int) -> float:
    """Wall time to judge a session of that length and to make its report."""
    exchanges = list(session(length))
    tap = Tap()
    began = time.perf_counter()
    for exchange in exchanges:
        tap.feed(exchange)
    tap.report()
    return time.perf_counter() - began


def memory(length: int) -> int:
    """Bytes held after judging a session of that length, the recording itself not counted."""
    exchanges = list(session(length))
    tracemalloc.start()
    tap = Tap()
    for exchange in exchanges:
        tap.feed(exchange)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held


def main() -> int:
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    quarter, whole = seconds(length // 4), seconds(length)
    print(f"{length // 4:>7} exchanges  {quarter:6.2f} s  {length // 4 / quarter:8.0f} a second")
    print(f"{length:>7} exchanges  {whole:6.2f} s  {length / whole:8.0f} a second")
    small, large = memory(length // 4), memory(length)
    print(f"memory per exchange: {small / (length // 4):.0f} bytes at a quarter, {large / length:.0f} bytes at the end")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
