"""How fast a session is judged, and in how much memory: `uv run python -m benchmarks.judging [EXCHANGES]`.

A recorded sign-in, then MCP requests without end, no two with the same number or
arguments: healthy ones, ones that are refused, and ones with a token that ended long ago. And a client
that loops: the whole sign-in over and over, each time with other codes and tokens.
Each is measured in a process of its own, at a quarter and at the whole, so that anything
that grows faster than the session shows. Times are processor time, the report included.
At the end `oauthtap check` reads such sessions from the disk: of a client that signs in over
and over, and of one that never comes further than the registration.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.score import RECORDINGS
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.model.exchange import Exchange, Response
from oauthtap.report.build import build
from oauthtap.session.writer import SessionWriter

SIGN_IN = RECORDINGS / "live" / "cc330__rs1.har"
DISCOVERY = RECORDINGS / "live" / "cc197__seed2.har"
"""A sign-in that ends at the registration."""
KINDS = ("healthy", "refused", "expired", "looping")
_FIRST = 100
"""Of a looping client, the exchanges against which the others are held."""
_ALIAS = re.compile(r"‹([a-z-]+) (\d+)")
_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in what the system counts memory in."""


def session(length: int, kind: str = "healthy") -> Iterator[Exchange]:
    """The recorded sign-in of Claude Code, and MCP requests of that kind until there are `length` exchanges."""
    recorded = list(loader.read(SIGN_IN).exchanges)
    if kind == "looping":
        yield from looping(recorded, length)
        return
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
                "started_at": (last.started_at or 0)
                + number / 10
                + late,  # but for `late` within the life of its token
                "request": last.request.model_copy(update={"body": call}),
                "response": refused if kind == "refused" else answer,
            }
        )


def looping(recorded: Sequence[Exchange], length: int) -> Iterator[Exchange]:
    """A recorded sign-in over and over until there are `length` exchanges, each time with secrets of its own."""
    texts = [exchange.model_dump_json() for exchange in recorded]
    began = max(exchange.started_at or 0.0 for exchange in recorded)
    for number in range(length):
        turn, place = divmod(number, len(texts))
        text = _of_turn(texts[place], turn)
        yield Exchange.model_validate_json(text).model_copy(
            update={"id": number + 1, "started_at": began + number / 10}
        )


def _of_turn(text: str, turn: int) -> str:
    return _ALIAS.sub(lambda alias: f"‹{alias[1]} {int(alias[2]) + 1000 * turn}", text)


def growth(length: int) -> tuple[float, float]:
    """Processor time of each of the first exchanges of a looping client, and of each of the last as many."""
    came = list(session(length, "looping"))
    tap = SessionAnalyzer()
    for exchange in came[:_FIRST]:  # what is loaded and compiled once
        tap.add(exchange)
    tap = SessionAnalyzer()
    times = []
    for exchange in came:
        began = time.process_time()
        tap.add(exchange)
        times.append(time.process_time() - began)
    return sum(times[:_FIRST]) / _FIRST, sum(times[-_FIRST:]) / _FIRST


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


def checked(recording: Path, length: int) -> float:
    """Processor time of `oauthtap check`, its start included, of a session in which that recording is repeated."""
    recorded = loader.read(recording)
    with tempfile.TemporaryDirectory(prefix="oauthtap-judging-") as folder:
        header = {"upstream": recorded.upstream, "client": recorded.client, "revision": recorded.revision}
        writer = SessionWriter(Path(folder) / "session", header)
        for exchange in looping(list(recorded.exchanges), length):
            writer.add(exchange.as_json())
        writer.close()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "oauthtap", "check", str(writer.folder)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


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
        first, last = pool.apply(growth, (max(2 * _FIRST, min(length, 3000)),))
    print(f"\nlooping: {first * 1e3:.2f} ms for each of the first {_FIRST} exchanges, {last * 1e3:.2f} ms for the last")
    for recording in (SIGN_IN, DISCOVERY):
        print(f"oauthtap check, {length:,} exchanges of {recording.name} over and over: ", end="", flush=True)
        print(f"{checked(recording, length):.2f} s (goal for 3,154: 3 s)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
