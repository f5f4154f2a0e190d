"""The command `python -m tests.conformance`: which clients and scenarios, which way, and whether the ways agree."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.conformance import CLIENT_NAMES, SERVER, WAYS, Way, before, of_a_client, open_server, suite
from tests.conformance.limits import LIMITS
from tests.conformance.table import every, page, unequal, unlike

LISTS = Path(__file__).parent.parent.parent / "docs" / "conformance"


def main() -> int:
    """Print the page of docs/conformance. Exit code 1 when a way differs from the direct one without a known reason."""
    arguments = parser().parse_args()
    for way in arguments.ways:
        file = arguments.lists / f"{way}.json"
        said = read(file)
        for client in arguments.clients:
            for _ in ask_client(client, way, arguments.only, said["clients"].setdefault(client, {})):
                write(file, said)
        if arguments.server and way != "run":
            for _ in ask_server(way, arguments.only, said["servers"].setdefault(SERVER, {})):
                write(file, said)
    return compared(arguments.lists)


def read(file: Path) -> dict[str, Any]:
    fresh: dict[str, Any] = {"suite": suite.RELEASE, "date": time.strftime("%Y-%m-%d"), "clients": {}, "servers": {}}
    return json.loads(file.read_text()) if file.exists() else fresh


def write(file: Path, said: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(said, indent=1) + "\n")


def ask_client(client: str, way: Way, only: str, known: dict[str, Any]) -> Iterator[None]:
    """Every scenario that is not known yet, one at a time."""
    for scenario in suite.scenarios("client"):
        if scenario not in known and re.search(only, scenario):
            known[scenario] = of_a_client(client, scenario, way)
            tell(f"{client} {way} {scenario}", known[scenario])
            yield


def ask_server(way: Way, only: str, known: dict[str, Any]) -> Iterator[None]:
    """Every scenario that is not known yet, at one server that stays up."""
    with open_server() as url, before(url, way) as reached:
        for scenario in suite.scenarios("server"):
            if scenario not in known and re.search(only, scenario):
                known[scenario] = suite.server(scenario, reached)
                tell(f"server {way} {scenario}", known[scenario])
                yield


def tell(what: str, checks: suite.Checks) -> None:
    passed = sum(check.startswith("SUCCESS") for check in checks)
    print(f"{what}: {passed} of {len(checks)} checks passed", file=sys.stderr, flush=True)


def compared(lists: Path) -> int:
    """Print what the lists say, and each scenario that is not as directly."""
    said = {way: read(lists / f"{way}.json") for way in WAYS if way == "direct" or (lists / f"{way}.json").exists()}
    print(page(said), end="")
    for way, other in said.items():
        for part, name, scenarios in every(other):
            for scenario in unlike(said["direct"], part, name, scenarios):
                was = said["direct"][part].get(name, {}).get(scenario)
                print(f"{name} {scenario}:\n  directly {was}\n  {way:8} {scenarios[scenario]}", file=sys.stderr)
    return 1 if unequal(said) - LIMITS.keys() else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m tests.conformance", description=(__doc__ or "").splitlines()[0])
    made.add_argument("--clients", type=lambda text: text.split(",") if text else [], default=list(CLIENT_NAMES))
    made.add_argument("--ways", type=lambda text: text.split(","), default=["direct", "tap"])
    made.add_argument("--only", default="", metavar="REGEX", help="scenarios whose name it is found in")
    made.add_argument("--server", action=argparse.BooleanOptionalAction, default=True, help="ask of the server too")
    made.add_argument("--lists", type=Path, default=LISTS, metavar="DIR", help="where the lists are kept")
    return made


if __name__ == "__main__":
    sys.exit(main())
