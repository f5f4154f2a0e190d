"""The two lists in words: docs/conformance/README.md. Runs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.conformance.limits import LIMITS

Lists = Mapping[str, Mapping[str, Any]]
"""Way → what the suite said that way, as the file of that name holds it."""

HEAD = """# The conformance suite as a judge

`@modelcontextprotocol/conformance` {suite} is asked the same questions twice: without oauthtap, and with it between the
client and the server. Its clients here are programs that embed the SDKs, each sent through a tap of its own that is
started before the URL of the scenario; its server is one on the TypeScript SDK 1 that has all the tools, resources and
prompts of the server scenarios. What counts is not how many checks pass, but that they are the same ones.

On {date}. [direct.json](direct.json) and [tap.json](tap.json) have every check of every scenario with its status.
Made by `python -m tests.conformance`."""


def page(lists: Lists) -> str:
    """What the lists say, each other way compared with the direct one."""
    straight = lists["direct"]
    table = ["| Who | Way | Scenarios | Checks passed | Scenarios as directly |", "| --- | --- | --- | --- | --- |"]
    table += [line for way in lists for line in lines(straight, lists[way], way)]
    reasons = [
        f"- `{scenario}`, {way}: {LIMITS[way, scenario]}" for way, scenario in sorted(unequal(lists) & LIMITS.keys())
    ]
    other = ["What is not as directly, and why:", "\n".join(reasons)] if reasons else []
    return "\n\n".join([HEAD.format(**straight), "\n".join(table), *other]) + "\n"


def unequal(lists: Lists) -> set[tuple[str, str]]:
    """(way, scenario) of all that any client or server is judged differently in than directly."""
    return {
        (way, scenario)
        for way, said in lists.items()
        for part, name, scenarios in every(said)
        for scenario in unlike(lists["direct"], part, name, scenarios)
    }


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
