"""Who talked to whom: one lane for each party of a handshake."""

from __future__ import annotations

from dataclasses import dataclass

from oauthtap.diagnosis.multi.attribution import is_library
from oauthtap.model.urls import origin
from oauthtap.report.model import ExchangeRow, Report

_MCP = ("mcp-", "prm-", "legacy-")
_SERVER = ("as-", "jwks-", "client-registration", "pushed-", "authorization-request", "token-", "device-")
_BROWSER = ("authorization-request", "authorization-interaction", "authorization-response")
"""Legs of the user agent (RFC 6749, 1.7), also where a program without a browser walks them itself."""
_OTHERS = {"gateway": "a gateway", "reporter": "oauthtap (preflight)"}


@dataclass(frozen=True)
class Lane:
    """One party: a short key, what it is called, and its origin where it is a server."""

    key: str
    name: str
    origin: str | None = None


@dataclass(frozen=True)
class Layout:
    """The lanes in order from left to right, and between which two of them each exchange went."""

    lanes: tuple[Lane, ...]
    ends: dict[int, tuple[int, int]]
    """Exchange id to the places of sender and receiver in `lanes`."""


def lay_out(report: Report) -> Layout:
    """The lanes of a report: client, browser, MCP server, authorization servers, others; only those that took part."""
    roles = _roles(report)
    named = report.client if report.client and not is_library(report.client.name) else None
    client = f"{named.name} {named.version or ''}".strip() if named else "the client"
    people = {"client": Lane("client", client)}
    senders = {_sender(step) for step in report.exchanges}
    people |= {"browser": Lane("browser", "browser")} if "browser" in senders else {}
    people |= {key: Lane(key, name) for key, name in _OTHERS.items() if key in senders}
    if any(step.excerpt for step in report.exchanges) and "reporter" in senders:
        people["reporter"] = Lane("reporter", "a person (by hand)")
    servers = sorted(roles, key=lambda name: _ORDER.index(roles[name]))
    lanes = [*people.values(), *(Lane(f"server{n}", roles[name], name) for n, name in enumerate(servers))]
    places = {lane.origin or lane.key: place for place, lane in enumerate(lanes)}
    return Layout(tuple(lanes), {step.id: _ends(step, places, roles) for step in report.exchanges})


_ORDER = ("MCP server", "MCP and authorization server", "authorization server", "server")


def _roles(report: Report) -> dict[str, str]:
    """Origin to what it is."""
    mcp, seen = {origin(report.upstream or "")}, dict[str, str]()
    tried: dict[str, bool] = {}
    """Asked as an authorization server; True when it once answered like one."""
    for step in report.exchanges:
        if _is_callback(step):
            continue
        name = origin(step.url) or "unknown"
        seen[name] = "server"
        if any(stage.startswith(_MCP) for stage in step.stages):
            mcp.add(name)
        if any(stage.startswith(_SERVER) for stage in step.stages):
            tried.setdefault(name, False)
            tried[name] |= step.status not in (401, 403, 404, 405)
    for name in seen:
        if name in mcp:
            seen[name] = "MCP and authorization server" if tried.get(name) else "MCP server"
        elif name in tried:
            seen[name] = "authorization server"
    return seen


def _is_callback(step: ExchangeRow) -> bool:
    """The browser comes back to the client: no server of ours."""
    return step.stage == "authorization-response" and _sender(step) == "browser"


def _sender(step: ExchangeRow) -> str:
    return "browser" if step.actor == "client" and step.stage in _BROWSER else step.actor


def _ends(step: ExchangeRow, places: dict[str, int], roles: dict[str, str]) -> tuple[int, int]:
    receiver = 0 if _is_callback(step) else places.get(origin(step.url) or "unknown", 0)
    if step.actor == "authorization-server":
        servers = [place for name, place in places.items() if "authorization" in roles.get(name, "")]
        return (servers[0] if servers else 0), receiver
    return places[_sender(step)], receiver
