"""Which exchanges surely belong together, by what they carry: a code, a token, a connection.

Fed with struck exchanges only, so that a session and its recording hang together the same way.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from oauthtap.handshake.stages import Mcp, Stage, text, texts
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Pairs, Request
from oauthtap.redaction.alias_format import parse_alias

CorrelationKey = tuple[str, str]
"""What kind of thing was carried, and which one."""

_PASSING = {"connection", "exchange"}
"""Marks of which there are more and more; the oldest are forgotten."""
_KEPT = 2000
_SESSION = re.compile(r"[?&]session_?id=([\w.~-]+)", re.I)


@dataclass(eq=False)
class ExchangeGroup:
    """Exchanges that one client made, and perhaps not all of them."""

    begun: float
    """When the first of them began; times and, where a recording has none, numbers."""
    seen: float
    """When the newest of them began."""
    agents: set[str] = field(default_factory=set)
    """Every `User-Agent` the client used in them."""
    mcp_agents: set[str] = field(default_factory=set)
    """Those it used at the MCP endpoint."""
    redirects: set[str] = field(default_factory=set)
    """Redirect URIs that only one running program can listen on."""
    did: dict[str, float] = field(default_factory=dict)
    """Stage to when it was first come to."""
    marks: set[CorrelationKey] = field(default_factory=set)
    client: int = 0
    """Which client it was given to, by number from 0, once there are several (`attribution.py`)."""

    @property
    def known(self) -> tuple[int, int, int, int]:
        """How much is known of the client."""
        return len(self.agents), len(self.mcp_agents), len(self.redirects), len(self.did)

    def takes(self, other: ExchangeGroup) -> None:
        """It turns out that both are one."""
        self.begun, self.seen = min(self.begun, other.begun), max(self.seen, other.seen)
        self.agents |= other.agents
        self.mcp_agents |= other.mcp_agents
        self.redirects |= other.redirects
        self.marks |= other.marks
        for stage, when in other.did.items():
            self.did[stage] = min(when, self.did.get(stage, when))


class ExchangeGroups:
    """Every thread of a session, oldest first. `apart`: these two can never be one."""

    def __init__(self, apart: Callable[[ExchangeGroup, ExchangeGroup], bool]) -> None:
        self.all: list[ExchangeGroup] = []
        self._latest: OrderedDict[ExchangeGroup, None] = OrderedDict()
        """The same, in the order in which they were last heard of."""
        self.joined = 0
        """How often two of them turned out to be one."""
        self._apart = apart
        self._of: dict[CorrelationKey, ExchangeGroup] = {}
        self._passing: OrderedDict[CorrelationKey, None] = OrderedDict()
        self._common: set[CorrelationKey] = set()
        """Marks that do not tell clients apart: a server that gives everybody the same token."""
        self._issued: set[str] = set()
        self._now = 0.0
        self._in_order = True
        """No exchange came with an earlier time than the one before."""

    def of(self, exchange: Exchange) -> ExchangeGroup:
        """The thread of an exchange that was seen before, or would be the next."""
        return self.known(exchange) or (self.all[0] if self.all else ExchangeGroup(0.0, 0.0))

    def known(self, exchange: Exchange) -> ExchangeGroup | None:
        """The thread that an exchange belongs to by what it carries; None where nothing ties it to one."""
        return next((self._of[mark] for mark in self._marks(exchange) if mark in self._of), None)

    def time_of(self, exchange: Exchange) -> float:
        """When the exchange began; where a recording has no times, after those before it."""
        return exchange.started_at if exchange.started_at is not None else self._now + 1.0

    def add(self, exchange: Exchange) -> ExchangeGroup:
        """Take one more exchange of a client or its browser; gives its thread."""
        now = self.time_of(exchange)
        self._in_order, self._now = self._in_order and now >= self._now, now
        found: ExchangeGroup | None = None
        marks = list(self._marks(exchange))
        # A command that always listens on the same port (`claude mcp list`) registers it anew each time it is run:
        # one program, and not there in between.
        again = "redirect" if _registers(exchange) else ""
        for mark in marks:
            known = self._of.get(mark)
            if known is None or known is found or mark[0] == again:
                continue
            if found is None:
                found = known
            elif self._apart(found, known):
                self._drop(mark)
            else:
                found = self._united(found, known)
        if found is None:
            found = ExchangeGroup(self._now, self._now)
            self.all.append(found)
        found.seen = max(found.seen, self._now)
        self._latest[found] = None
        self._latest.move_to_end(found)
        for mark in marks:
            if mark not in found.marks and mark not in self._common:
                self._keep(mark, found)
        return found

    def note(self, thread: ExchangeGroup, exchange: Exchange, stages: tuple[Stage, ...]) -> bool:
        """What the exchange turned out to be. True when the thread is known better by it."""
        agent = exchange.request.header("user-agent") or ""
        at_mcp = isinstance(stages[0], Mcp)
        before = thread.known
        if exchange.actor == "client" and agent:
            thread.agents.add(agent)
            if at_mcp:
                thread.mcp_agents.add(agent)
        for stage in stages:
            thread.did.setdefault(stage.slug, self._now)
        if not at_mcp:
            thread.redirects.update(uri for kind, uri in _marks(exchange, self._issued) if kind == "redirect")
        return before != thread.known

    def meanwhile(self, thread: ExchangeGroup, since: float) -> Iterator[ExchangeGroup]:
        """Every other thread that was still heard of at that time."""
        for other in reversed(self._latest):
            if other.seen < since and self._in_order:
                return  # and so were all that were heard of before that one
            if other is not thread:
                yield other

    def _united(self, one: ExchangeGroup, other: ExchangeGroup) -> ExchangeGroup:
        older, younger = (one, other) if one.begun <= other.begun else (other, one)
        older.takes(younger)
        for mark in younger.marks:
            if mark in self._of:
                self._of[mark] = older
        self.all.remove(younger)
        self._latest.pop(younger, None)
        self.joined += 1
        return older

    def _keep(self, mark: CorrelationKey, thread: ExchangeGroup) -> None:
        self._of[mark] = thread
        thread.marks.add(mark)
        if mark[0] in _PASSING:
            self._passing[mark] = None
            if len(self._passing) > _KEPT:
                self._drop(self._passing.popitem(last=False)[0], common=False)

    def _drop(self, mark: CorrelationKey, *, common: bool = True) -> None:
        if common:
            self._common.add(mark)
        if thread := self._of.pop(mark, None):
            thread.marks.discard(mark)

    def _marks(self, exchange: Exchange) -> Iterator[CorrelationKey]:
        marks = [mark for mark in _marks(exchange, self._issued) if mark not in self._common]
        yield from marks or [("exchange", str(exchange.id))]


def _marks(exchange: Exchange, issued: set[str]) -> Iterator[CorrelationKey]:
    """What an exchange carries that only one client can have, the surest first."""
    request = exchange.request
    if '"jsonrpc"' not in (request.body or ""):
        yield from _of_sign_in(exchange, issued)
    scheme, _, token = (request.header("authorization") or "").partition(" ")
    if scheme.lower() in ("bearer", "dpop") and token:
        yield "token", token.strip()
    for message in (request, exchange.response):
        if message is not None and (session := message.header("mcp-session-id")):
            yield "session", session
    yield from _legacy_session(exchange)
    if exchange.connection:
        yield "connection", exchange.connection


def _of_sign_in(exchange: Exchange, issued: set[str]) -> Iterator[CorrelationKey]:
    request, response = exchange.request, exchange.response
    given: Pairs = (*request.query, *request.form)
    if response is not None and 300 <= response.status < 400 and (there := response.header("location")):
        given += Request(method="GET", url=there).query
    posted = request.json_object if request.method == "POST" else {}
    given += tuple((name, value) for name, value in posted.items() if isinstance(value, str))
    for name, value in given:
        yield from _parameter(name, value, issued)
    for uri in texts(posted.get("redirect_uris")):
        yield from _listened_on(uri)
    if response is None or request.method != "POST" or not exchange.ok:
        return
    for member in ("access_token", "refresh_token"):
        if secret := text(response.json_object.get(member)):
            yield "token", secret
    if handle := text(response.json_object.get("request_uri")):
        yield "pushed", handle
    if "redirect_uris" in posted and (client_id := text(response.json_object.get("client_id"))):
        issued.add(client_id)
        yield "client", client_id


def _registers(exchange: Exchange) -> bool:
    return exchange.request.method == "POST" and "redirect_uris" in exchange.request.json_object


def _parameter(name: str, value: str, issued: set[str]) -> Iterator[CorrelationKey]:
    if not value:
        return
    match name:
        case "code" | "state":
            yield name, value
        case "code_challenge":
            yield "pkce", value
        case "code_verifier":
            yield "pkce", parse_alias(value).get("s256") or value
        case "refresh_token" | "token":
            yield "token", value
        case "request_uri":
            yield "pushed", value
        case "redirect_uri":
            yield from _listened_on(value)
        case "client_id" if value in issued:
            yield "client", value


def _listened_on(uri: str) -> Iterator[CorrelationKey]:
    """On a loopback port one program listens; the address of a hosted client is everybody's."""
    parts = urls.split(uri)
    if parts is not None and parts.port and urls.is_loopback(uri):
        yield "redirect", f"{parts.hostname}:{parts.port}"


def _legacy_session(exchange: Exchange) -> Iterator[CorrelationKey]:
    """The session of the 2024-11-05 transport: in the URL that its first event names."""
    response = exchange.response
    places = [exchange.request.parts.query and "?" + exchange.request.parts.query]
    if exchange.request.method == "GET" and response is not None and response.media_type == "text/event-stream":
        places.append((response.body or "")[:2000])
    for place in filter(None, places):
        if match := _SESSION.search(place):
            yield "session", match[1]
