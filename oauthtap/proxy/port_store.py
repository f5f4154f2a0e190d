"""The local port of each upstream origin, the same in every run.

Clients stamp what they store with the issuer they were told, which is a local URL. With
another port in the next run they would think that they face another server.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oauthtap.model import urls
from oauthtap.proxy.settings import StartupError
from oauthtap.rewriting.origins import FIRST_PORT

CALLBACK = "callback"
"""Stands in the place of an origin for the port of the callback relay."""
_FILE = "ports.json"
_HIGHEST = 65535


@dataclass
class Ports:
    """The memory of one upstream, kept in a file that all upstreams share."""

    folder: Path
    upstream: str
    """The upstream origin whose ports these are."""
    first: int
    reserved: frozenset[int] = frozenset()
    """Ports that are never handed out, because something else of ours will need them."""
    offered: tuple[int, ...] = ()
    """Ports that a tunnel leads to already: the first choice for an origin that was never seen before."""
    taken: dict[str, int] = field(default_factory=dict)
    """Origin to port, of this run."""

    def __post_init__(self) -> None:
        self._kept: dict[str, Any] = _read(self.folder / _FILE).get(self._key, {})

    @property
    def _key(self) -> str:
        return f"{self.upstream} {self.first}"

    @property
    def registered(self) -> set[str]:
        """Marks of the clients that once registered through our callback."""
        return {str(mark) for mark in self._kept.get("registered", [])}

    def choose(self, origin: str, *, avoid: Iterable[int] = ()) -> int:
        """A free port for an origin: the one of the last run, else the next free one behind the first.

        Raises StartupError when there is none.
        """
        busy = {*avoid, *self.taken.values(), *self.reserved}
        if own := _loopback_port(origin):
            busy.add(own)
        remembered = self._kept.get("ports", {}).get(origin)
        if isinstance(remembered, int) and remembered not in busy and is_free(remembered):
            chosen = remembered
        else:
            kept = set(self._kept.get("ports", {}).values())
            tunnelled = (p for p in self.offered if origin != CALLBACK and p not in busy | kept and is_free(p))
            chosen = next(tunnelled, 0) or next_free(self.first + 1, busy | kept | set(self.offered))
        self.taken[origin] = chosen
        return chosen

    def remember(self, registered: Iterable[str] = ()) -> None:
        """Write down what this run has handed out. A folder that cannot be written is no reason to stop."""
        marks = sorted({*self.registered, *registered})[-200:]
        self._kept = {"ports": {**self._kept.get("ports", {}), **self.taken}, "registered": marks}
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            everything = _read(self.folder / _FILE) | {self._key: self._kept}
            fresh = self.folder / f".{_FILE}.{os.getpid()}"
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(everything, file, indent=1)
            fresh.replace(self.folder / _FILE)


def check(port: int, flag: str, *, taken: Iterable[int] = ()) -> None:
    """Raise StartupError, with the next free port, when nobody can listen on this one."""
    if not 0 < port <= _HIGHEST:
        raise StartupError(f"{port} is no port. Try: {flag} {FIRST_PORT}")
    if not is_free(port):
        free = next_free(port + 1, set(taken))
        raise StartupError(f"port {port} is in use. Try: {flag} {free}")


def next_free(start: int, busy: set[int]) -> int:
    """The first port from `start` on that is neither busy nor taken by another program."""
    for port in range(start, _HIGHEST + 1):
        if port not in busy and is_free(port):
            return port
    raise StartupError(f"there is no free port above {start}. Try a lower --port")


def is_free(port: int) -> bool:
    """We could listen on this port under every loopback address there is."""
    return all(_can_bind(address, port) for address in loopback_addresses())


def loopback_addresses() -> tuple[str, ...]:
    """`127.0.0.1`, and `::1` where this machine has it."""
    return ("127.0.0.1", "::1") if _can_bind("::1", 0) else ("127.0.0.1",)


def _can_bind(address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            if os.name == "posix":
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((address, port))
            trial.listen(1)
    except OSError:
        return False
    return True


def _loopback_port(origin: str) -> int | None:
    """An origin on this machine keeps its own port, even while its server is down."""
    parts = urls.split(origin)
    return parts.port if parts and urls.is_loopback(origin) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
