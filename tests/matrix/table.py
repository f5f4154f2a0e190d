"""The matrix in words: the number, the tables of docs/fidelity.md, and where a pair differs. Runs nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tests.matrix.ledger import Ledger
from tests.matrix.limits import LIMITS
from tests.matrix.runs import Run
from tests.matrix.sites import servers
from tests.support.clients import drivers

WORDS = {"tap": "through the tap", "run": "under `oauthtap run`"}
MARKS = {"connected": "✓", "gave up": "·", "waits": "…"}


def number(ledger: Ledger) -> str:
    """`n of m pairs equal`, for each way that was run."""
    told = [f"{equal} of {of} pairs equal {WORDS[way]}" for way in WORDS for equal, of in [ledger.equal(way)] if of]
    return "; ".join(told) or "nothing was run"


def difference(pair: tuple[Run, Run]) -> str:
    """Where a run differs from the direct one, member by member."""
    straight, run = pair
    lines = [f"{run.client} at {run.server} {WORDS[run.way]}:"]
    for name in ("outcome", "tools", "stopped", "failed", "audience"):
        was, became = getattr(straight, name), getattr(run, name)
        if was != became:
            lines += [f"  {name:8} directly {was}", f"  {'':8} here     {became}"]
    return "\n".join(lines)


def page(ledger: Ledger, file: str = "docs/fidelity.json") -> str:
    """docs/fidelity.md. `file`: where the ledger is kept."""
    ways = [way for way in WORDS if ledger.equal(way)[1]]
    parts = [
        HEAD.format(date=ledger.date, number=number(ledger), rest=rest(ledger, ways), file=file),
        summary(ledger),
        *(part for way in ways for part in section(ledger, way)),
    ]
    return "\n\n".join([*parts, again(ledger), *versions(ledger)]) + "\n"


HEAD = """# Fidelity

Does anything change because oauthtap watches? Real clients at real servers, each pair first directly and then with
oauthtap in between. On {date}: **{number}**.{rest}

A pair is equal when these are the same: the outcome (connected, gave up, waits for ever), the tools the client
printed, the request it stopped at, the set of all requests that were refused (method, host, path, status), and the
`aud` of every token it sent. All of it but outcome and tools is recorded at the servers. Each run is a first run:
fresh home, fresh registration, a fresh tap. A GET answered 405 (the server offers no stream) is not counted as a
refusal: clients send it in parallel, and whether it arrives before they end is chance.

✓ connects, · gives up, … waits for ever: the same both ways. A pair that differs is marked ≠ and told of below its
table. Made by `python -m tests.matrix --ways direct,tap,run --json {file} --markdown`; with `--namespace` the clients
reach the test bed without its proxy, and with `--besides FILE` what that file has is not run again."""


def rest(ledger: Ledger, ways: Sequence[str]) -> str:
    """What is still to be run; nothing where everything was."""
    possible = len(drivers()) * len(servers())
    if all(ledger.equal(way)[1] == possible for way in ways):
        return ""
    return f" There are\n{possible} pairs; what was not run yet is left empty, and the command goes on from there."


def summary(ledger: Ledger) -> str:
    """The tables at the top of the page: how many pairs of each client and of each kind of server are equal."""
    ways = [way for way in WORDS if ledger.equal(way)[1]]
    heads = [f"equal {WORDS[way]}" for way in ways]
    lines = [row(["Client", "signs in directly", *heads]), row(["---"] * (2 + len(ways)))]
    for client in filter(ledger.clients.__contains__, drivers()):
        own = [run for run in ledger.runs.values() if run.client == client]
        lines.append(row([f"{client} ({_own_version(ledger, client)})", *_counted(own, ways)]))
    lines += ["", row(["Server", "clients that sign in directly", *heads]), row(["---"] * (2 + len(ways)))]
    real = [name for name in servers() if ledger.servers.get(name, {}).get("real")]
    bed = [run for run in ledger.runs.values() if run.server not in real]
    lines.append(row([f"test bed ({len({run.server for run in bed})} servers)", *_counted(bed, ways)]))
    for server in real:
        own = [run for run in ledger.runs.values() if run.server == server]
        lines.append(row([f"{server} ({packages(ledger.servers[server]['versions'])})", *_counted(own, ways)]))
    return "\n".join(lines)


def _own_version(ledger: Ledger, client: str) -> str:
    return ", ".join(ledger.clients.get(client, {}).values())


def _counted(runs: Sequence[Run], ways: Sequence[str]) -> list[str]:
    """`connected of all` directly, then `equal of all` for each way."""
    straight = {(run.client, run.server): run for run in runs if run.way == "direct"}
    cells = [f"{sum(run.outcome == 'connected' for run in straight.values())} of {len(straight)}"]
    for way in ways:
        pairs = [(straight[run.client, run.server], run) for run in runs if run.way == way]
        cells.append(f"{sum(one.compared == other.compared for one, other in pairs)} of {len(pairs)}")
    return cells


def section(ledger: Ledger, way: str) -> list[str]:
    """The table of one way, and its differences."""
    found = {(run.client, run.server): (straight, run) for straight, run in ledger.pairs(way)}
    clients = [client for client in drivers() if any(pair[0] == client for pair in found)]
    rows = [server for server in servers() if any(pair[1] == server for pair in found)]
    lines = [row(["", *clients]), row(["---"] * (len(clients) + 1))]
    lines += [row([f"`{server}`", *(cell(found.get((client, server))) for client in clients)]) for server in rows]
    unlike = [told(straight, run) for straight, run in found.values() if straight.compared != run.compared]
    equal, of = ledger.equal(way)
    return [f"## {WORDS[way][0].upper()}{WORDS[way][1:]}: {equal} of {of}", "\n".join(lines), *unlike]


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(runs: tuple[Run, Run] | None) -> str:
    if runs is None:
        return ""
    straight, run = runs
    return MARKS[run.outcome] if straight.compared == run.compared else "≠"


def told(straight: Run, run: Run) -> str:
    """A difference with its reason, where there is one that is known."""
    why = LIMITS.get((run.client, run.server, run.way), "Not explained.")
    return f"**{run.client} at {run.server}.** {why}\n\n```\n{difference((straight, run))}\n```"


def again(ledger: Ledger) -> str:
    """How many pairs needed more than one look."""
    count = len(ledger.again)
    return (
        f"Pairs that differed at first and were run again, both ways, before they counted: {count}."
        if count
        else ("No pair had to be run twice.")
    )


def versions(ledger: Ledger) -> list[str]:
    """What everything was made of."""
    made = ", ".join(f"{name} {version}" for name, version in ledger.made_with.items())
    clients = [row(["Client", "Packages"]), row(["---"] * 2)]
    clients += [row([name, packages(ledger.clients[name])]) for name in drivers() if name in ledger.clients]
    rows = [row(["Server", "What it is", "Packages"]), row(["---"] * 3)]
    for name, told_of in ((name, ledger.servers[name]) for name in servers() if name in ledger.servers):
        rows.append(row([f"`{name}`", told_of["what"].replace("|", "\\|"), packages(told_of["versions"])]))
    return ["## Versions", f"{made}.", "\n".join(clients), "\n".join(rows)]


def packages(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())
