"""What a server's own program says of each request it answered. Knows the lines; runs nothing."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt

MARK = "HEARD "
REGISTERED = "the id that was registered"
_MADE_ANEW = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID: in an `aud` the client's own id (Canaille), another one after each registration."""


@dataclass(frozen=True)
class Heard:
    """One request at a server, as far as two runs are compared by it."""

    method: str
    host: str
    path: str
    status: int
    agent: str
    audience: tuple[str, ...]
    """The `aud` of the bearer token that came with it; empty without one, or when the token has none."""
    at: float
    """When it was answered, by this process's own clock (time.monotonic)."""


def heard(line: str) -> Heard | None:
    """The request that this line of a server's output tells of; None for any other line."""
    _, mark, text = line.partition(MARK)
    if not mark:
        return None
    said: dict[str, Any] = json.loads(text)
    token = (said.get("authorization") or "").partition(" ")[2]
    several = audience(said["audience"] if "audience" in said else claimed(token))
    path = urlsplit(said["target"]).path
    return Heard(
        said["method"], said.get("host") or "", path, said["status"], said.get("agent") or "", several, time.monotonic()
    )


def claimed(token: str) -> Any:
    """The `aud` that a JWT claims, unverified; None for a token that is no JWT."""
    try:
        return jwt.decode(token, options={"verify_signature": False}).get("aud")
    except jwt.PyJWTError:
        return None


def audience(value: Any) -> tuple[str, ...]:
    """An `aud` as a tuple: it may be one string, several, or nothing at all."""
    several = value if isinstance(value, list) else [value] if value else []
    return tuple(REGISTERED if _MADE_ANEW.fullmatch(name) else name for name in several)
