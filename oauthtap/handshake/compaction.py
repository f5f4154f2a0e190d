"""Which exchanges of a long session are alike: MCP requests, hour after hour.

A client that is signed in sends requests of the same kind for hours, and one that is
refused may try as long. What rules ask of the past is whether there was such a request,
which came first, and which came last; so the first and the newest of a kind stay, and
those next to anything out of the ordinary. What was found in the others is kept elsewhere.
So it is with a client that goes through discovery and sign-in without end: of each part, the
same but for what is new in every sign-in, the first and the newest few stay.
Decided by nothing but the exchanges: a session and its recording drop the same ones.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b
from math import isnan, nan
from typing import NamedTuple

from oauthtap.handshake.stages import Initiator, Mcp, McpRequest, Stage, Unseen
from oauthtap.model.exchange import HEADER_CACHE, Pairs
from oauthtap.redaction.alias_format import ALIAS

_EDGE, _NEWEST, _AT_ONCE = 5, 10, 10
"""How many stay beside each interruption, how many of the newest, and how many go together."""
_ROUNDS, _NEWEST_ROUNDS = 3, 4
"""Of a client that signs in over and over: how many of the first of a kind stay, and how many of the newest."""
_UNTOLD = frozenset(
    ("age", "alt-svc", "cf-ray", "content-length", "date", "etag", "expires", "last-modified", "report-to",
     "server-timing", "set-cookie", "traceparent", "tracestate", "x-amzn-trace-id", "x-cloud-trace-context",
     "x-correlation-id", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id", "x-response-time", "x-runtime")
)  # fmt: skip
"""Headers whose values differ between requests of one kind, and that no rule compares with an earlier one."""


class CompactedExchange(NamedTuple):
    """What is left of an exchange: enough for its line in the report."""

    exchange: int
    started_at: float | None
    duration: float | None
    like: tuple[Stage, ...]
    """The stages of one of the same kind, which stays."""
    url: str
    initiator: Initiator | None
    is_mcp: bool
    """It was an MCP request; else a part of a sign-in."""


class CompactedLog:
    """All dropped exchanges, oldest first. An MCP request takes 32 bytes: a session may go on for days."""

    def __init__(self) -> None:
        self._exchanges, self._times, self._kinds = array("q"), array("d"), array("q")
        self._likes: dict[int, tuple[Stage, ...]] = {}
        """The exchange that stays of each kind, by its number, to its stages."""
        self._own: dict[int, tuple[int, str, Initiator | None]] = {}
        """Part of a sign-in to its kind, URL and cause; those of an MCP request are those of the one that stays."""

    def __len__(self) -> int:
        return len(self._exchanges)

    def __iter__(self) -> Iterator[CompactedExchange]:
        for place, (exchange, kind) in enumerate(zip(self._exchanges, self._kinds, strict=True)):
            at, took = self._times[2 * place], self._times[2 * place + 1]
            like = self._likes[kind]
            _, url, because = self._own.get(exchange, (kind, like[0].request.url, like[0].initiator))
            when, lasted = None if isnan(at) else at, None if isnan(took) else took
            yield CompactedExchange(exchange, when, lasted, like, url, because, exchange not in self._own)

    def append(self, one: CompactedExchange) -> None:
        """Keep what is left of one more."""
        kind = one.like[0].exchange.id
        self._likes.setdefault(kind, one.like)
        self._exchanges.append(one.exchange)
        self._times.extend(nan if time is None else time for time in (one.started_at, one.duration))
        self._kinds.append(kind)
        if not one.is_mcp:
            self._own[one.exchange] = kind, one.url, one.initiator

    def of(self, exchange: int) -> tuple[Stage, ...]:
        """The stages of a dropped part of a sign-in: those of one like it, with its own cause."""
        if exchange not in self._own:
            return ()
        kind, _, initiator = self._own[exchange]
        return tuple(replace(stage, initiator=initiator) for stage in self._likes[kind])


@dataclass
class _Kind:
    like: tuple[Stage, ...]
    is_mcp: bool
    """It is an MCP request; else a part of a sign-in that is made over and over."""
    staying: int
    """How many more stay because something out of the ordinary came before."""
    since: int = 0
    seen: int = 0
    waiting: deque[Stage] = field(default_factory=deque)


class HistoryCompactor:
    """The MCP requests so far, by kind."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Kind] = {}
        self._touched: list[_Kind] = []
        """Kinds of which there was one since the last interruption."""
        self._undisturbed = False
        self._newest = 0

    def add(self, stages: tuple[Stage, ...], *, said: Hashable = ()) -> list[CompactedExchange]:
        """Look at one more exchange; gives those that may go now. `said`: what rules had to say of it, if anything."""
        mark, is_mcp = _kind_of(stages), True
        if mark is None:
            mark, is_mcp = _part_of(stages), False
        if stages[0].exchange.id <= self._newest:
            mark = None
        self._newest = max(self._newest, stages[0].exchange.id)
        if mark is None:
            self._interrupted()
            return []
        edge, newest = (_EDGE, _NEWEST) if is_mcp else (_ROUNDS, _NEWEST_ROUNDS)
        kind = self._kinds.setdefault((mark, said), _Kind(stages, is_mcp, edge))
        kind.seen += 1
        if kind.seen <= edge and (said or not stages[0].ok or not is_mcp):  # not yet what this session is like
            self._interrupted()
        self._undisturbed = True
        if not kind.since:
            self._touched.append(kind)
        kind.since += 1
        if kind.staying:
            kind.staying -= 1
            return []
        kind.waiting.append(stages[0])
        at_once = min(_AT_ONCE, newest)
        if len(kind.waiting) < newest + at_once:
            return []
        going = (kind.waiting.popleft() for _ in range(at_once))
        return [
            CompactedExchange(
                one.exchange.id,
                one.exchange.started_at,
                one.exchange.duration,
                kind.like,
                one.request.url,
                one.initiator,
                is_mcp,
            )
            for one in going
        ]

    def _interrupted(self) -> None:
        if not self._undisturbed:
            return
        self._undisturbed = False
        for kind in self._touched:
            edge = _EDGE if kind.is_mcp else _ROUNDS
            for _ in range(min(edge, kind.since, len(kind.waiting))):
                kind.waiting.pop()
            kind.staying, kind.since = edge, 0
        self._touched.clear()


