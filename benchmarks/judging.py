"""How fast a session is judged, and in how much memory: `uv run python -m benchmarks.judging [EXCHANGES]`.

A recorded sign-in, then MCP requests without end, no two with the same number or
arguments: healthy ones, ones that are refused, and ones with a token that ended long ago.
Each is measured in a process of its own, at a quarter and at the whole, so that anything
that grows faster than the session shows. Times are processor time, the report included.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator

from benchmarks.score import RECORDINGS
from oauthtap import sources
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.report.build import build
from oauthtap.wire import Exchange, Response

SIGN_IN = RECORDINGS / "live" / "cc330__rs1.har"
KINDS = ("healthy", "refused", "expired")
_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in what the system counts memory in."""


def session(length: int, kind: str = "healthy") -> Iterator[Exchange]:
    """The recorded sign-in of Claude Code, and MCP requests of that kind until there are `length` exchanges."""
    recorded = list(sources.read(SIGN_IN).exchanges)
    yield from recorded[:length]
    last = next(e for e in reversed(recorded) if e.ok and e.request.method == "POST")
    assert last.response is not None
    says = (("WWW-Authenticate", 'Bearer error="invalid_token"'), ("Content-Type", "application/json"))
    refused = Response(status=401, headers=says, body='{"error": "invalid_token"}')
    late = 10**7 if kind == "expired" else 0
    for number in range(len(recorded) + 1, length + 1):
        asked = {"name": "weather", "arguments": {"city": f"place {number * 7919}"}}
        call = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": asked})
        said = {"content": [{"type": "text", "text": f"It is {number % 30} degrees at {number * 7919}."}]}
        answer = last.response.model_copy(
            update={"body": json.dumps({"jsonrpc": "2.0", "id": number, "result": said}), "truncated": False}
        )
        yield last.model_copy(
            update={
                "id": number,
                "at": (last.at or 0) + number / 10 + late,  # but for `late` within the life of its token
                "request": last.request.model_copy(update={"body": call}),
                "response": refused if kind == "refused" else answer,
            }
        )


def judged(length: int, kind: str) -> tuple[float, int]:
    """Processor time to judge such a session, and the bytes by which it makes the process larger at its largest."""
    tap = SessionAnalyzer()
    for exchange in session(20):  # what is loaded and compiled once is none of what an exchange costs
        tap.add(exchange)
    tap = SessionAnalyzer()
    before, began = _largest(), time.process_time()
    for exchange in session(length, kind):
        tap.add(exchange)
    build(tap)
    return time.process_time() - began, _largest() - before


def _largest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def main() -> int:
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    lengths = (length // 4, length)
    print("|session|exchanges|seconds|a second|peak memory, MB|a further exchange, bytes|")
    print("|---|---|---|---|---|---|")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for kind in KINDS:
            (_, small), _whole = rows = [pool.apply(judged, (number, kind)) for number in lengths]
            for number, (took, peak) in zip(lengths, rows, strict=True):
                more = f"{(peak - small) / (number - lengths[0]):,.0f}" if number > lengths[0] else ""
                print(f"|{kind}|{number:,}|{took:.2f}|{number / took:,.0f}|{peak / 1e6:.1f}|{more}|", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
