"""What the clients are run against: the targets of the fault bed and the real servers, in one shape."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from tests.support.bed import EVERY_TARGET, Bed, Received
from tests.support.running import to_the_bed
from tests.support.servers import Running, Stack, stacks
from tests.support.servers.heard import Heard, audience, claimed

SETTLES = 0.3
"""Seconds until a server in another process has told of the last request it answered."""
OURS = "oauthtap/"
"""How the user agent of the tap's own first look begins, which no client sent."""


@dataclass(frozen=True)
class Seen:
    """One request of the client at the server, in names that are the same in every run."""

    method: str
    host: str
    path: str
    status: int | None
    audience: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.host}{self.path} {self.status}"


@dataclass
class Site:
    """A server that is up."""

    url: str
    heard: Callable[[], list[Seen]]
    """What arrived since the server started."""
    direct: Mapping[str, str] = field(default_factory=dict)
    """The environment of a client that goes straight to it."""
    browser: Mapping[str, str] = field(default_factory=dict)
    """What the browser needs, whichever way the client takes."""
    flags: tuple[str, ...] = ()
    """What an oauthtap needs to find it and to trust it."""
    versions: Mapping[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[Seen]]:
        """A list that holds, after the block, only what arrived within it."""
        seen: list[Seen] = []
        start = len(self.heard())
        yield seen
        time.sleep(SETTLES)
        seen.extend(self.heard()[start:])


@dataclass(frozen=True)
class Server:
    """A row of the matrix."""

    what: str
    real: bool
    opened: Callable[[], AbstractContextManager[Site]]


def servers() -> dict[str, Server]:
    """Every row there is, by name: the bed's targets first."""
    bed = {name: Server(first_line(target), False, partial(in_the_bed, name)) for name, target in EVERY_TARGET.items()}
    return bed | {name: Server(stack.what, True, partial(started, stack)) for name, stack in stacks().items()}


def first_line(described: object) -> str:
    return (described.__doc__ or "").splitlines()[0].rstrip(".")


@contextlib.contextmanager
def in_the_bed(name: str) -> Iterator[Site]:
    """One target, in a bed of its own."""
    with Bed() as bed:
        yield Site(
            bed.url(name),
            lambda: [of_the_bed(entry) for entry in bed.log if not ours(entry.headers.get("user-agent", ""))],
            bed.direct_env(),
            bed.browser_env(),
            tuple(to_the_bed(bed)),
        )


@contextlib.contextmanager
def started(stack: Stack) -> Iterator[Site]:
    """A real server on ports of its own."""
    with stack.start() as running:
        yield Site(
            running.url,
            lambda: [of_a_stack(running, heard) for heard in running.heard if not ours(heard.agent)],
            versions=running.versions,
        )


def ours(agent: str) -> bool:
    return agent.startswith(OURS)


def of_the_bed(entry: Received) -> Seen:
    token = entry.headers.get("authorization", "").removeprefix("Bearer ")
    return Seen(entry.method, entry.host, entry.path, entry.status, audience(claimed(token)))


def of_a_stack(running: Running, heard: Heard) -> Seen:
    named = partial(in_lasting_names, running.hosts)
    return Seen(heard.method, named(heard.host), heard.path, heard.status, tuple(map(named, heard.audience)))


def in_lasting_names(hosts: Mapping[str, str], text: str) -> str:
    """The text with each host and port of this run replaced by what to call it."""
    for host, name in hosts.items():
        text = text.replace(host, name)
    return text
