"""Which client an exchange is from, where several sign in at once.

One after the other they are one story, as is one client in several processes. They are
told apart only where both were there at the same time and cannot be one: each listens on
a callback port of its own, or they are different programs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from oauthtap.diagnosis.multi.correlation import ExchangeGroup, ExchangeGroups
from oauthtap.handshake.stages import Stage
from oauthtap.model.exchange import Exchange

_ANY_SCRIPT = "javascript"
_PRODUCT = re.compile(r"[^/\s(]+")
_SCRIPTS = re.compile(r"node|undici|node-fetch|bun|deno|axios|got|mozilla|electron|jose", re.I)
_LIBRARIES = re.compile(r"javascript|python.*|aiohttp|go-http-client|reqwest|java.*|okhttp|ktor.*|dart")
_SIGNS_IN = {
    "prm-discovery", "as-discovery", "client-registration", "authorization-request", "authorization-response",
    "token-request", "token-refresh",
}  # fmt: skip
_NEXT = {
    "prm-discovery": ("mcp-challenge",),
    "as-discovery": ("prm-discovery", "mcp-challenge"),
    "client-registration": ("as-discovery", "prm-discovery"),
    "authorization-request": ("client-registration", "as-discovery"),
    "token-request": ("authorization-response", "authorization-request"),
    "mcp-initialize": ("token-request",),
    "mcp-request": ("token-request",),
}
"""Stage to what a client did before it."""
_PARTS_OF_A_CLIENT = ("client", "browser")
_MOST = 16
"""How many clients at once are told apart; more than these means that somebody is measuring."""


class ClientAttributor:
    """Gives every exchange to a client, by number from 0. There is one until the opposite shows."""

    def __init__(self) -> None:
        self._threads = ExchangeGroups(are_distinct_clients)
        self._several = False
        self._epoch = 0
        self._looked: dict[ExchangeGroup, tuple[int, float]] = {}
        """When a thread was last held against the others: how much was known then, and the time."""
        self._newest: ExchangeGroup | None = None
        self._joined = False
        """By the newest exchange two threads turned out to be one."""

    def client(self, exchange: Exchange) -> int | None:
        """The client of an exchange that was added before; None for the server's requests and oauthtap's own."""
        return self._threads.of(exchange).client if exchange.actor in _PARTS_OF_A_CLIENT else None

    def foresee(self, exchange: Exchange) -> int | None:
        """The client of an exchange that was not added yet, and may have no response yet; None if it has none."""
        if exchange.actor not in _PARTS_OF_A_CLIENT:
            return None
        if not self._several:
            return 0
        if (known := self._threads.known(exchange)) is not None:
            return known.client
        agent = exchange.request.header("user-agent")
        now = self._threads.time_of(exchange)
        thread = ExchangeGroup(now, now, {agent} if agent and exchange.actor == "client" else set())
        self._newest = None
        return _given(thread, self._clients())

    def add(self, exchange: Exchange) -> int | None:
        """Take the next exchange: whose it seems to be."""
        self._newest = None
        if exchange.actor not in _PARTS_OF_A_CLIENT:
            return None
        joined, known = self._threads.joined, len(self._threads.all)
        self._newest = thread = self._threads.add(exchange)
        self._joined = joined != self._threads.joined
        if self._joined:
            self._epoch += 1
        elif self._several and len(self._threads.all) > known:
            agent = exchange.request.header("user-agent")
            thread.agents |= {agent} if agent and exchange.actor == "client" else set()
            thread.client = _given(thread, self._clients())
        return thread.client

    def note(self, exchange: Exchange, stages: tuple[Stage, ...]) -> bool:
        """What the newest exchange turned out to be. True when something has changed hands by it."""
        thread = self._newest
        if thread is None:
            return False
        joined, better = self._joined, self._threads.note(thread, exchange, stages)
        if better:
            if self._several and not _is_anchor(thread):
                before, thread.client = thread.client, _given(thread, self._clients())
                return before != thread.client
            self._epoch += 1
        epoch, since = self._looked.get(thread, (-1, thread.begun))
        if epoch == self._epoch:
            return False
        since = thread.begun if better or joined else since
        self._looked[thread] = self._epoch, thread.seen
        others = self._threads.meanwhile(thread, since)
        self._several = self._several or any(are_distinct_clients(thread, other) for other in others)
        return self._several and self._given_anew()

    def _given_anew(self) -> bool:
        """Give every thread to a client. True when one of them changed hands."""
        before = [thread.client for thread in self._threads.all]
        clients: list[list[ExchangeGroup]] = []
        sure = sorted(filter(_is_anchor, self._threads.all), key=lambda thread: (not thread.redirects, thread.begun))
        for thread in sure:
            fit = [
                number
                for number, own in enumerate(clients)
                if not any(_other_program(thread, other) or are_distinct_clients(thread, other) for other in own)
            ]
            if fit or len(clients) >= _MOST:
                clients[_likeliest(thread, clients, fit or None)].append(thread)
            else:
                clients.append([thread])
        placed = set(sure)
        for thread in self._threads.all:
            if thread not in placed:
                number = _given(thread, clients)
                clients += [[]] if number == len(clients) else []
                clients[number].append(thread)
        clients.sort(key=lambda own: min(thread.begun for thread in own))
        for number, own in enumerate(clients):
            for thread in own:
                thread.client = number
        return before != [thread.client for thread in self._threads.all]

    def _clients(self) -> list[list[ExchangeGroup]]:
        clients: list[list[ExchangeGroup]] = []
        for thread in self._threads.all:
            clients += [[] for _ in range(thread.client + 1 - len(clients))]
            if thread is not self._newest:
                clients[thread.client].append(thread)
        return clients


def are_distinct_clients(one: ExchangeGroup, other: ExchangeGroup) -> bool:
    """Both were there at the same time, and cannot be one client."""
    if one.begun > other.seen or other.begun > one.seen:
        return False
    if one.redirects and other.redirects:
        return one.redirects.isdisjoint(other.redirects)
    return _is_anchor(one) and _is_anchor(other) and _other_program(one, other)


def _is_anchor(thread: ExchangeGroup) -> bool:
    """It signs in, and does so under a name or at a port: enough to be a client of its own."""
    return bool(thread.redirects) or bool(thread.agents and _SIGNS_IN & thread.did.keys())


def _other_program(one: ExchangeGroup, other: ExchangeGroup) -> bool:
    """No program calls itself by such different names.

    At the MCP endpoint a program uses its own name; elsewhere many let the library speak that
    they are made with: Claude Code is `Bun` there, the connectors of Claude.ai are `python-httpx`.
    """
    mine, theirs = _programs(one.mcp_agents), _programs(other.mcp_agents)
    if not mine or not theirs:
        mine, theirs = (set(filter(_LIBRARIES.fullmatch, _programs(thread.agents))) for thread in (one, other))
    return bool(mine and theirs) and mine.isdisjoint(theirs)


def _programs(agents: set[str]) -> set[str]:
    names = (match[0].lower() for agent in agents if (match := _PRODUCT.match(agent)))
    return {_ANY_SCRIPT if _SCRIPTS.fullmatch(name) else name for name in names}


def is_library(product: str) -> bool:
    """The product of this User-Agent is what a client is made with: its version is not the client's."""
    return bool(_SCRIPTS.fullmatch(product) or _LIBRARIES.fullmatch(product.lower()))


