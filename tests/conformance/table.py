"""The lists in words: docs/conformance/README.md. Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.conformance.limits import LIMITS

Lists = Mapping[str, Mapping[str, Any]]
"""Way → what one release of the suite said that way, as the file of that name holds it."""

HEAD = """# The conformance suite as a judge

Two releases of `@modelcontextprotocol/conformance`, npm's latest and the newest before the next one, are asked the same
questions twice: without oauthtap, and with it between the client and the server. The clients here are programs that
embed the SDKs, each sent through a tap of its own that is started before the URL of the scenario (`tap`), or started by
`oauthtap run` (`run`); the server is one on the TypeScript SDK 1 that has all the tools, resources and prompts of the
server scenarios. What counts is not how many checks pass, but that they are the same ones. Extensions of the protocol
are left out.

Made by `python -m tests.conformance`."""
RELEASE = """## {suite}

On {date}. Every check of every scenario with its status: {links}."""
TABLE = """| Who | Way | Scenarios | Checks passed | Scenarios as directly |
| --- | --- | --- | --- | --- |"""


def page(releases: Mapping[str, Lists]) -> str:
    """What the lists say, release by release, each other way compared with the direct one."""
    return "\n\n".join([HEAD, *(section for lists in releases.values() for section in of_release(lists))]) + "\n"


def of_release(lists: Lists) -> Iterator[str]:
    """Its heading, its table, and why something in it is not as directly."""
    straight = lists["direct"]
    links = ", ".join(f"[{way}]({straight['suite']}/{way}.json)" for way in lists)
    yield RELEASE.format(**straight, links=links)
    yield "\n".join([TABLE, *(line for way in lists for line in lines(straight, lists[way], way))])
    reasons = [
        f"- `{scenario}`, {way}: {LIMITS[way, scenario]}" for way, scenario in sorted(unequal(lists) & LIMITS.keys())
    ]
    if reasons:
        yield "What is not as directly, and why:"
        yield "\n".join(reasons)


def unequal(lists: Lists) -> set[tuple[str, str]]:
    """(way, scenario) of all that any client or server is judged differently in than directly."""
    return {(way, scenario) for way, _, _, scenario in differences(lists)}


def differences(lists: Lists) -> Iterator[tuple[str, str, str, str]]:
    """Way, `clients` or `servers`, name and scenario of each that is not judged as directly."""
    for way, said in lists.items():
        for part, name, scenarios in every(said):
            for scenario in unlike(lists["direct"], part, name, scenarios):
                yield way, part, name, scenario


def lines(straight: Mapping[str, Any], other: Mapping[str, Any], way: str) -> Iterator[str]:
    """A row for each client and server of a list."""
    for part, name, scenarios in every(other):
        checks = [check for said in scenarios.values() for check in said]
        passed = sum(check.startswith("SUCCESS ") for check in checks)
        same = len(scenarios) - len(unlike(straight, part, name, scenarios))
        alike = "" if way == "direct" else f"{same} of {len(scenarios)}"
        yield f"| {name} ({part[:-1]}) | {way} | {len(scenarios)} | {passed} of {len(checks)} | {alike} |"


def every(said: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, list[str]]]]:
    """`clients` or `servers`, the name, and its scenarios."""
    for part in ("clients", "servers"):
        for name, scenarios in said[part].items():
            yield part, name, scenarios


def unlike(straight: Mapping[str, Any], part: str, name: str, scenarios: Mapping[str, list[str]]) -> list[str]:
    """The scenarios in which the suite says something else than directly."""
    known = straight[part].get(name, {})
    return [scenario for scenario, checks in scenarios.items() if known.get(scenario) != checks]
