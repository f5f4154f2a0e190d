"""Where an MCP server's documents sent its clients, kept from run to run.

Clients keep what they discovered: the next command goes straight to an authorization
server that no document of this run has named.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from oauthtap.model import urls
from oauthtap.session import home

_MOST = 50
"""Servers that are remembered; the oldest is forgotten first."""


def load(named: Iterable[str]) -> list[str]:
    """The origins that belong to the servers with these URLs, as far as earlier runs learned them."""
    kept = _read(_file())
    lists = [kept.get(urls.origin(url)) for url in named]
    return [origin for found in lists if isinstance(found, list) for origin in found if isinstance(origin, str)]


def save(url: str, origins: Iterable[str]) -> None:
    """Keep what this run learned of the server with that URL. A folder that cannot be written is no reason to stop."""
    own, file = urls.origin(url), _file()
    kept = _read(file)
    kept = {name: value for name, value in kept.items() if name != own} | {own: sorted({*origins} - {own})}
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(dict(list(kept.items())[-_MOST:]), out, indent=1)
        fresh.replace(file)


def _file() -> Path:
    return home().parent / "origins.json"


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
