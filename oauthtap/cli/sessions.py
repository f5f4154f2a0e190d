"""`oauthtap sessions`: what was recorded so far."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from dataclasses import asdict

from oauthtap.model.sanitize import escape_controls
from oauthtap.session import Listed, home, sessions


def list_sessions(arguments: Namespace) -> int:
    """Print one line a session, newest first: when, how it ended, server, folder; or all of it as a JSON list."""
    found = sessions()[: arguments.limit]
    if arguments.format == "json":
        print(json.dumps([{**asdict(one), "folder": str(one.folder)} for one in found], ensure_ascii=False, indent=1))
        return 0
    if not found:
        print(f"No sessions in {home()} yet. Record one: oauthtap --upstream https://mcp.example.com/mcp")
        return 0
    for one in found:
        print(_line(one))
    print(f"\n{len(found)} sessions in {home()}. Read one: oauthtap check FOLDER")
    return 0


def _line(one: Listed) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.started)) if one.started else "unknown time   "
    ended = {True: "connected", False: "stopped", None: "cut off"}[one.connected]
    outcome = one.ending or ended
    if one.probe and one.connected is False:  # no client was there to stop or to leave
        outcome = "probed" if one.complete else "problem found" if one.cause else "probe stopped"
    cause = f"  {escape_controls(one.cause)}" if one.cause else ""
    secrets = "  SECRETS INSIDE" if one.secrets else ""
    return f"{when}  {outcome:<15}  {escape_controls(one.upstream or '?', limit=60)}  {one.folder.name}{cause}{secrets}"
