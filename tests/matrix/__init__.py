"""Fidelity as a number: real clients at real servers, without oauthtap, through the tap, and under `oauthtap run`.

`python -m tests.matrix` runs it, and docs/fidelity.md is what it prints. A pair is equal when the outcome, the tools,
the request it stopped at, the set of requests that failed and the tokens' audiences are the same as directly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from tests.matrix.ledger import Ledger
from tests.matrix.runs import LIMIT, Run, Way, one
from tests.matrix.sites import Server, Site
from tests.support.clients import versions_of

TRIES = 3
"""How often a pair that differs is run before it counts as different: machines are busy."""

Say = Callable[[str], None]


def fill(
    ledger: Ledger,
    rows: dict[str, Server],
    clients: Sequence[str],
    ways: Sequence[Way],
    *,
    workers: int = 2,
    limit: float = LIMIT,
    say: Say = print,
    kept: Callable[[], None] = lambda: None,
    elsewhere: Collection[tuple[str, str, str]] = (),
) -> None:
    """Make every run that the ledger does not have yet; servers side by side, clients one after the other.

    `limit`: seconds for one client; on a busy machine a slow one "waits" else. `kept` is called whenever the ledger
    has grown. `elsewhere`: runs that another ledger has, and that are not made again. Raises what
    starting a server raises.
    """
    lock = Lock()

    def add(runs: Iterable[Run]) -> None:
        with lock:
            for run in runs:
                ledger.add(run)
            ledger.extend_to(time.strftime("%Y-%m-%d"))
            kept()

    def row(name: str) -> None:
        had = {*ledger.runs, *elsewhere}
        missing = {client: [way for way in ways if (client, name, way) not in had] for client in clients}
        if not any(missing.values()):
            return
        with rows[name].opened() as site:
            what = {"what": rows[name].what, "real": rows[name].real, "versions": dict(site.versions)}
            ledger.servers[name] = what
            for client, wanted in missing.items():
                if wanted:
                    add(settled(ledger, client, name, site, wanted, say, limit))
                    ledger.clients[client] = versions_of(client)

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(row, name) for name in rows]:
            done.result()


def settled(
    ledger: Ledger, client: str, name: str, site: Site, ways: Sequence[Way], say: Say, limit: float = LIMIT
) -> list[Run]:
    """The runs of one pair. Where a way differs, both it and the direct one are run again before it is believed."""
    straight = ledger.runs.get((client, name, "direct")) or one(client, name, "direct", site, limit)
    runs = {"direct": straight}
    for way in ways:
        if way == "direct":
            continue
        runs[way] = one(client, name, way, site, limit)
        for _ in range(1, TRIES):
            if runs[way].compared == runs["direct"].compared:
                break
            key = f"{client} {name} {way}"
            ledger.again[key] = ledger.again.get(key, 0) + 1
            runs["direct"] = one(client, name, "direct", site, limit)
            runs[way] = one(client, name, way, site, limit)
    for run in runs.values():
        say(line(run, runs["direct"]))
    return list(runs.values())


def line(run: Run, straight: Run) -> str:
    """One run in one line, as it is told while the matrix goes on."""
    same = "" if run.way == "direct" else "equal" if run.compared == straight.compared else "DIFFERS"
    return f"{run.client:20} {run.server:18} {run.way:6} {run.outcome:9} {run.seconds:5.1f} s  {same}"
