"""One run of a real client at one server of the bed, straight, and what arrived of it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.support.bed import Bed, Received
from tests.support.bed.deployments import METADATA
from tests.support.bed.mcp import PRM
from tests.support.clients import Outcome, run
from tests.support.running import started, to_the_bed

LIMIT = 25.0
"""Seconds for one run: who waits longer waits for ever."""
AT_A_SCREEN = {"gemini-cli": 60.0, "qwen-code": 60.0}
"""The same for clients whose screen is typed at, which says nothing of many failures."""


@dataclass(frozen=True)
class Observation:
    """What became of the client, and every request of it and of its browser, in order."""

    host: str
    path: str
    connected: bool
    requests: tuple[Received, ...]
    refused: tuple[str, ...] = ()
    """What it asked the proxy for that is nowhere: `CONNECT host:port`."""
    late: bool = False
    """Its time was over."""
    tapped: bool = False
    """Through the tap, whose callback stands in its requests in place of its own."""

    def to(self, path: str, method: str = "GET") -> list[Received]:
        """Requests for that path, whichever host."""
        return [one for one in self.requests if (one.method, one.path) == (method, path)]

    @cached_property
    def mcp(self) -> list[Received]:
        """Requests at the MCP URL."""
        return [one for one in self.requests if (one.host, one.path) == (self.host, self.path)]

    @property
    def signed_in(self) -> list[Received]:
        return [one for one in self.mcp if "authorization" in one.headers]

    @property
    def tokenless(self) -> list[Received]:
        return [one for one in self.mcp if "authorization" not in one.headers]

    @property
    def resource_places(self) -> list[str]:
        """Where it looked for the resource's metadata, each once, in order."""
        return list(dict.fromkeys(one.path for one in self.requests if one.path.startswith(PRM)))

    @property
    def server_places(self) -> list[tuple[str, str]]:
        """Host and path of each place where it looked for the server's metadata, each once, in order."""
        forms = (METADATA, "/.well-known/openid-configuration")
        return list(dict.fromkeys((one.host, one.path) for one in self.requests if any(f in one.path for f in forms)))

    @property
    def registrations(self) -> list[dict[str, Any]]:
        asked = (one for one in self.requests if one.method == "POST" and one.path.endswith("/register"))
        return [value for one in asked if isinstance(value := json.loads(one.body or "null"), dict)]

    @property
    def authorizations(self) -> list[dict[str, str]]:
        return [one.query for one in self.requests if one.method == "GET" and one.path.endswith("/authorize")]

    @property
    def token_requests(self) -> list[dict[str, str]]:
        asked = (one for one in self.requests if one.method == "POST" and one.path.endswith("/token"))
        return [dict(parse_qsl(one.body)) for one in asked]

    @property
    def went_on(self) -> bool:
        """It found no fault in the documents: it registered, or opened its browser."""
        return bool(self.registrations or self.authorizations)

    @property
    def ending(self) -> str:
        """In one line: that it connects, or the last request of the furthest step of its sign-in."""
        if self.connected:
            return "connects"
        step = max(map(self._step, self.requests), default=0)
        last = next((one for one in reversed(self.requests) if self._step(one) == step), None)
        after = f"{last.method} {last.path} {last.status or '-'}" if last else "no request"
        return f"{'waits' if self.late else 'stops'} after {after}"

    def _step(self, one: Received) -> int:
        """How far a sign-in has come that sends this."""
        if "authorization" in one.headers and one.path.startswith(self.path):
            return 6
        marks = (PRM, "/.well-known/", "/register", "/authorize", "/token")
        return next((number for number, mark in enumerate(marks, 1) if mark in one.path), 0)


THROUGH_THE_TAP = ("gemini-cli",)
"""It looks up every OAuth host itself, and the bed's names are known to a proxy alone; `localhost` it trusts."""


ROUND_THE_PROXY = {"qwen-code": ("f12", "closed-as", "nosuch-as")}
"""Where the proxy has no such host it asks again thousands of times; without a proxy it goes on."""


def observe(bed: Bed, client: str, name: str, patience: float = 1) -> Observation:
    """Run the client once, as somebody who was never here. `patience`: how many times as long it may take."""
    before, limit = len(bed.refused), AT_A_SCREEN.get(client, LIMIT) * patience
    with bed.watching() as seen:
        tapped = client in THROUGH_THE_TAP or name in ROUND_THE_PROXY.get(client, ())
        if tapped:
            outcome = _tapped(bed, client, name, limit)
        else:
            outcome = run(client, bed.url(name), env=bed.direct_env(), timeout=limit)
    own = tuple(one for one in seen if not one.headers.get("user-agent", "").startswith("oauthtap/"))
    parts = urlsplit(bed.url(name))
    late = not outcome.connected and outcome.seconds > limit - 1
    refused = tuple(one for one in bed.refused[before:] if ".test" in one)
    made = Observation(parts.hostname or "", parts.path, outcome.connected, own, refused, late, tapped)
    heard = [one for one in made.signed_in if one.status and one.status < 400]  # some say it once they have a token
    return replace(made, connected=made.connected and bool(heard or not made.signed_in))


def _tapped(bed: Bed, client: str, name: str, limit: float) -> Outcome:
    path = urlsplit(bed.url(name)).path
    with (
        tempfile.TemporaryDirectory(prefix="oauthtap-profile-", ignore_cleanup_errors=True) as home,
        started(bed.url(name), *to_the_bed(bed), "--no-preflight", home=Path(home), path=path) as tap,
    ):
        return run(client, tap.url, env=bed.browser_env(), timeout=limit)
