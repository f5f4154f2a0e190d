"""The command `python -m tests.matrix`: which pairs to run which way, where to keep them, what to print."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from tests.matrix import fill
from tests.matrix.ledger import Ledger, loaded
from tests.matrix.runs import LIMIT, WAYS
from tests.matrix.sites import servers
from tests.matrix.table import difference, number, page, summary
from tests.support.bed import namespace
from tests.support.bed.targets import ORIGINS
from tests.support.clients import drivers


def main() -> int:
    """Exit code 0 when every pair is equal, 1 when not."""
    arguments = parser().parse_args()
    if arguments.namespace and not namespace.is_entered():
        namespace.enter((origin.host for origin in ORIGINS), sys.executable, "-m", "tests.matrix", *sys.argv[1:])
    ledger = loaded(arguments.json) if arguments.json else Ledger()
    if not arguments.print_only:
        rows = {name: row for name, row in servers().items() if name in arguments.servers}
        keep = (lambda: ledger.save(arguments.json)) if arguments.json else (lambda: None)
        fill(
            ledger,
            rows,
            arguments.clients,
            arguments.ways,
            workers=1 if arguments.namespace else arguments.workers,
            limit=arguments.limit,
            say=tell,
            kept=keep,
            elsewhere=loaded(arguments.besides).runs if arguments.besides else (),
        )
    unlike = [
        (straight, run) for way in WAYS for straight, run in ledger.pairs(way) if straight.compared != run.compared
    ]
    if arguments.markdown:
        print(page(ledger, str(arguments.json)), end="")
    elif arguments.summary:
        print(summary(ledger))
    else:
        print("\n".join([*map(difference, unlike), number(ledger)]))
    return 1 if unlike else 0


def tell(text: str) -> None:
    """How it goes on, beside what is printed in the end."""
    print(text, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m tests.matrix", description="Real clients at real servers, each way.")
    made.add_argument("--clients", type=several(drivers()), default=list(drivers()), metavar="A,B")
    made.add_argument("--servers", type=several(servers()), default=list(servers()), metavar="A,B")
    made.add_argument("--ways", type=several(WAYS), default=["direct", "tap"], metavar=",".join(WAYS))
    made.add_argument("--json", type=Path, metavar="FILE", help="keep the runs here; what it has is not run again")
    made.add_argument("--besides", type=Path, metavar="FILE", help="nor is what this file has, which is left as it is")
    made.add_argument(
        "--namespace", action="store_true",
        help="in a network namespace where the bed's names resolve, so that no client needs the bed's proxy (Linux); "
        "what is to be installed has to be there, and one server is run at a time",
    )  # fmt: skip
    made.add_argument("--markdown", action="store_true", help="print the tables as a Markdown document")
    made.add_argument("--summary", action="store_true", help="print the tables of clients and servers")
    made.add_argument("--print-only", action="store_true", help="run nothing; print what the file has")
    made.add_argument("--workers", type=int, default=2, metavar="N", help="servers at the same time (default 2)")
    made.add_argument(
        "--limit", type=float, default=LIMIT, metavar="SECONDS", help=f"for one client (default {LIMIT:g})"
    )
    return made


def several(known: Collection[str]) -> Callable[[str], list[str]]:
    """A type for argparse: names with commas between, each of them known."""

    def names(text: str) -> list[str]:
        found = text.split(",")
        if strange := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"no {', '.join(strange)} here. There are: {', '.join(known)}")
        return found

    return names


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers end with it
    sys.exit(main())
