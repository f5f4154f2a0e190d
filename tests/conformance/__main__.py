"""The command `python -m tests.conformance`: which clients and scenarios, which way, and whether the ways agree."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance import CLIENT_NAMES, SERVER, Way, before, of_a_client, open_server
from tests.conformance.limits import LIMITS
from tests.conformance.lists import LISTS, fresh, kept, read, write
from tests.conformance.suite import RELEASES, Checks, Suite
from tests.conformance.table import differences, page, unequal


def main() -> int:
    """Print the page of docs/conformance. Exit code 1 when a way differs from the direct one without a known reason."""
    arguments = parser().parse_args()
    for release in arguments.releases:
        ask(Suite(release), arguments)
    return compared(arguments.lists)


def ask(suite: Suite, arguments: argparse.Namespace) -> None:
    """Everything that was asked for and is not known yet, written down scenario by scenario."""
    for way in arguments.ways:
        file = arguments.lists / suite.release / f"{way}.json"
        said = read(file) if file.exists() else fresh(suite.release)
        for client in arguments.clients:
            for _ in ask_client(suite, client, way, arguments.only, said["clients"].setdefault(client, {})):
                write(file, said)
        if arguments.server and way != "run":
            for _ in ask_server(suite, way, arguments.only, said["servers"].setdefault(SERVER, {})):
                write(file, said)


def ask_client(suite: Suite, client: str, way: Way, only: str, known: dict[str, Any]) -> Iterator[None]:
    """Every scenario that is not known yet, one at a time."""
    for scenario in suite.scenarios("client"):
        if scenario not in known and re.search(only, scenario):
            known[scenario] = of_a_client(client, scenario, way, suite)
            tell(f"{suite.release} {client} {way} {scenario}", known[scenario])
            yield


def ask_server(suite: Suite, way: Way, only: str, known: dict[str, Any]) -> Iterator[None]:
    """Every scenario that is not known yet, at one server that stays up."""
    with open_server() as url, before(url, way) as reached:
        for scenario in suite.scenarios("server"):
            if scenario not in known and re.search(only, scenario):
                known[scenario] = suite.server(scenario, reached)
                tell(f"{suite.release} server {way} {scenario}", known[scenario])
                yield


def tell(what: str, checks: Checks) -> None:
    passed = sum(check.startswith("SUCCESS") for check in checks)
    print(f"{what}: {passed} of {len(checks)} checks passed", file=sys.stderr, flush=True)


def compared(lists: Path) -> int:
    """Print what the lists say, and each scenario that is not as directly."""
    releases = kept(lists)
    print(page(releases), end="")
    for release, said in releases.items():
        for way, part, name, scenario in differences(said):
            was = said["direct"][part].get(name, {}).get(scenario)
            now = said[way][part][name][scenario]
            print(f"{release} {name} {scenario}:\n  directly {was}\n  {way:8} {now}", file=sys.stderr)
    return 1 if any(unequal(said) - LIMITS.keys() for said in releases.values()) else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m tests.conformance", description=(__doc__ or "").splitlines()[0])
    made.add_argument("--releases", type=lambda text: text.split(","), default=list(RELEASES), help="of the suite")
    made.add_argument("--clients", type=lambda text: text.split(",") if text else [], default=list(CLIENT_NAMES))
    made.add_argument("--ways", type=lambda text: text.split(","), default=["direct", "tap"])
    made.add_argument("--only", default="", metavar="REGEX", help="scenarios whose name it is found in")
    made.add_argument("--server", action=argparse.BooleanOptionalAction, default=True, help="ask of the server too")
    made.add_argument("--lists", type=Path, default=LISTS, metavar="DIR", help="where the lists are kept")
    return made


if __name__ == "__main__":
    sys.exit(main())
