"""`oauthtap record URL`: exchanges that a server of one's own hands over, as JSON lines, into a session."""

from __future__ import annotations

import json
import signal
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.upstream import parse_mcp_url
from oauthtap.model.exchange import Exchange
from oauthtap.redaction.redactor import Redactor
from oauthtap.session import SessionError, SessionWriter, default_folder

_LARGEST = 4_000_000
"""Characters of one line."""


def record(arguments: Namespace) -> int:
    """Write every exchange on standard input into a session until it ends: redacted, one write an exchange.

    A line is `{"request": {"method", "url", "headers", "body"}, "response": {"status", "headers", "body"}, "at",
    "took"}`; headers are pairs. Gives 3 where none came.
    """
    url, redactor = parse_mcp_url(arguments.url, "oauthtap record"), Redactor()
    folder = Path(arguments.session) if arguments.session else default_folder(url)
    try:
        writer = SessionWriter(folder, {"upstream": redactor.strike_url(url)}, sweep=redactor.redact_known)
    except SessionError as problem:
        raise UsageError(str(problem)) from None
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    count = 0
    try:
        for line in iter(lambda: sys.stdin.readline(_LARGEST), ""):
            if line.strip():
                count += _add(writer, redactor, line, count + 1)
    except KeyboardInterrupt:
        pass
    if not count:
        writer.discard()
        print("oauthtap: no exchange came", file=sys.stderr)
        return 3
    writer.close()
    print(f"Session: {folder}\n  oauthtap check {folder}", file=sys.stderr)
    if arguments.format == "json":
        print(json.dumps({"session": str(folder), "exchanges": count}))
    return 0


def _add(writer: SessionWriter, redactor: Redactor, line: str, number: int) -> int:
    try:
        told: dict[str, Any] = json.loads(line)
        exchange = Exchange.model_validate({**told, "id": number, "excerpt": True})
    except (ValueError, TypeError, RecursionError) as problem:
        print(f"oauthtap: exchange {number} is left out: {str(problem).splitlines()[0]}", file=sys.stderr)
        return 0
    writer.add(redactor.redact(exchange).as_json())
    return 1
