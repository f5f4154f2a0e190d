"""What a walk has learned so far, and where it stops as the client it walks as would."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from oauthtap.clients.traits import Emulation, WalkEnd
from oauthtap.handshake.stages import text
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request
from oauthtap.probe.requests import BrowserStep, ProbeRequest, RequestBuilder

Outcome = Literal["stopped", "waiting", "unreachable"]

type Steps[Result] = Generator[ProbeRequest | BrowserStep, Exchange, Result]
"""Yields what to ask, is sent what came back, and ends with a result."""


class Stop(Exception):
    """The client goes no further. `end` says where and why."""

    def __init__(self, end: WalkEnd) -> None:
        super().__init__(end.why)
        self.end = end


@dataclass
class FlowState:
    """What discovery has taught, and what registration adds to it."""

    metadata: dict[str, Any]
    resource: str | None
    scope: str | None
    client: dict[str, Any] = field(default_factory=dict)
    granted: dict[str, Any] = field(default_factory=dict)
    """The answer of the token endpoint, and `redeemed` the request that it answers."""
    redeemed: Request | None = None
    guessed: str = ""
    """Why the endpoints are guesses; empty where metadata names them."""

    @classmethod
    def by_default(cls, origin: str, resource: str | None, scope: str | None, why: str) -> Self:
        """No document anywhere: the endpoints of MCP 2025-03-26, Fallbacks for Servers without Metadata Discovery."""
        paths = {"authorization": "authorize", "token": "token", "registration": "register"}
        return cls(
            {f"{name}_endpoint": f"{origin}/{path}" for name, path in paths.items()}, resource, scope, guessed=why
        )

    def endpoint(self, name: str) -> str | None:
        """The URL of an endpoint (`token`, `registration`, …); None unless it is one."""
        url = text(self.metadata.get(f"{name}_endpoint"))
        return url if url and urls.split(url) else None

    @property
    def promises_iss(self) -> bool:
        """RFC 9207, 3."""
        return self.metadata.get("authorization_response_iss_parameter_supported") is True


@dataclass
class WalkState:
    """One walk: as whom, to where, and what came of it so far."""

    client: Emulation
    url: str
    """The MCP URL, as the client would be given it."""
    typed_id: bool = False
    """A client id was given with it."""
    answers: dict[str, Exchange] = field(default_factory=dict)
    """What each document's place answered; nothing is asked twice."""
    challenge: Exchange | None = None
    prm: dict[str, Any] | None = None
    servers: list[str] = field(default_factory=list)
    """Every authorization server that a document named."""
    limited: bool = False
    """The server has asked us to slow down."""
    facts: FlowState | None = None
    uses_metadata_url: bool = False
    """The client id is the URL of the client's metadata document."""
    depends_on: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.asker = RequestBuilder(self.client.behaviour)

    def note_traits(self, *members: str) -> None:
        """Record the traits that decided here: with other values the walk could go another way."""
        self.depends_on += [name for name in members if name not in self.depends_on]

    def stop(self, stage: str, why: str, trait: str = "", change: str = "", outcome: Outcome = "stopped") -> Stop:
        """What to raise. `trait`: the member that makes the client stop; none where the server refused."""
        return Stop(WalkEnd(outcome, stage, why, change, trait, depends_on=tuple(self.depends_on)))
