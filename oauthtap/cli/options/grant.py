"""`--grant FILE`: from a word on the command line to a stored grant that can be used at this server."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from oauthtap.cli.errors import UsageError
from oauthtap.grants.grant_file import KEY, GrantError, GrantFile
from oauthtap.model import urls
from oauthtap.model.sanitize import escape_controls


def grant_flag(group: Any) -> None:
    """Put the flag into a group."""
    group.add_argument(
        "--grant", metavar="FILE", help=f"sign in by a stored grant (oauthtap grant); its key is in {KEY}, and it is "
        "written anew where the server rotates the refresh token",
    )  # fmt: skip


def stored_grant(arguments: Namespace, url: str) -> GrantFile | None:
    """The file of `--grant`, that it can be read, and is for this MCP endpoint. Raises UsageError."""
    if not getattr(arguments, "grant", None):
        return None
    try:
        file = GrantFile(Path(arguments.grant), os.environ.get(KEY))
        known = file.read()
    except GrantError as problem:
        raise UsageError(f"--grant {escape_controls(str(problem), limit=600)}") from None
    if not urls.same(known.url, url):
        raise UsageError(
            f"--grant {arguments.grant}: it is for {escape_controls(known.url)}. "
            f"Try: oauthtap grant {escape_controls(url)} -o FILE"
        )
    return file
