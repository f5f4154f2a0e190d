"""Several MCP servers in one recording: which exchanges are about which.

A client with many servers signs in to them at once, and whoever records it has them all in
one file. Only what surely belongs to another server is taken out of a server's story; what
nobody can tell (a shared authorization server's metadata) stays in all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from oauthtap.handshake.stages import text, texts
from oauthtap.handshake.state import absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording
from oauthtap.model.sse import sse_events

_OPENS = ("initialize", "server/discover")
_CARRIED = ("client_id", "state", "code", "refresh_token", "code_verifier", "request_uri")
_GRANTED = ("client_id", "access_token", "refresh_token", "request_uri")


@dataclass(eq=False)
class _UnionNode:
    """Exchanges tied together by a value that they share, and the servers they speak of."""

    servers: set[str] = field(default_factory=set)
    into: _UnionNode | None = None

    def end(self) -> _UnionNode:
        last = self
        while last.into is not None:
            last = last.into
        return last


def split_by_server(recording: Recording) -> tuple[Recording, ...]:
    """The recording once for each MCP server in it, in the order they came; itself where there is only one."""
    servers = list(_servers(recording.exchanges))
    if len(servers) < 2:
        return (recording,)
    owners = _owners(recording.exchanges, servers)
    told = []
    for server in servers:
        own = tuple(e for e, of in zip(recording.exchanges, owners, strict=True) if not of or server in of)
        first = next((e.request.url for e in own if _opens(e) and urls.origin(e.request.url) == server), None)
        told.append(replace(recording, exchanges=own, header={"upstream": first, **recording.header}))
    named = urls.origin(recording.upstream) if recording.upstream else None
    return (told[servers.index(named)],) if named in servers else tuple(told)


def _opens(exchange: Exchange) -> bool:
    return exchange.actor == "client" and exchange.request.json_object.get("method") in _OPENS


def _servers(exchanges: Sequence[Exchange]) -> Iterator[str]:
    """The origins of MCP endpoints; one that another sends on to is the same server."""
    seen: set[str] = set()
    for exchange in exchanges:
        here = urls.origin(exchange.request.url)
        if _opens(exchange) and here is not None and here not in seen:
            seen.add(here)
            yield here
        if here in seen:
            seen.update(filter(None, map(urls.origin, _sent_on(exchange))))


def _sent_on(exchange: Exchange) -> Iterator[str]:
    response = exchange.response
    if response is None:
        return
    if 300 <= response.status < 400 and (location := response.header("location")):
        yield absolute(location, exchange.request.url)
    if response.media_type == "text/event-stream":
        named = (data for event, data in sse_events(response.body or "") if event == "endpoint")
        yield from (absolute(one.strip(), exchange.request.url) for one in named)


def _owners(exchanges: Sequence[Exchange], servers: Sequence[str]) -> list[set[str]]:
    """For each exchange the servers it belongs to; none where that cannot be told."""
    places = _places(exchanges, servers)
    knots: dict[tuple[str, str], _UnionNode] = {}
    tied = []
    for exchange in exchanges:
        knot = _UnionNode(_spoken_of(exchange, servers))
        for mark in _marks(exchange):
            other = knots.setdefault(mark, knot).end()
            if other is not knot.end():
                knot.end().servers |= other.servers
                other.into = knot.end()
        tied.append(knot)
    return [
        knot.end().servers or places.get(urls.origin(exchange.request.url) or "", set())
        for knot, exchange in zip(tied, exchanges, strict=True)
    ]


def _places(exchanges: Sequence[Exchange], servers: Sequence[str]) -> dict[str, set[str]]:
    """Every origin that a server's own documents send to, and of which servers."""
    places = {server: {server} for server in servers}
    for exchange in exchanges:
        of = places.get(urls.origin(exchange.request.url) or "", set())
        told = exchange.response.json_object if exchange.response else {}
        ends = [value for name, value in told.items() if name.endswith("_endpoint") and isinstance(value, str)]
        for url in (*texts(told.get("authorization_servers")), *ends, *_sent_on(exchange)):
            if of and (there := urls.origin(url)) and there not in servers:
                places.setdefault(there, set()).update(of)
    return places


def _spoken_of(exchange: Exchange, servers: Sequence[str]) -> set[str]:
    """The servers that the request names: it goes there, or wants a token for there."""
    here = urls.origin(exchange.request.url)
    wanted = [value for name, value in (*exchange.request.query, *exchange.request.form) if name == "resource"]
    return {server for server in (here, *map(urls.origin, wanted)) if server in servers and server is not None}


def _marks(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """What the exchange carries that others of the same sign-in carry as well."""
    request, response = exchange.request, exchange.response
    for name, value in (*request.query, *request.form):
        if name in _CARRIED and value and not value.startswith("https://"):
            yield name, value
    scheme, _, token = (request.header("authorization") or "").partition(" ")
    if scheme.lower() in ("bearer", "dpop") and token:
        yield "access_token", token
    for name in _GRANTED:
        if response and (granted := text(response.json_object.get(name))) and not granted.startswith("https://"):
            yield name, granted