def _given(thread: ExchangeGroup, clients: Sequence[Sequence[ExchangeGroup]]) -> int:
    """Whose a thread is that nothing ties to a client: a new one's, where it is another program than all of them."""
    foreign = all(any(_other_program(thread, other) for other in own) for own in clients)
    return len(clients) if foreign and len(clients) < _MOST else _likeliest(thread, clients)


def _likeliest(
    thread: ExchangeGroup, clients: Sequence[Sequence[ExchangeGroup]], among: Sequence[int] | None = None
) -> int:
    """Whose it most likely is: who calls itself so, whose turn it was, who was there last."""

    def weight(number: int) -> tuple[int, float]:
        own = clients[number]
        foreign = any(_other_program(thread, other) for other in own)
        named = any(thread.agents & other.agents for other in own)
        before = [other.seen if other.seen <= thread.begun else other.begun for other in own]
        newest = max((when for when in before if when <= thread.begun), default=0.0)
        return 4 * named + 2 * _is_next(thread, own) - 8 * foreign, newest

    return max(range(len(clients)) if among is None else among, key=weight, default=0)


def _is_next(thread: ExchangeGroup, own: Sequence[ExchangeGroup]) -> bool:
    """This client had come to just before what the thread began with, and not yet to that itself."""
    first = min(thread.did, key=lambda stage: thread.did[stage], default="")
    did = {stage for other in own for stage, when in other.did.items() if when <= thread.begun}
    return first not in did and bool(did & set(_NEXT.get(first, ())))
