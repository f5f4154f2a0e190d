"""What a running command says of itself in its session folder, and whether it still runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from oauthtap.formats.untrusted_file import read_bytes
from oauthtap.model.recording import SourceError
from oauthtap.session.paths import STATE

_LARGEST = 2_000_000
_SAME = 0.05
"""Seconds by which two readings of one process's start may differ."""

Phase = Literal["starting", "ready", "over", "ended", "died"]


class SessionState(BaseModel):
    """How a command that records a session is doing. `extra` members are for later versions."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    command: str
    """`tap`, `run`, `drive` or `solve`."""
    pid: int
    created: float
    """When that process began (seconds since 1970): another one may get its number."""
    folder: str
    """The session's. Not called `session`: what stands behind that name is a secret to whoever looks for some."""
    upstream: str | None = None
    started: float
    updated: float
    url: str | None = None
    """What the client has to be given; None before the tap stands, and for `run`."""
    reach: dict[str, Any] = {}
    """`ca`, `connect_to`, `insecure`, `allow_private` as typed: a command printed later for this session needs them."""
    ports: dict[str, str] = {}
    """Local origin to upstream origin."""
    exchanges: int = 0
    fixes: tuple[str, ...] = ()
    """Which fixes are on."""
    over: bool = False
    """The sign-in has completed or stopped: nothing more is expected."""
    ended: float | None = None
    exit: int | None = None
    """The exit code of the command, once it has ended."""
    report: dict[str, Any] | None = None
    """The report so far, cut to its cause (`report.brief`); None before the first exchange."""

    @property
    def session(self) -> str:
        """The session folder."""
        return self.folder

    @property
    def cause(self) -> str | None:
        """The rule of the cause that is named now."""
        cause = (self.report or {}).get("cause")
        return cause.get("rule") if isinstance(cause, dict) else None

    def is_running(self) -> bool:
        """That very process still runs."""
        if self.ended is not None:
            return False
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < _SAME and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, ValueError, OverflowError):
            return False

    @property
    def phase(self) -> Phase:
        """Where it is: `died` is a command that no longer runs and never said that it ended."""
        if self.ended is not None:
            return "ended"
        if not self.is_running():
            return "died"
        return "over" if self.over else "ready" if self.url or self.command == "run" else "starting"


def own_process() -> dict[str, Any]:
    """`pid` and `created` of this process."""
    return {"pid": os.getpid(), "created": psutil.Process().create_time()}


def read_state(folder: Path) -> SessionState | None:
    """The state in a session folder; None where there is none, or none that can be read."""
    try:
        data = read_bytes(folder / STATE, follow=False, largest=_LARGEST)
        return SessionState.model_validate_json(data)
    except (SourceError, OSError, ValidationError, ValueError):
        return None
