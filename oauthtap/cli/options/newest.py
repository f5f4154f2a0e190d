"""The session that is meant where a command names none."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

from oauthtap.cli.errors import UsageError
from oauthtap.model.sanitize import escape_controls
from oauthtap.session import JSONL, sessions

WORDS = "default: the newest session"
"""In the help of such an argument."""


def newest_session() -> str:
    """The newest session with an exchange in it. Raises UsageError when there is none."""
    found = next((one for one in sessions() if _has_exchanges(one.folder)), None)
    if found is None:
        raise UsageError("no session with an exchange in it. Try: oauthtap https://mcp.example.com/mcp")
    print(f"oauthtap: the newest session with exchanges: {escape_controls(found.folder.name)}", file=sys.stderr)
    return str(found.folder)


def _has_exchanges(folder: Path) -> bool:
    try:
        with (folder / JSONL).open(encoding="utf-8", errors="replace") as lines:
            return any('"request":' in line for line in islice(lines, 1, 20))
    except OSError:
        return False
