"""The command `python -m tests.matrix`: which pairs to run which way, where to keep them, what to print."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection
from pathlib import Path

from tests.clients import drivers
from tests.matrix import fill
from tests.matrix.ledger import Ledger, loaded
from tests.matrix.runs import WAYS
from tests.matrix.sites import servers
from tests.matrix.table import difference, number, page


def main() -> int:
    """Exit code 0 when every pair is equal, 1 when not."""
    arguments = parser().parse_args()
    rows = {name: row for name, row in servers().items() if name in arguments.servers}
    ledger = loaded(arguments.json) if arguments.json else Ledger()

    def kept() -> None:
        if arguments.json:
            ledger.save(arguments.json)

    if not arguments.print_only:
        say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
        fill(ledger, rows, arguments.clients, arguments.ways, workers=arguments.workers, say=say, kept=kept)
    ways = [way for way in WAYS[1:] if ledger.equal(way)[1]]
    print(
        page(ledger) if arguments.markdown else "\n".join([*map(difference, different(ledger, ways)), number(ledger)])
    )
    return 0 if all(len(set(ledger.equal(way))) == 1 for way in ways) else 1


def different(ledger: Ledger, ways: list[str]) -> list[tuple]:  # type: ignore[type-arg]
    return [
        (straight, run) for way in ways for _, straight, run in ledger.pairs(way) if straight.compared != run.compared
    ]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m tests.matrix", description="Real clients at real servers, each way.")
    made.add_argument("--clients", type=several(drivers()), default=list(drivers()), metavar="A,B")
    made.add_argument("--servers", type=several(servers()), default=list(servers()), metavar="A,B")
    made.add_argument("--ways", type=several(WAYS), default=["direct", "tap"], metavar=",".join(WAYS))
    made.add_argument("--json", type=Path, metavar="FILE", help="keep the runs here; what it has is not run again")
    made.add_argument("--markdown", action="store_true", help="print the tables as a Markdown document")
    made.add_argument("--print-only", action="store_true", help="run nothing; print what the file has")
    made.add_argument("--workers", type=int, default=2, metavar="N", help="servers at the same time (default 2)")
    return made


def several(known: Collection[str]):  # type: ignore[no-untyped-def]
    """A type for argparse: names with commas between, each of them known."""

    def names(text: str) -> list[str]:
        found = text.split(",")
        if strange := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"no {', '.join(strange)} here. There are: {', '.join(known)}")
        return found

    return names


if __name__ == "__main__":
    sys.exit(main())
