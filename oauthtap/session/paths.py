"""Where sessions lie, what their files are called, and how files come to be."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_state_dir

VERSION = 1
JSONL, FLOWS, HAR = "session.jsonl", "flows.mitm", "session.har"
STATE = "state.json"
"""What a running command says of itself, for `oauthtap status`, `wait` and `stop`."""
MARK = "SECRETS-INSIDE.txt"
"""Lies in a folder that was recorded with `--keep-secrets`, for who looks at nothing else."""


_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
"""No link is followed, and on Windows no line end changed."""


class SessionError(Exception):
    """The session cannot be written. The text says why and what to type."""


def home() -> Path:
    """Where sessions lie when the user does not say where."""
    return Path(user_state_dir("oauthtap")) / "sessions"


def default_folder(upstream: str, now: float | None = None) -> Path:
    """A folder that is not there yet: `YYYY-MM-DD-HHMMSS-host` (local time) below `home()`."""
    stamp = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(now))
    host = re.sub(r"[^a-z0-9.-]", "", (urlsplit(upstream).hostname or "unknown").lower())[:60]
    folder = home() / f"{stamp}-{host}"
    number = 2
    while folder.exists():
        folder = home() / f"{stamp}-{host}-{number}"
        number += 1
    return folder


def open_private(path: Path) -> int:
    """A file that is not there yet, to write to. Raises OSError where one is: also a link that somebody planted."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _PLAIN, 0o600)


def reopen_private(path: Path) -> int:
    """A file of ours that is there, to add to its end. Raises OSError where it is gone, or a link."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | _PLAIN)


def replace(path: Path, data: bytes | Iterator[bytes]) -> None:
    """Put a file in place of another in one step, readable by the user alone. `data`: whole, or in pieces."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as out:
        out.writelines((data,) if isinstance(data, bytes) else data)
    draft.replace(path)


class disk_errors:  # noqa: N801  (reads as a sentence: with explained(folder))
    """What the system refuses, in words that end in what to type."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, problem: object, _trace: object) -> None:
        if isinstance(problem, OSError):
            reason = problem.strerror or str(problem)
            raise SessionError(
                f"cannot write the session to {self.folder}: {reason}. Try: --session DIR, with a folder of yours"
            ) from None