def _kind_of(stages: tuple[Stage, ...]) -> Hashable | None:
    """What rules can tell of an MCP request long after it; None for any other exchange, and for what is half seen."""
    stage, exchange = stages[0], stages[0].exchange
    request, response = exchange.request, exchange.response
    if not isinstance(stage, Mcp) or type(stages[-1]) is not McpRequest or exchange.actor != "client":
        return None
    marked = exchange.applied_fixes or exchange.active_fixes is not None or exchange.injected_fault
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
    lines = (stable_headers(request.headers), stable_headers(response.headers))
    # Of a failure rules read the words.
    words = _words(response.body or "", stage.message.get("id")) if failed else ""
    kinds = tuple(map(type, stages))
    return (
        kinds,
        request.url,
        response.status,
        stage.certainty,
        stage.initiator,
        *message,
        *asked,
        *said,
        *lines,
        words,
    )


_FRESH = "|".join(
    ("access_token", "refresh_token", "id_token", "registration_access_token", "registration_client_uri",
     "client_id", "client_id_issued_at", "client_secret", "client_secret_expires_at", "code", "code_challenge",
     "code_verifier", "state", "nonce", "request_uri", "session_id", "sessionId", "session_state", "iat", "exp", "jti")
)  # fmt: skip
"""Members and parameters that are new in every sign-in."""
_ALIAS_IN_URL = re.compile("%E2%80%B9.*?%E2%80%BA")
_FRESH_PARAMETER = re.compile(rf"\b({_FRESH})=[^&#\s\"'<>]*")
_FRESH_MEMBER = re.compile(rf'"({_FRESH})"\s*:\s*("(?:[^"\\]|\\.)*"|[\d.]+)')
_FRESH_LINES = frozenset(("authorization", "cookie", "dpop", "mcp-session-id", "last-event-id"))


def _part_of(stages: tuple[Stage, ...]) -> Hashable | None:
    """What another exchange has to be like, to be the same part of another sign-in; None for what always stays.

    All but what is new in every sign-in has to be the same.
    """
    exchange = stages[0].exchange
    request, response = exchange.request, exchange.response
    if exchange.actor not in ("client", "browser") or (response is None and exchange.error is None):
        return None
    if exchange.applied_fixes or exchange.active_fixes is not None or exchange.injected_fault:
        return None
    why = stages[0].initiator
    cause = why and (why.exchange is None, why.at, why.guess, why.fallback)
    kinds = tuple((type(stage), stage.certainty) for stage in stages)
    sent = (exchange.actor, request.method, _lasting(request.url), _lasting_lines(request.headers), request.truncated)
    asked = _digest(request.body)
    if response is None:
        return kinds, cause, sent, asked, exchange.error
    came = (exchange.error, response.status, _lasting_lines(response.headers), response.truncated)
    return kinds, cause, sent, asked, came, _digest(response.body)


def _digest(body: str | None) -> bytes | None:
    return None if body is None else blake2b(_lasting(body).encode("utf-8", "replace"), digest_size=16).digest()


def _lasting(text: str) -> str:
    """A text without what is new in every sign-in."""
    if "‹" in text:
        text = ALIAS.sub("‹›", text)
    if "%E2%80%B9" in text:
        text = _ALIAS_IN_URL.sub("‹›", text)
    if "=" in text:
        text = _FRESH_PARAMETER.sub(r"\1=", text)
    return _FRESH_MEMBER.sub(r'"\1"', text) if '"' in text else text


def _lasting_lines(headers: Pairs) -> Pairs:
    return tuple((n, "" if n in _FRESH_LINES else _lasting(value)) for n, value in stable_headers(headers))


def _words(body: str, number: object) -> str:
    """The text of an answer without the number of its request."""
    return body.replace(f'"id":{json.dumps(number)}', "", 1).replace(f'"id": {json.dumps(number)}', "", 1)


@lru_cache(maxsize=HEADER_CACHE)
def stable_headers(headers: Pairs) -> Pairs:
    """Header lines without what differs between requests of one kind."""
    return tuple((name, "" if name in _UNTOLD else value) for name, value in ((n.lower(), v) for n, v in headers))
