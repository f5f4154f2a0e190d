"""One client at one server, one way: what became of it, in terms that two ways can be compared by."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.matrix.sites import Seen, Site
from tests.support.clients import Outcome, run
from tests.support.running import COMMAND, started

Way = Literal["direct", "tap", "run"]
WAYS: tuple[Way, ...] = ("direct", "tap", "run")
LIMIT = 40.0
"""Seconds for one client: some wait for ever once the browser has led nowhere."""
LATE = "ended for being late"


@dataclass(frozen=True)
class Run:
    """What two ways are compared by, and what tells where a run belongs."""

    client: str
    server: str
    way: Way
    outcome: str
    """`connected`; `gave up`: it said no and ended; `waits`: it did neither until its time was over."""
    tools: tuple[str, ...]
    """The tools it printed, when it prints any."""
    stopped: str | None
    """Method, host, path and status of the last request that failed, when it did not connect."""
    failed: tuple[str, ...]
    """All requests that failed, each once, sorted."""
    audience: tuple[str, ...]
    """`aud` of the bearer tokens it sent, each once, sorted."""
    recorded: int
    """How many exchanges oauthtap recorded of it; 0 without oauthtap."""
    seconds: float

    @property
    def compared(self) -> tuple[Any, ...]:
        """What has to be the same whichever way is taken."""
        return (self.outcome, self.tools, self.stopped, self.failed, self.audience)

    def json(self) -> dict[str, Any]:
        return asdict(self)


def from_json(value: dict[str, Any]) -> Run:
    """The run that `Run.json()` was made of, read back."""
    return Run(**{name: tuple(member) if isinstance(member, list) else member for name, member in value.items()})


def one(client: str, server: str, way: Way, site: Site, limit: float = LIMIT) -> Run:
    """Run the client, as somebody who was never here: fresh home, fresh registration."""
    with tempfile.TemporaryDirectory(prefix="oauthtap-matrix-", ignore_cleanup_errors=True) as folder:
        with site.watching() as seen:
            outcome = WAY[way](client, site, Path(folder), limit)
        recorded = sum(map(exchanges, Path(folder).rglob("session.jsonl")))
    return told(client, server, way, outcome, seen, recorded)


def direct(client: str, site: Site, home: Path, limit: float) -> Outcome:
    return run(client, site.url, env=site.direct, timeout=limit)


def tapped(client: str, site: Site, home: Path, limit: float) -> Outcome:
    """Through a tap that nobody used before."""
    with started(site.url, *site.flags, home=home, path=urlsplit(site.url).path) as tap:
        outcome = run(client, tap.url, env=site.browser, timeout=limit)
        tap.end()
        return outcome


def wrapped(client: str, site: Site, home: Path, limit: float) -> Outcome:
    """Each command of the client under `oauthtap run`."""
    temporary = home / "t"
    temporary.mkdir()
    env = dict(site.browser) | {"XDG_STATE_HOME": str(home / "state"), "TMPDIR": str(temporary)}
    # Each of its commands starts an oauthtap of its own first.
    return run(client, site.url, env=env, timeout=1.5 * limit, under=(str(COMMAND), "run", *site.flags, "--"))


WAY = {"direct": direct, "tap": tapped, "run": wrapped}


def exchanges(session: Path) -> int:
    """How many requests of a client a session holds."""
    lines = (json.loads(line) for line in session.read_text().splitlines())
    return sum("request" in line and line.get("actor") != "reporter" for line in lines)


def told(client: str, server: str, way: Way, outcome: Outcome, seen: Iterable[Seen], recorded: int) -> Run:
    """The run in terms that can be compared."""
    refused = [request for request in seen if failed(request)]
    state = "connected" if outcome.connected else "waits" if LATE in outcome.said else "gave up"
    return Run(
        client,
        server,
        way,
        state,
        outcome.tools,
        str(refused[-1]) if refused and not outcome.connected else None,
        tuple(sorted({str(request) for request in refused})),
        tuple(sorted({name for request in seen for name in request.audience})),
        recorded,
        round(outcome.seconds, 1),
    )


def failed(request: Seen) -> bool:
    """Refused; but a GET that is answered 405 is a server saying that it offers no stream, as it may.

    Clients ask for one beside what they wait for, so it is chance whether it still arrives before a short run ends.
    """
    return (request.status or 0) >= 400 and (request.method, request.status) != ("GET", 405)
