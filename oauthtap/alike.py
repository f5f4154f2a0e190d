"""Which exchanges of a long session are alike: MCP requests, hour after hour. Judges nothing.

A client that is signed in sends requests of the same kind for hours, and one that is
refused may try as long. What rules ask of the past is whether there was such a request,
which came first, and which came last; so the first and the newest of a kind stay, and
those next to anything out of the ordinary. What was found in the others is kept elsewhere.
Decided by nothing but the exchanges: a session and its recording let go of the same ones.
"""

from __future__ import annotations

import json
from array import array
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import isnan, nan
from typing import NamedTuple

from oauthtap.stages import Mcp, McpRequest, Stage, Unseen
from oauthtap.wire import BLOCKS, Pairs

_EDGE, _NEWEST, _AT_ONCE = 5, 10, 10
"""How many stay beside each interruption, how many of the newest, and how many go together."""
_UNTOLD = frozenset(
    ("age", "alt-svc", "cf-ray", "content-length", "date", "etag", "expires", "last-modified", "report-to",
     "server-timing", "set-cookie", "traceparent", "tracestate", "x-amzn-trace-id", "x-cloud-trace-context",
     "x-correlation-id", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id", "x-response-time", "x-runtime")
)  # fmt: skip
"""Headers whose values differ between requests of one kind, and that no rule compares with an earlier one."""


class LetGo(NamedTuple):
    """What is left of an exchange: enough for its line in the report."""

    exchange: int
    at: float | None
    took: float | None
    like: tuple[Stage, ...]
    """The stages of one of the same kind, which stays."""


class Gone:
    """Everything that was let go of, oldest first, in 32 bytes each: a session may go on for days."""

    def __init__(self) -> None:
        self._exchanges, self._times, self._kinds = array("q"), array("d"), array("q")
        self._likes: dict[int, tuple[Stage, ...]] = {}
        """The exchange that stays of each kind, by its number, to its stages."""

    def __len__(self) -> int:
        return len(self._exchanges)

    def __iter__(self) -> Iterator[LetGo]:
        for place, (exchange, kind) in enumerate(zip(self._exchanges, self._kinds, strict=True)):
            at, took = self._times[2 * place], self._times[2 * place + 1]
            yield LetGo(exchange, None if isnan(at) else at, None if isnan(took) else took, self._likes[kind])

    def append(self, one: LetGo) -> None:
        """Keep what is left of one more."""
        kind = one.like[0].exchange.id
        self._likes.setdefault(kind, one.like)
        self._exchanges.append(one.exchange)
        self._times.extend(nan if time is None else time for time in (one.at, one.took))
        self._kinds.append(kind)


@dataclass
class _Kind:
    like: tuple[Stage, ...]
    staying: int = _EDGE
    """How many more stay because something out of the ordinary came before."""
    since: int = 0
    seen: int = 0
    waiting: deque[Stage] = field(default_factory=deque)


class Alike:
    """The MCP requests so far, by kind."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Kind] = {}
        self._undisturbed = False
        self._newest = 0

    def add(self, stages: tuple[Stage, ...], *, said: Hashable = ()) -> list[LetGo]:
        """Look at one more exchange; gives those that may go now. `said`: what rules had to say of it, if anything."""
        mark = _kind_of(stages) if stages[0].exchange.id > self._newest else None
        self._newest = max(self._newest, stages[0].exchange.id)
        if mark is None:
            self._interrupted()
            return []
        kind = self._kinds.setdefault((mark, said), _Kind(stages))
        kind.seen += 1
        if kind.seen <= _EDGE and (said or not stages[0].ok):  # not yet what this session is like
            self._interrupted()
        self._undisturbed = True
        kind.since += 1
        if kind.staying:
            kind.staying -= 1
            return []
        kind.waiting.append(stages[0])
        if len(kind.waiting) < _NEWEST + _AT_ONCE:
            return []
        going = (kind.waiting.popleft().exchange for _ in range(_AT_ONCE))
        return [LetGo(exchange.id, exchange.at, exchange.took, kind.like) for exchange in going]

    def _interrupted(self) -> None:
        if not self._undisturbed:
            return
        self._undisturbed = False
        for kind in self._kinds.values():
            for _ in range(min(_EDGE, kind.since, len(kind.waiting))):
                kind.waiting.pop()
            kind.staying, kind.since = _EDGE, 0


def _kind_of(stages: tuple[Stage, ...]) -> Hashable | None:
    """What rules can tell of an MCP request long after it; None for any other exchange, and for what is half seen."""
    stage, exchange = stages[0], stages[0].exchange
    request, response = exchange.request, exchange.response
    if not isinstance(stage, Mcp) or type(stages[-1]) is not McpRequest or exchange.actor != "client":
        return None
    marked = exchange.patched_by or exchange.fixes is not None or exchange.injected
    if response is None or exchange.error or marked or stage.certainty == "guess":
        return None
    if request.method != "POST" or request.truncated or response.truncated:
        return None
    try:
        reply = stage.reply
    except Unseen:
        return None
    result = reply.get("result")
    failed = not exchange.ok or "error" in reply or (isinstance(result, dict) and bool(result.get("isError")))
    message = (stage.method, stage.version, tuple(stage.meta), reply.get("id") == stage.message.get("id"))
    asked = (tuple(stage.message), tuple(stage.params))
    said = (tuple(reply), tuple(result) if isinstance(result, dict) else type(result))
    lines = (told(request.headers), told(response.headers))
    # Of a failure rules read the words.
    words = _words(response.body or "", stage.message.get("id")) if failed else ""
    kinds = tuple(map(type, stages))
    return (kinds, request.url, response.status, stage.certainty, stage.because, *message, *asked, *said, *lines, words)


def _words(body: str, number: object) -> str:
    """The text of an answer without the number of its request."""
    return body.replace(f'"id":{json.dumps(number)}', "", 1).replace(f'"id": {json.dumps(number)}', "", 1)


@lru_cache(maxsize=BLOCKS)
def told(headers: Pairs) -> Pairs:
    """Header lines without what differs between requests of one kind."""
    return tuple((name, "" if name in _UNTOLD else value) for name, value in ((n.lower(), v) for n, v in headers))
