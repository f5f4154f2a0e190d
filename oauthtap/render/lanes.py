"""Who talked to whom: one lane for each party of a handshake. Knows reports, and no format."""

from __future__ import annotations

from dataclasses import dataclass

from oauthtap.report import Report, Step
from oauthtap.urls import origin

_MCP = ("mcp-", "prm-", "legacy-")
_SERVER = ("as-", "jwks-", "client-registration", "pushed-", "authorization-request", "token-", "device-")
_SENDERS = {"gateway": "gateway", "reporter": "reporter", "browser": "browser"}


@dataclass(frozen=True)
class Lane:
    """One party: a short key, what it is called, and its origin where it is a server."""

    key: str
    name: str
    origin: str | None = None


@dataclass(frozen=True)
class Legs:
    """The lanes in order from left to right, and between which two of them each exchange went."""

    lanes: tuple[Lane, ...]
    ends: dict[int, tuple[int, int]]
    """Exchange id to the places of sender and receiver in `lanes`."""


def legs(report: Report) -> Legs:
    """The lanes of a report: client, browser, MCP server, authorization servers, others; only those that took part."""
    roles = _roles(report)
    client = f"{report.client.name} {report.client.version or ''}".strip() if report.client else "the client"
    people = {"client": Lane("client", client)}
    for step in report.exchanges:
        if word := _SENDERS.get(step.actor):
            people.setdefault(word, Lane(word, word))
    order = {"MCP server": 0, "authorization server": 1, "server": 2}
    servers = sorted(roles, key=lambda name: order[roles[name]])
    lanes = [*people.values(), *(Lane(f"server{n}", roles[name], name) for n, name in enumerate(servers))]
    places = {lane.origin or lane.key: place for place, lane in enumerate(lanes)}
    return Legs(tuple(lanes), {step.id: _ends(step, places, roles) for step in report.exchanges})


def _roles(report: Report) -> dict[str, str]:
    """Origin to what it is. An origin that is both is the MCP server."""
    roles: dict[str, str] = {}
    upstream = origin(report.upstream or "")
    for step in report.exchanges:
        name = origin(step.url) or "unknown"
        if _is_callback(step):
            continue
        if name == upstream or any(stage.startswith(_MCP) for stage in step.stages):
            roles[name] = "MCP server"
        elif any(stage.startswith(_SERVER) for stage in step.stages):
            roles.setdefault(name, "authorization server")
            roles[name] = "authorization server" if roles[name] == "server" else roles[name]
        else:
            roles.setdefault(name, "server")
    return roles


def _is_callback(step: Step) -> bool:
    """The browser comes back to the client: no server of ours."""
    return step.stage == "authorization-response" and step.actor == "browser"


def _ends(step: Step, places: dict[str, int], roles: dict[str, str]) -> tuple[int, int]:
    receiver = 0 if _is_callback(step) else places.get(origin(step.url) or "unknown", 0)
    if step.actor == "authorization-server":
        servers = [place for name, place in places.items() if roles.get(name) == "authorization server"]
        return (servers[0] if servers else 0), receiver
    return places.get(_SENDERS.get(step.actor, "client"), 0), receiver
